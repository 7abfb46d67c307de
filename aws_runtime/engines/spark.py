"""The Spark engine: for what one Lambda cannot hold. Spark 3.5.6, as on Glue 5.1.

In: files on a local disk, or in S3 on Glue. Out: Parquet files there. Everything is Spark SQL over
DataFrames; only lines of JSON pass through Python, where Spark's own parser would change numbers
and accept what other engines refuse. pyspark is imported when the engine is opened, so that the
compiler can ask for `CAPABILITIES` without it.
"""

from __future__ import annotations

import functools
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_runtime.contract import Contract, DataType, Severity
from aws_runtime.dialect import Dialect
from aws_runtime.engines import (
    SOURCE_ROW,
    SOURCE_URI,
    Capabilities,
    Checked,
    InputFile,
    Limits,
    Written,
    spark_csv,
    spark_csv_rows,
    spark_json,
)
from aws_runtime.engines.spark_dialect import SPARK, data_type, type_name
from aws_runtime.engines.spark_faults import broken_files_told
from aws_runtime.engines.spark_files import groups, shown_path, spark_path
from aws_runtime.engines.spark_json import ABSENT, BLOCK, EXTRA, LINE, SOURCE_ERROR, SOURCE_TEXT
from aws_runtime.engines.spark_parquet import column_names, read_parquet
from aws_runtime.engines.spark_session import session, settled
from aws_runtime.engines.spark_survey import extra_columns, judge_columns, numbered, survey
from aws_runtime.engines.spark_write import write_quarantine, write_valid
from aws_runtime.errors import RejectedFile, RowsNotConserved
from aws_runtime.formats import csv as csv_format
from aws_runtime.formats.csv_values import local_dialect
from aws_runtime.formats.json import MALFORMED, Options
from aws_runtime.plan import FormatPlan, PartitionPlan
from aws_runtime.rules import Violation, projection, raw_columns, text_type, violations

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

quote, text = SPARK.quote, SPARK.text

CAPABILITIES = Capabilities(
    name="spark",
    formats=frozenset({"csv", "json", "parquet"}),
    nested=True,
    runs_in=frozenset({"glue"}),
    requirements=("narwhals", "zstandard"),
    preference={"csv": 50, "json": 50, "parquet": 50},
    folder_columns=True,
    sql="spark",
)

_HIDDEN = {SOURCE_ROW: "BIGINT", SOURCE_URI: "STRING", SOURCE_ERROR: "STRING", SOURCE_TEXT: "STRING"}
_BAD = "row_is_bad"


@dataclass(frozen=True, slots=True)
class Judged:
    """What `check` keeps for `write`: every row with its verdict, and how to count violations."""

    frame: DataFrame
    found: tuple[Violation, ...]
    flags: Mapping[str, str]
    extra: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Read:
    """What `read` knows of a frame and `check` needs: columns beyond the contract, how values are written."""

    frame: DataFrame
    extra: Mapping[str, int] = field(default_factory=dict)
    dialect: Dialect = SPARK


@contextmanager
def open_engine(limits: Limits) -> Iterator[SparkEngine]:
    """Open the engine on the running session, or on a local one where there is none."""
    spark = session(limits)
    engine = SparkEngine(spark, Path(limits.spill_directory))
    with settled(spark):
        try:
            yield engine
        finally:
            engine.release()


