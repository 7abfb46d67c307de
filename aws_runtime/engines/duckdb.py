"""The DuckDB engine: streaming, memory-limited, spilling; the best for JSON and nested data.

In: files on local disk. Out: Parquet files on local disk. Everything is SQL over one in-memory
connection that is closed at the end of the step.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from aws_runtime.contract import Contract, DataType, Field, Severity
from aws_runtime.engines import (
    SOURCE_ROW,
    SOURCE_URI,
    Capabilities,
    Checked,
    InputFile,
    Limits,
    Written,
    WrittenFile,
)
from aws_runtime.engines.duckdb_dialect import DUCKDB, data_type
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import json as json_format
from aws_runtime.plan import FormatPlan, PartitionPlan
from aws_runtime.rules import Violation, projection, raw_columns, read_type, violations

quote, text = DUCKDB.quote, DUCKDB.text

CAPABILITIES = Capabilities(
    name="duckdb",
    formats=frozenset({"json", "parquet"}),
    nested=True,
    runs_in=frozenset({"lambda"}),
    requirements=("duckdb", "narwhals"),
    preference={"json": 10, "parquet": 20},
)

#: Columns of a frame read from a source beside the contract's: a malformed record's reason and text.
SOURCE_ERROR, SOURCE_TEXT = "source_error", "source_text"
HIDDEN = (SOURCE_ROW, SOURCE_URI, SOURCE_ERROR, SOURCE_TEXT)

PARTITION_FORMATS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y", "hour": "%Y-%m-%d-%H"}


@dataclass(frozen=True, slots=True)
class Frame:
    """Records as read: a relation of text leaves (or typed columns of Parquet) and the hidden columns."""

    relation: duckdb.DuckDBPyRelation


@dataclass(frozen=True, slots=True)
class Judged:
    """What `check` keeps for `write`: every row with its verdict, and how to count violations."""

    relation: duckdb.DuckDBPyRelation
    found: tuple[Violation, ...]
    flags: Mapping[str, str]


@contextmanager
def open_engine(limits: Limits) -> Iterator[DuckDBEngine]:
    """Open an in-memory database bounded by `limits`."""
    spill = Path(limits.spill_directory)
    spill.mkdir(parents=True, exist_ok=True)
    settings = {
        "memory_limit": f"{limits.memory_bytes // 1_000_000}MB",
        "threads": limits.threads,
        "temp_directory": str(spill),
        "preserve_insertion_order": True,
        "TimeZone": "UTC",
    }
    with duckdb.connect(":memory:") as connection:
        for name, value in settings.items():
            connection.execute(f"SET {name} = '{value}'")
        yield DuckDBEngine(connection, spill)


class DuckDBEngine:
    """One connection for one step."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, spill: Path) -> None:
        self.connection = connection
        self.spill = spill

    def read(self, files: Sequence[InputFile], format: FormatPlan, contract: Contract) -> Frame:  # noqa: A002
        """Return the records of `files`, in their order."""
        if format.name == "parquet":
            return self._read_parquet(files, contract)
        parts = [self._read_json(file, dict(format.options), contract, n) for n, file in enumerate(files)]
        relation = parts[0]
        for part in parts[1:]:
            relation = relation.union(part)
        return Frame(relation)

    def _read_parquet(self, files: Sequence[InputFile], contract: Contract) -> Frame:
        names = ", ".join(text(file.path) for file in files)
        source = f"read_parquet([{names}], hive_partitioning = false)"
        if not files:  # an upstream asset without a single good row writes no file
            nulls = ", ".join(f"NULL::{DUCKDB.type_name(c.type)} AS {quote(c.name)}" for c in contract.columns)
            source = f"(SELECT {nulls} LIMIT 0)"
        relation = self.connection.sql(
            f"SELECT *, row_number() OVER () AS {SOURCE_ROW}, NULL::VARCHAR AS {SOURCE_URI}, "
            f"NULL::VARCHAR AS {SOURCE_ERROR}, NULL::VARCHAR AS {SOURCE_TEXT} "
            f"FROM {source}"
        )
        return Frame(relation)

    def _read_json(
        self, file: InputFile, options: dict[str, Any], contract: Contract, number: int
    ) -> duckdb.DuckDBPyRelation:
        given = json_format.look(file, options)
        fields = tuple(Field(c.name, c.type) for c in contract.columns)
        columns = ", ".join(f"{quote(f.name)}: {text(read_type(f.type, DUCKDB))}" for f in fields)
        layout = {"lines": "newline_delimited", "array": "array", "object": "unstructured"}[given.layout]
        source = (
            f"read_json({text(file.path)}, format = '{layout}', columns = {{{columns}}}, "
            f"compression = '{given.compression}', maximum_object_size = {options.get('max_record_bytes', 2**24)})"
        )
        try:
            self.connection.execute(f"SELECT count(COLUMNS(*)) FROM {source}").fetchall()
        except duckdb.Error:
            source = self._read_diagnosed(given, DataType("struct", fields=fields), number)
            return self.connection.sql(
                f"SELECT unnest(v), {SOURCE_ROW}, {text(file.uri)} AS {SOURCE_URI}, {SOURCE_ERROR}, {SOURCE_TEXT} "
                f"FROM {source}"
            )
        return self.connection.sql(
            f"SELECT *, row_number() OVER () AS {SOURCE_ROW}, {text(file.uri)} AS {SOURCE_URI}, "
            f"NULL::VARCHAR AS {SOURCE_ERROR}, NULL::VARCHAR AS {SOURCE_TEXT} FROM {source}"
        )

    def _read_diagnosed(self, given: json_format.JsonFile, kind: DataType, number: int) -> str:
        """Rewrite a file that DuckDB refused, one envelope a record, and return how to read that."""
        path = self.spill / f"diagnosed-{number}.ndjson"
        with path.open("w", encoding="utf-8") as out:
            for record in json_format.diagnose(given, kind):
                head = {SOURCE_ROW: record.row, SOURCE_ERROR: record.error, SOURCE_TEXT: record.raw}
                out.write(f'{json.dumps(head)[:-1]}, "v": {record.value or "null"}}}\n')
        v = read_type(kind, DUCKDB)
        return (
            f"read_json({text(str(path))}, format = 'newline_delimited', maximum_object_size = {2**25}, "
            f"columns = {{{SOURCE_ROW}: 'BIGINT', {SOURCE_ERROR}: 'VARCHAR', {SOURCE_TEXT}: 'VARCHAR', v: {text(v)}}})"
        )

    def check(self, frame: Any, contract: Contract, stage: str) -> Checked:
        """Coerce the columns, judge every row, and split by the verdict."""
        relation: duckdb.DuckDBPyRelation = frame.relation if isinstance(frame, Frame) else frame
        types = {n: data_type(t) for n, t in zip(relation.columns, relation.types, strict=True)}
        missing = [c.name for c in contract.columns if c.required and c.name not in types]
        if missing:
            raise RejectedFile("MissingColumns", f"{stage} lacks {', '.join(missing)}", stage)
        typed = [f"{sql} AS {quote(name)}" for name, sql in projection(contract, DUCKDB, types)]
        for hidden, kind in zip(HIDDEN, ("BIGINT", "VARCHAR", "VARCHAR", "VARCHAR"), strict=True):
            typed.append(hidden if hidden in types else f"NULL::{kind} AS {hidden}")
        found = violations(contract, DUCKDB, types)
        flags = {v.id: f"v{i}" for i, v in enumerate(found)}
        judged = relation.select(", ".join(typed))
        judged = judged.select(", ".join(["*", *(f"({v.predicate}) AS {flags[v.id]}" for v in found)]))
        errors = [flags[v.id] for v in found if v.severity is Severity.ERROR]
        # A malformed record has no values to judge, only the reader's reason.
        judged = judged.select(f"*, {' OR '.join([f'{SOURCE_ERROR} IS NOT NULL', *errors])} AS bad")
        names = ", ".join(quote(c.name) for c in contract.columns)
        valid = judged.filter("NOT bad").select(f"{names}, {SOURCE_ROW}, {SOURCE_URI}")
        reasons = ", ".join(f"CASE WHEN {flags[v.id]} THEN {v.reason} END" for v in found)
        shown = raw_columns(contract, DUCKDB, types).items()
        record = ", ".join(f"{text(column)}: {quote(name)}" for column, name in shown)
        quarantined = judged.filter("bad").select(
            f"{text(stage)} AS stage, {SOURCE_URI}, {SOURCE_ROW}, "
            f"CASE WHEN {SOURCE_ERROR} IS NOT NULL THEN [{SOURCE_ERROR}] "
            f"ELSE list_filter([{reasons}], lambda r: r IS NOT NULL) END AS reasons, "
            f"coalesce({SOURCE_TEXT}, CAST(to_json({{{record}}}) AS VARCHAR)) AS record"
        )
        return Checked(valid, quarantined, Judged(judged, found, flags))

    def write(
        self,
        checked: Mapping[str, Checked],
        output_stage: str,
        contract: Contract,
        partition_by: Sequence[PartitionPlan],
        compression: str,
        destination: str,
        quarantine: str,
        stem: str,
    ) -> Written:
        """Count, then write the good rows and, when there are any, the quarantined ones."""
        rows_in, bad, broken = {}, {}, {}
        for stage, part in checked.items():
            counts = self._count(part.token)
            rows_in[stage], bad[stage] = counts[0], counts[1]
            broken |= {f"{stage}.{v.id}": n for v, n in zip(part.token.found, counts[2:], strict=True) if n}
        files = self._write_valid(
            checked[output_stage].valid, contract, partition_by, compression, Path(destination), stem
        )
        kept = self._write_quarantine(
            [part.quarantined for stage, part in checked.items() if bad[stage]], Path(quarantine), stem
        )
        return Written(
            files=files,
            quarantine=kept,
            rows_in=rows_in,
            rows_out=sum(file.rows for file in files),
            rows_quarantined=bad,
            violations=broken,
        )

    def _count(self, judged: Judged) -> tuple[int, ...]:
        parts = ["count(*)", "count(*) FILTER (bad)"]
        parts += [f"count(*) FILTER ({judged.flags[v.id]})" for v in judged.found]
        row = judged.relation.aggregate(", ".join(parts)).fetchall()[0]
        return tuple(row)

    def _write_valid(
        self,
        valid: duckdb.DuckDBPyRelation,
        contract: Contract,
        partition_by: Sequence[PartitionPlan],
        compression: str,
        destination: Path,
        stem: str,
    ) -> tuple[WrittenFile, ...]:
        names = [quote(c.name) for c in contract.columns]
        keys = [f"{_partition(by)} AS {quote(by.name)}" for by in partition_by]
        staged = self.spill / "valid"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        view = valid.select(", ".join(names + keys))
        options = f"FORMAT parquet, COMPRESSION {compression}, RETURN_STATS"
        if partition_by:
            by = ", ".join(quote(key.name) for key in partition_by)
            options += f", PARTITION_BY ({by}), WRITE_PARTITION_COLUMNS false"
            target = str(staged)
        else:
            target = str(staged / "all.parquet")
        written = self.connection.execute(
            f"COPY ({view.sql_query()}) TO {text(target)} ({options})"
        ).fetchall()
        return tuple(_place(written, staged, destination, stem))

    def _write_quarantine(
        self, parts: Sequence[duckdb.DuckDBPyRelation], folder: Path, stem: str
    ) -> tuple[WrittenFile, ...]:
        if not parts:
            return ()
        relation = parts[0]
        for part in parts[1:]:
            relation = relation.union(part)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{stem}.parquet"
        rows = self.connection.execute(
            f"COPY ({relation.sql_query()}) TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
        count = rows.fetchone()
        return (WrittenFile(str(path), int(count[0]) if count else 0),)


def _partition(by: PartitionPlan) -> str:
    column = quote(by.column)
    if by.transform == "identity":
        return f"CAST({column} AS VARCHAR)"
    return f"strftime({column}, {text(PARTITION_FORMATS[by.transform])})"


def _place(
    written: Sequence[tuple[Any, ...]], staged: Path, destination: Path, stem: str
) -> Iterator[WrittenFile]:
    """Move staged files to their final names, `<stem>.parquet` and, for more, `<stem>-<n>.parquet`."""
    seen: dict[str, int] = {}
    for name, rows in sorted((str(row[0]), int(row[1])) for row in written):
        if not rows:
            continue
        folder = Path(name).parent.relative_to(staged).as_posix()
        number = seen[folder] = seen.get(folder, -1) + 1
        target = destination / folder / (f"{stem}-{number}.parquet" if number else f"{stem}.parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(name, target)
        values = dict(part.split("=", 1) for part in Path(folder).parts)
        yield WrittenFile(str(target), rows, values)
