"""Delta tables on Spark: a run's Parquet files -> one commit of a table, with Spark's Delta on Glue.

In: a session, the files, the table's place, how their rows meet those that are there. Out: the table, changed
by one statement. deltalake does the same in Lambda (`aws_runtime.curation.delta`). Everything goes by path, so
no catalog is asked; Spark Connect is enough, so that it is tried where Spark's own Delta is not.
https://docs.delta.io/3.3.2/delta-update.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_runtime.contract import Column, Contract
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.delta_sql import (
    CLOSES,
    INCOMING,
    TRANSACTION_VERSION,
    DeltaWriteError,
    check,
    check_rows,
    table_columns,
    transaction_id,
)
from aws_runtime.curation.keyed import HISTORY, IS_CURRENT, VALID_FROM, VALID_TO
from aws_runtime.engines.spark_dialect import quote, text, type_name
from aws_runtime.partitions import HIVE_NULL

#: By these, Delta remembers a run and does nothing for it again.
#: https://docs.delta.io/3.3.2/delta-streaming.html#idempotent-table-writes-in-foreachbatch
_TRANSACTION = ("spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion")


@dataclass(frozen=True, slots=True)
class _Write:
    """One run into one table."""

    uri: str
    contract: Contract
    mode: WriteMode
    keys: Sequence[str]
    partition_by: Sequence[str]
    job_id: str
    at: datetime

    @property
    def table(self) -> str:
        """The table as SQL names it, by its path."""
        return f"delta.{quote(self.uri)}"

    @property
    def names(self) -> list[str]:
        """Columns of the run's rows."""
        return [column.name for column in self.contract.columns]