class SparkEngine:
    """One session for one step, and what it caches meanwhile."""

    def __init__(self, spark: SparkSession, spill: Path) -> None:
        self.spark = spark
        self.spill = spill
        self.cached: list[DataFrame] = []
        # By id, so each frame is kept: another one could get its id.
        self.reads: dict[int, Read] = {}
        self.parquet: list[tuple[Sequence[InputFile], Callable[..., DataFrame]]] = []

    def release(self) -> None:
        """Drop what the step cached."""
        for frame in self.cached:
            frame.unpersist()

    def _keep(self, frame: DataFrame) -> DataFrame:
        # A frame is counted, written and split: computed once, and the same each time.
        self.cached.append(frame.persist())
        return frame

    def read(self, files: Sequence[InputFile], format: FormatPlan, contract: Contract) -> DataFrame:  # noqa: A002
        """Return the records of `files`: text leaves of JSON, typed columns of Parquet."""
        if format.name == "parquet":
            read = functools.partial(read_parquet, self.spark, contract=contract)
            self.parquet.append((files, read))
            with broken_files_told([(files, read)]):
                return read(files)
        return (self._read_csv if format.name == "csv" else self._read_json)(files, format, contract)

    def _read_csv(self, files: Sequence[InputFile], plan: FormatPlan, contract: Contract) -> DataFrame:
        options = csv_format.Options(**plan.options)
        rows, surveys, extra = spark_csv.read_rows(
            self.spark, files, spark_csv_rows.Reader(contract, options)
        )
        self.cached.append(rows)
        read = numbered(rows, surveys).drop(BLOCK, LINE)
        dialect = local_dialect(SPARK, options.habits, _replaced)
        self.reads[id(read)] = Read(read, extra, dialect)
        return read

    def _read_json(self, files: Sequence[InputFile], plan: FormatPlan, contract: Contract) -> DataFrame:
        self.spill.mkdir(parents=True, exist_ok=True)
        reader = spark_json.Reader(contract, Options(**plan.options))
        context = self.spark.sparkContext
        with tempfile.TemporaryDirectory(dir=self.spill) as work:
            lines, whole = spark_json.sort_files(files, reader.options, Path(work))
            parts = [
                context.parallelize(list(spark_json.read_whole(given, file.uri, reader)))
                for file, given in whole
            ]
        if lines:
            names = {shown_path(spark_path(file.path) or file.path): file.uri for file in lines}
            parts.append(self._lines(lines).mapPartitions(spark_json.parse_lines(reader, names)))
        rows = context.union(parts) if len(parts) != 1 else parts[0]
        frame = self._keep(self.spark.createDataFrame(rows, _read_schema(contract), verifySchema=False))
        surveys = survey(frame)
        for file in files:
            judge_columns([s for s in surveys if s.uri == file.uri], contract, file.uri)
        read = numbered(frame, surveys).drop(EXTRA, ABSENT, BLOCK, LINE)
        self.reads[id(read)] = Read(read, extra_columns(surveys))
        return read

    def _lines(self, files: Sequence[InputFile]) -> Any:
        """Return (bytes of the line, its file, where its split begins) of every line."""
        columns = ("CAST(value AS BINARY)", "_metadata.file_path", "_metadata.file_block_start")
        reader = self.spark.read.option("__globPaths__", "false").option("lineSep", "\n")
        frames = [reader.text(group).selectExpr(*columns) for group in groups(files)]
        return functools.reduce(lambda left, right: left.unionAll(right), frames).rdd

    def query(self, sql: str, frames: Mapping[str, Any]) -> DataFrame:
        """Return the rows of a query in Spark's dialect, over tables of the frames' names."""
        # Views are the session's, which other steps share: theirs get names that no other one has.
        views = {table: f"input_{uuid.uuid4().hex}" for table in frames}
        for table, view in views.items():
            frames[table].createOrReplaceTempView(view)
        try:
            tables = ", ".join(f"{quote(table)} AS (SELECT * FROM {view})" for table, view in views.items())
            return self.spark.sql(f"WITH {tables} SELECT * FROM ({sql})")
        finally:
            for view in views.values():
                self.spark.catalog.dropTempView(view)

    def rows(self, frame: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a small frame."""
        return [tuple(row) for row in frame.collect()]

    def columns(self, files: Sequence[InputFile]) -> frozenset[str]:
        """Return the names of the columns of Parquet files."""
        return column_names(self.spark, files)

    def check(self, frame: Any, contract: Contract, stage: str) -> Checked:
        """Coerce the columns, judge every row, and split by the verdict."""
        from pyspark.sql import functions as f  # noqa: PLC0415 - see the module's docstring

        types = {field.name: data_type(field.dataType) for field in frame.schema.fields}
        missing = [c.name for c in contract.columns if c.required and c.name not in types]
        if missing:
            raise RejectedFile("MissingColumns", f"{stage} lacks {', '.join(missing)}", stage)
        known = self.reads.get(id(frame), Read(frame))
        dialect = known.dialect
        unread = f"{SOURCE_ERROR} IS NOT NULL" if SOURCE_ERROR in types else None
        found = violations(contract, dialect, types, unread)
        flags = {v.id: f"v{i}" for i, v in enumerate(found)}
        typed = [f.expr(sql).alias(name) for name, sql in projection(contract, dialect, types)]
        hidden = [
            f.expr(name if name in types else f"CAST(NULL AS {kind})").alias(name)
            for name, kind in _HIDDEN.items()
        ]
        judged = frame.select(*typed, *hidden)
        judged = judged.select("*", *(f.expr(v.predicate).alias(flags[v.id]) for v in found))
        errors = [flags[v.id] for v in found if v.severity is Severity.ERROR]
        # A malformed record has no values to judge, only the reader's reason.
        verdict = " OR ".join([f"{SOURCE_ERROR} IS NOT NULL", *errors])
        judged = self._keep(judged.select("*", f.expr(verdict).alias(_BAD)))
        names = [quote(c.name) for c in contract.columns]
        valid = judged.filter(f"NOT {_BAD}").select(*names, SOURCE_ROW, SOURCE_URI)
        broken = [v for v in found if v.severity is Severity.ERROR]
        reasons = ", ".join(f"CASE WHEN {flags[v.id]} THEN {v.reason} END" for v in broken) or "NULL"
        shown = raw_columns(contract, dialect, types)
        record = ", ".join(
            f"{text(c)}, {_shown(quote(name), _type(judged, name))}" for c, name in shown.items()
        )
        quarantined = judged.filter(_BAD).selectExpr(
            f"{text(stage)} AS stage",
            SOURCE_URI,
            SOURCE_ROW,
            f"CASE WHEN {SOURCE_ERROR} IS NOT NULL THEN array({SOURCE_ERROR}) "
            f"ELSE filter(array({reasons}), r -> r IS NOT NULL) END AS reasons",
            f"COALESCE({SOURCE_TEXT}, to_json(named_struct({record}), map('ignoreNullFields', 'false'))) AS record",
        )
        return Checked(valid, quarantined, Judged(judged, found, flags, known.extra))

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
        """Count, then write the good rows and, when there are any, the quarantined ones."""
        rows_in: dict[str, int] = {}
        bad: dict[str, int] = {}
        broken: dict[str, int] = {}
        with broken_files_told(self.parquet):
            for stage, part in checked.items():
                counts = _count(part.token)
                rows_in[stage], bad[stage] = counts[0], counts[1]
                ids = (f"{stage}.{v.id}" for v in part.token.found)
                broken |= {rule: count for rule, count in zip(ids, counts[3:], strict=True) if count}
                if counts[2]:
                    broken[f"{stage}.{MALFORMED}"] = counts[2]
                for column, count in part.token.extra.items():
                    broken[f"{stage}.extra_column.{column}"] = count
            files = write_valid(
                checked[output_stage].valid,
                contract,
                partition_by=partition_by,
                compression=compression,
                destination=destination,
                stem=stem,
            )
            kept = write_quarantine(
                [part.quarantined for stage, part in checked.items() if bad[stage]], quarantine, stem
            )
        if sum(file.rows for file in kept) != sum(bad.values()):
            raise RowsNotConserved(f"{sum(bad.values())} rows to quarantine, {kept} written")
        return Written(
            files=files,
            quarantine=kept,
            rows_in=rows_in,
            rows_out=sum(file.rows for file in files),
            rows_quarantined=bad,
            violations=broken,
        )


def _read_schema(contract: Contract) -> str:
    columns = (f"{quote(c.name)} {type_name(text_type(c.type))}" for c in contract.columns)
    return ", ".join(
        [
            *columns,
            f"{SOURCE_ERROR} STRING, {SOURCE_TEXT} STRING, {EXTRA} ARRAY<STRING>, {ABSENT} ARRAY<STRING>",
            f"{SOURCE_ROW} BIGINT, {LINE} BIGINT, {SOURCE_URI} STRING, {BLOCK} BIGINT",
        ]
    )


def _replaced(value: str, regex: str, by: str) -> str:
    return f"regexp_replace({value}, {text(regex)}, {text(by)})"


def _type(frame: DataFrame, name: str) -> DataType:
    return data_type(frame.schema[name].dataType)


def _shown(value: str, kind: DataType) -> str:
    """SQL of a value as a quarantined record shows it: times and bytes as text, as DuckDB has it."""
    match kind.name:
        case "timestamp":
            return f"CONCAT(CAST({value} AS STRING), {text('+00' if kind.timezone else '')})"
        case "float32":
            # DuckDB's JSON has doubles only.
            return f"CAST({value} AS DOUBLE)"
        case "binary":
            # As DuckDB writes bytes: printable ASCII as it is, everything else in hexadecimal.
            code = "CAST(conv(h, 16, 10) AS INT)"
            plain = f"{code} BETWEEN 32 AND 126 AND {code} NOT IN (34, 39, 92)"
            byte = f"CASE WHEN {plain} THEN chr({code}) ELSE concat({text(chr(92) + 'x')}, h) END"
            return f"array_join(transform(regexp_extract_all(hex({value}), '..', 0), h -> {byte}), '')"
        case "list" if kind.item is not None and _written_differently(kind):
            return SPARK.each(value, "s", "", _shown("s", kind.item))
        case "struct" if _written_differently(kind):
            fields = [(f.name, _shown(SPARK.member(value, f.name), f.type)) for f in kind.fields]
            return f"CASE WHEN {value} IS NOT NULL THEN {SPARK.struct(fields)} END"
        case _:
            return value


def _written_differently(kind: DataType) -> bool:
    inner: list[DataType] = [f.type for f in kind.fields] + ([kind.item] if kind.item else [])
    return kind.name in ("timestamp", "binary", "float32") or any(
        _written_differently(member) for member in inner
    )


def _count(judged: Judged) -> tuple[int, ...]:
    from pyspark.sql import functions as f  # noqa: PLC0415 - see the module's docstring

    parts = [f.expr("count(1)"), f.expr(f"count_if({_BAD})"), f.expr(f"count({SOURCE_ERROR})")]
    parts += [f.expr(f"count_if({judged.flags[v.id]})") for v in judged.found]
    return tuple(judged.frame.agg(*(part.alias(f"c{i}") for i, part in enumerate(parts))).collect()[0])
