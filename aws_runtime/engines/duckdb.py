"""DuckDB: the small engine for JSON and nested data, streaming and memory-limited.

In: a step's files and contracts. Out: Parquet and quarantine. Frames are DuckDB relations, so
nothing is read until `write`, except one survey of each file that tells whether and how it can be.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from aws_runtime.contract import Contract, Severity
from aws_runtime.engines import (
    SOURCE_ROW,
    SOURCE_URI,
    Capabilities,
    Checked,
    InputFile,
    Limits,
    ReadAgain,
    Written,
)
from aws_runtime.engines import duckdb_json as json_reader
from aws_runtime.engines.duckdb_database import open_connection, open_database
from aws_runtime.engines.duckdb_dialect import DUCKDB, data_type, quote, text
from aws_runtime.engines.duckdb_explode import one_scan
from aws_runtime.engines.duckdb_parquet import Opened, broken_pages_told, column_names, open_files, rows_of
from aws_runtime.engines.duckdb_quarantine import REASON, RECORD, flag, quarantined_columns
from aws_runtime.engines.duckdb_write import write_bad, write_good
from aws_runtime.errors import RejectedFile, RowsNotConserved
from aws_runtime.formats import json
from aws_runtime.plan import FormatPlan, PartitionPlan
from aws_runtime.rules import Violation, projection, violations

CAPABILITIES = Capabilities(
    name="duckdb",
    formats=frozenset({"json", "parquet"}),
    nested=True,
    runs_in=frozenset({"lambda"}),
    requirements=("duckdb", "narwhals", "zstandard"),
    preference={"json": 1, "parquet": 2},
    max_input_bytes=10 * 1024**3,
    folder_columns=True,
    sql="duckdb",
)

_HIDDEN = (SOURCE_ROW, SOURCE_URI)
#: Inputs up to this size are judged once and kept; a table that outgrows memory spills.
_KEPT_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class DuckDBEngine:
    """One connection, for one step.

    Args:
        connection: An in-memory database.
        work: Folder for copies of files, removed at the end.
        exact: Whether files are read record by record; set when the fast way has failed.
    """

    connection: Any
    work: Path
    exact: bool = False
    extra: dict[str, dict[str, int]] = field(default_factory=dict)
    uris: set[str] = field(default_factory=set)
    parquet: list[tuple[Sequence[Opened], Contract]] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    input_bytes: int = 0

    def read(self, files: Sequence[InputFile], format: FormatPlan, contract: Contract) -> Any:  # noqa: A002 - the protocol's name
        """Return the records of all files as text, with the hidden columns."""
        self.uris.update(file.uri for file in files)
        self.input_bytes += sum(Path(file.path).stat().st_size for file in files)
        name = self._name("read")
        if format.name == "parquet":
            opened = open_files(self.connection, files, contract)
            self.parquet.append((opened, contract))
            sql = rows_of(opened, contract)
        else:
            sql = " UNION ALL ".join(self._json(file, format, contract, name) for file in files)
        return self._view(name, sql or _no_rows(contract))

    def _json(self, file: InputFile, plan: FormatPlan, contract: Contract, frame: str) -> str:
        options = json.Options(**plan.options)
        source = json_reader.open_file(
            self.connection, file.path, file.uri, options, contract, work=self.work, exact=self.exact
        )
        self.records[frame] = self.records.get(frame, 0) + source.survey.records
        extra = self.extra.setdefault(frame, {})
        for column, count in json_reader.extra_columns(source.survey, contract).items():
            extra[column] = extra.get(column, 0) + count
        return source.sql

    def query(self, sql: str, frames: Mapping[str, Any]) -> Any:
        """Return the rows of a query in DuckDB's dialect, over tables of the frames' names."""
        tables = []
        for table, frame in frames.items():
            given = self._name("table")
            frame.create_view(given, replace=True)
            tables.append(f"{quote(table)} AS (SELECT * FROM {given})")
        return self._view(self._name("result"), f"WITH {', '.join(tables)} SELECT * FROM ({sql})")

    def rows(self, frame: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a small frame."""
        found: list[tuple[Any, ...]] = frame.fetchall()
        return found

    def columns(self, files: Sequence[InputFile]) -> frozenset[str]:
        """Return the names of the columns of Parquet files."""
        return frozenset(name for file in files for name in column_names(self.connection, file))

    def check(self, frame: Any, contract: Contract, stage: str) -> Checked:
        """Coerce and split `frame`."""
        types = {name: data_type(kind) for name, kind in zip(frame.columns, frame.types, strict=True)}
        absent = [c.name for c in contract.columns if c.required and c.name not in types]
        if absent:
            raise RejectedFile("MissingColumns", f"{stage} has no {', '.join(absent)}", ", ".join(self.uris))
        given = self._name("given")
        frame.create_view(given, replace=True)
        hidden = [name for name in (*_HIDDEN, REASON, RECORD) if name in types]
        columns = [*(f"{sql} AS {quote(name)}" for name, sql in projection(contract, DUCKDB, types)), *hidden]
        typed = self._name("typed")
        self._view(typed, f"SELECT {', '.join(columns)} FROM {given}")
        unread = f"{REASON} IS NOT NULL" if REASON in types else None
        broken = violations(contract, DUCKDB, types, unread)
        flags = [f"{v.predicate} AS {flag(i)}" for i, v in enumerate(broken)]
        judged = self._name("judged")
        with _reading_again(self), broken_pages_told(self.connection, self.parquet):
            self._judge(judged, f"SELECT {', '.join(['*', *flags])} FROM {typed}")
        bad = [flag(i) for i, v in enumerate(broken) if v.severity is Severity.ERROR]
        if REASON in types:
            bad.append(f"{REASON} IS NOT NULL")
        # Never NULL, so that every row is on one side.
        is_bad = f"COALESCE({' OR '.join(bad or ['FALSE'])}, TRUE)"
        kept = [*(quote(c.name) for c in contract.columns), *(n for n in _HIDDEN if n in types)]
        valid = self._view(self._name("valid"), f"SELECT {', '.join(kept)} FROM {judged} WHERE NOT {is_bad}")
        told = quarantined_columns(contract, stage, broken, types, self._only_uri(types))
        quarantined = self._view(self._name("bad"), f"SELECT {told} FROM {judged} WHERE {is_bad}")
        return Checked(
            valid, quarantined, _Split(given, judged, is_bad, broken, told, frame.alias, REASON in types)
        )

    def write(
        self,
        *,
        checked: Mapping[str, Checked],
        output_stage: str,
        contract: Contract,
        partition_by: Sequence[PartitionPlan],
        compression: str,
        destination: str,
        quarantine: str,
        stem: str,
    ) -> Written:
        """Set the bad rows of every stage aside, write the good ones, then the bad ones where there are any."""
        with broken_pages_told(self.connection, self.parquet):
            with _reading_again(self):
                caught = {stage: self._catch(one.token, stage) for stage, one in checked.items()}
            files = write_good(
                self.connection,
                checked[output_stage].valid.alias,
                contract,
                partition_by=partition_by,
                compression=compression,
                destination=Path(destination),
                stem=stem,
            )
            refused = write_bad(
                self.connection, [one.view for one in caught.values() if one.bad], Path(quarantine), stem
            )
        kept, bad = sum(file.rows for file in refused), sum(one.bad for one in caught.values())
        if kept != bad:
            raise RowsNotConserved(f"{bad} rows to quarantine, {kept} written")
        return Written(
            files=files,
            quarantine=refused,
            rows_in={stage: one.rows for stage, one in caught.items()},
            rows_out=sum(file.rows for file in files),
            rows_quarantined={stage: one.bad for stage, one in caught.items()},
            violations={rule: n for one in caught.values() for rule, n in one.violations.items()},
        )

    def _catch(self, split: _Split, stage: str) -> _Caught:
        """Count the rows of one stage; keep the bad ones in a table, where there are any.

        Counted before anything is written, so that what is lost on the way to the files shows as a
        difference.
        """
        rows, bad = self.connection.execute(
            f"SELECT count(*), COALESCE(count_if({split.is_bad}), 0) FROM {split.judged}"
        ).fetchone()
        read = self.records.get(split.source)
        if read is not None and read != rows:
            raise RowsNotConserved(f"{stage}: {read} records in the files, {rows} read")
        violated = self._broken(split.judged, split, stage, Severity.WARN)
        for column, count in self.extra.get(split.source, {}).items():
            violated[f"{stage}.extra_column.{column}"] = count
        if not bad:
            return _Caught(rows, 0, "", violated)
        table, view = self._name("caught"), self._name("told")
        self.connection.execute(
            f"CREATE TEMP TABLE {table} AS SELECT * FROM {split.judged} WHERE {split.is_bad}"
        )
        self._view(view, f"SELECT {split.told} FROM {table}")
        return _Caught(rows, bad, view, {**violated, **self._broken(table, split, stage, Severity.ERROR)})

    def _broken(self, source: str, split: _Split, stage: str, severity: Severity) -> dict[str, int]:
        """Rule id -> rows of `source` that break it, for the rules of one severity."""
        flags = {v.id: flag(i) for i, v in enumerate(split.broken) if v.severity is severity}
        if severity is Severity.ERROR and split.malformed:
            flags[json.MALFORMED] = f"{REASON} IS NOT NULL"
        if not flags:
            return {}
        counts = ", ".join(f"COALESCE(count_if({flag}), 0)" for flag in flags.values())
        row = self.connection.execute(f"SELECT {counts} FROM {source}").fetchone()
        return {f"{stage}.{rule}": n for rule, n in zip(flags, row, strict=True) if n}

    def _only_uri(self, types: Mapping[str, Any]) -> str:
        if SOURCE_URI in types:
            return SOURCE_URI
        return text(next(iter(self.uris))) if len(self.uris) == 1 else "NULL::VARCHAR"

    def _name(self, what: str) -> str:
        self.frames += 1
        return f"{what}_{self.frames}"

    def _judge(self, name: str, sql: str) -> None:
        """Keep the judged rows of a small input; look at those of a large one anew each time.

        Each later query binds all views below it, which for a small file takes longer than its rows.
        """
        kind = "TABLE" if self.input_bytes <= _KEPT_BYTES else "VIEW"
        self.connection.execute(f"CREATE OR REPLACE TEMP {kind} {quote(name)} AS {sql}")

    def _view(self, name: str, sql: str) -> Any:
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {sql}")
        return self.connection.table(name).set_alias(name)