def write_delta(
    spark: Any,
    files: Sequence[str],
    *,
    base: str,
    expected: int,
    table_uri: str,
    exists: bool,
    contract: Contract,
    mode: WriteMode,
    keys: Sequence[str] = (),
    partition_by: Sequence[str] = (),
    job_id: str,
    event_time: datetime,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Write a run's files into a Delta table; the table is made where there is none.

    Args:
        spark: A session with Delta.
        files: Parquet files with their partition folders, or `base` for all that lie below it.
        base: Prefix below which those folders begin.
        expected: Rows of the files.
        table_uri: `s3://bucket/prefix`.
        exists: Whether the table is there.
        contract: Columns of the rows; a column that the table lacks is added to it.
        mode: How the rows meet those that are there.
        keys: Of merge and scd2.
        partition_by: Partition columns, outermost first.
        job_id: The run.
        event_time: Since when the rows are true, for scd2.
        ready: Called once the table is there and has the columns, before the statement that writes rows.

    Raises:
        DeltaWriteError: Rows or columns that do not fit; nothing was written.
    """
    check(contract, mode, keys, partition_by)
    at = event_time.astimezone(UTC).replace(tzinfo=None) if event_time.tzinfo else event_time
    write = _Write(table_uri.rstrip("/"), contract, mode, keys, partition_by, job_id, at)
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    if files:
        view(spark, files, base, contract, partition_by)
        ((found,),) = spark.sql(f"SELECT count(*) FROM {INCOMING}").collect()
        check_rows(found, expected)
        if mode in (WriteMode.MERGE, WriteMode.SCD2):
            _check_keys(spark, keys)
    _prepare(spark, write, exists=exists)
    ready()
    if files and expected:
        with _remembered(spark, write):
            _write(spark, write)


def view(spark: Any, files: Sequence[str], base: str, contract: Contract, by: Sequence[str]) -> None:
    """Define the view of the run's rows, with the contract's columns, typed."""
    schema = ", ".join(f"{quote(column.name)} {type_name(column.type)}" for column in contract.columns)
    rows = spark.read.schema(schema).option("basePath", base).parquet(*files)
    rows.createOrReplaceTempView("staged")
    columns = []
    for column in contract.columns:
        name = quote(column.name)
        if column.name in by and type_name(column.type) == "STRING":
            # Delta knows no empty text in a partition: it reads as null.
            columns.append(f"NULLIF(NULLIF({name}, {text(HIVE_NULL)}), '') AS {name}")
        else:
            columns.append(name)
    spark.sql(f"SELECT {', '.join(columns)} FROM staged").createOrReplaceTempView(INCOMING)


def _check_keys(spark: Any, keys: Sequence[str]) -> None:
    listed = ", ".join(map(quote, keys))
    null = " OR ".join(f"{quote(key)} IS NULL" for key in keys)
    ((empty,),) = spark.sql(f"SELECT count(*) FROM {INCOMING} WHERE {null}").collect()
    if empty:
        raise DeltaWriteError(f"{empty:,} rows of the run have no value of the key {', '.join(keys)}")
    again = spark.sql(
        f"SELECT {listed}, count(*) AS n FROM {INCOMING} GROUP BY {listed} HAVING count(*) > 1 "
        f"ORDER BY {listed} LIMIT 1"
    ).collect()
    if again:
        named = ", ".join(f"{key}={value}" for key, value in zip(keys, again[0], strict=False))
        raise DeltaWriteError(
            f"the run has {again[0][-1]:,} rows of the key {named}; say which one stays with a deduplicate step"
        )


def _prepare(spark: Any, write: _Write, *, exists: bool) -> None:
    """Make the table, or add columns to it, by an append of no rows.

    Raises:
        DeltaWriteError: A column is there with another type, or differs in case.
    """
    wanted = table_columns(write.contract, write.mode)
    if exists:
        there = {
            field.name: field.dataType.simpleString()
            for field in spark.read.format("delta").load(write.uri).schema.fields
        }
        if not _lacks(write, wanted, there):
            return
    nulls = ", ".join(f"CAST(NULL AS {type_name(c.type)}) AS {quote(c.name)}" for c in wanted)
    nothing = spark.sql(f"SELECT {nulls} LIMIT 0").write.format("delta").mode("append")
    nothing.option("mergeSchema", "true").partitionBy(*write.partition_by).save(write.uri)


def _lacks(write: _Write, wanted: Iterable[Column], there: dict[str, str]) -> bool:
    spelled = {name.lower(): name for name in there}
    lacking = False
    for column in wanted:
        kind = type_name(column.type).lower().replace("`", "").replace(": ", ":").replace(", ", ",")
        if column.name not in there:
            if column.name.lower() in spelled:
                raise DeltaWriteError(
                    f"{write.uri} has the column {spelled[column.name.lower()]!r}; {column.name!r} differs "
                    "from it in case alone"
                )
            lacking = True
        elif there[column.name].lower() != kind:
            raise DeltaWriteError(
                f"{write.uri}: the column {column.name!r} is {there[column.name]} there, and {kind} in "
                f"{write.contract.name}; only added columns are taken up"
            )
    return lacking


@contextmanager
def _remembered(spark: Any, write: _Write) -> Iterator[None]:
    values = (transaction_id(write.job_id), str(TRANSACTION_VERSION))
    for name, value in zip(_TRANSACTION, values, strict=True):
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name in _TRANSACTION:
            spark.conf.unset(name)


def _write(spark: Any, write: _Write) -> None:
    """Run the one statement that changes rows."""
    match write.mode:
        case WriteMode.APPEND:
            rows = spark.table(INCOMING).write.format("delta").mode("append")
            rows = rows.option("txnAppId", transaction_id(write.job_id)).option(
                "txnVersion", TRANSACTION_VERSION
            )
            rows.partitionBy(*write.partition_by).save(write.uri)
            return
        case WriteMode.OVERWRITE_PARTITIONS:
            # One commit. Dynamic partition overwrite is a setting that not every engine heeds.
            statement = (
                f"MERGE INTO {write.table} AS t USING {INCOMING} AS s ON false "
                f"WHEN NOT MATCHED BY SOURCE AND ({_partitions(spark, write)}) THEN DELETE {_insert(write.names)}"
            )
        case WriteMode.MERGE:
            statement = (
                f"MERGE INTO {write.table} AS t USING {INCOMING} AS s ON {_same(write.keys, 't')} "
                f"{_update(write)}{_insert(write.names)}"
            )
        case WriteMode.SCD2:
            statement = _scd2(write)
    spark.sql(statement).collect()


def _partitions(spark: Any, write: _Write) -> str:
    """Return the condition of the table's rows in the partitions of the run."""
    types = {column.name: type_name(column.type) for column in write.contract.columns}
    listed = ", ".join(f"CAST({quote(name)} AS STRING)" for name in write.partition_by)
    conditions = []
    for values in sorted(spark.sql(f"SELECT DISTINCT {listed} FROM {INCOMING}").collect(), key=repr):
        each = [
            f"t.{quote(name)} IS NULL"
            if value is None
            else f"t.{quote(name)} = CAST({text(value)} AS {types[name]})"
            for name, value in zip(write.partition_by, values, strict=True)
        ]
        conditions.append("(" + " AND ".join(each) + ")")
    return " OR ".join(conditions)


def _scd2(write: _Write) -> str:
    """Return the merge whose source holds every row that changed twice: to close one, and to insert one."""
    moment = f"TIMESTAMP_NTZ {text(write.at.isoformat(sep=' '))}"
    listed = ", ".join(f"s.{quote(name)}" for name in write.names)
    values = [name for name in write.names if name not in write.keys]
    differs = " OR ".join(f"NOT (s.{quote(v)} <=> c.{quote(v)})" for v in values) or "false"
    current = f"(SELECT * FROM {write.table} WHERE {quote(IS_CURRENT)})"
    there = f"{INCOMING} AS s LEFT JOIN {current} AS c ON {_same(write.keys, 'c')}"
    changed = f"SELECT {listed} FROM {there} WHERE c.{quote(IS_CURRENT)} IS NULL OR {differs}"
    source = (
        f"SELECT *, false AS {CLOSES} FROM ({changed}) UNION ALL SELECT *, true AS {CLOSES} FROM ({changed})"
    )
    inserted = ", ".join(map(quote, (*write.names, VALID_FROM, VALID_TO, IS_CURRENT)))
    return (
        f"MERGE INTO {write.table} AS t USING ({source}) AS s "
        f"ON {_same(write.keys, 't')} AND t.{quote(IS_CURRENT)} AND s.{CLOSES} "
        f"WHEN MATCHED THEN UPDATE SET t.{quote(VALID_TO)} = {moment}, t.{quote(IS_CURRENT)} = false "
        f"WHEN NOT MATCHED AND NOT s.{CLOSES} THEN INSERT ({inserted}) "
        f"VALUES ({listed}, {moment}, CAST(NULL AS {type_name(HISTORY[1].type)}), true)"
    )


def _same(keys: Sequence[str], table: str) -> str:
    return " AND ".join(f"{table}.{quote(key)} = s.{quote(key)}" for key in keys)


def _update(write: _Write) -> str:
    values = [name for name in write.names if name not in write.keys]
    if not values:
        return ""
    return f"WHEN MATCHED THEN UPDATE SET {', '.join(f't.{quote(v)} = s.{quote(v)}' for v in values)} "


def _insert(names: Sequence[str]) -> str:
    listed = ", ".join(map(quote, names))
    return f"WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({', '.join(f's.{quote(n)}' for n in names)})"