@contextmanager
def _reading_again(engine: DuckDBEngine) -> Iterator[None]:
    """Ask for the exact way of reading when the fast one meets a value of another shape."""
    try:
        yield
    except (duckdb.InvalidInputException, UnicodeDecodeError) as error:
        # DuckDB's message quotes the record and cuts it, at times within a character: then Python
        # cannot decode the message and raises its own error in place of DuckDB's.
        transform = isinstance(error, UnicodeDecodeError) or "JSON transform error" in str(error)
        if engine.exact or not transform:
            raise
        engine.exact = True
        raise ReadAgain(str(error).splitlines()[0]) from error


@dataclass(frozen=True, slots=True)
class _Split:
    """The views behind a `Checked`."""

    given: str
    judged: str
    is_bad: str
    broken: tuple[Violation, ...]
    told: str
    source: str
    malformed: bool


@dataclass(frozen=True, slots=True)
class _Caught:
    """One stage's rows, its bad ones, the view that tells of them, and what they break."""

    rows: int
    bad: int
    view: str
    violations: Mapping[str, int]


def _no_rows(contract: Contract) -> str:
    columns = [f"NULL::{DUCKDB.type_name(c.type)} AS {quote(c.name)}" for c in contract.columns]
    return f"SELECT {', '.join(columns)}, 0::BIGINT AS {SOURCE_ROW}, '' AS {SOURCE_URI} WHERE FALSE"


@contextmanager
def open_session(limits: Limits) -> Iterator[Callable[[], AbstractContextManager[DuckDBEngine]]]:
    """Open a database for one step after another."""
    with open_database(limits) as (database, work), one_scan():
        yield partial(_open_step, database, work)


@contextmanager
def _open_step(database: Any, work: Path) -> Iterator[DuckDBEngine]:
    """Open a connection of its own: the temporary tables and views of a step end with it."""
    with open_connection(database) as connection, tempfile.TemporaryDirectory(dir=work) as files:
        yield DuckDBEngine(connection, Path(files))


@contextmanager
def open_engine(limits: Limits) -> Iterator[DuckDBEngine]:
    """Open a database for one step."""
    with open_session(limits) as session, session() as engine:
        yield engine
