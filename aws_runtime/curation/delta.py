"""Delta tables in Lambda: a run's Parquet files -> one commit of a table, once.

In: files, the table's place, how their rows meet those that are there. Out: a `DeltaCommit`. The commit carries
the run's transaction identifier, so a run that is repeated changes nothing; a commit that meets another one is
made anew from the newest version. Needs deltalake and DuckDB, and no pyarrow.
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from aws_runtime.contract import Contract
from aws_runtime.curation import delta_rows
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.delta_sql import (
    CLOSES,
    INCOMING,
    TRANSACTION_VERSION,
    DeltaWriteError,
    check,
    check_rows,
    transaction_id,
)
from aws_runtime.curation.delta_table import Place, evolved, opened, storage_options
from aws_runtime.curation.keyed import IS_CURRENT, VALID_FROM, VALID_TO
from aws_runtime.engines import Limits
from aws_runtime.engines.duckdb_dialect import quote, text, type_name

#: Commits that may fail because another writer was faster.
ATTEMPTS = 20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class DeltaCommit:
    """What a write did.

    Args:
        version: The table's version after it.
        rows: Rows of the run.
        repeated: Whether the run was in the table already, so that nothing was written.
        added_columns: Columns that the table did not have before.
    """

    version: int
    rows: int
    repeated: bool = False
    added_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Write:
    """One run into one table."""

    place: Place
    keys: Sequence[str]
    job_id: str
    event_time: datetime
    ready: Callable[[], None]

    @property
    def table_uri(self) -> str:
        """Where the table is."""
        return self.place.uri

    @property
    def contract(self) -> Contract:
        """Columns of the rows."""
        return self.place.contract

    @property
    def partition_by(self) -> Sequence[str]:
        """Partition columns."""
        return self.place.partition_by

    @property
    def properties(self) -> CommitProperties:
        """The run's identity, which the table remembers; conflicts are ours to settle."""
        return CommitProperties(
            custom_metadata={"job_id": self.job_id},
            app_transactions=[Transaction(transaction_id(self.job_id), TRANSACTION_VERSION)],
        )


def write_delta(
    files: Sequence[str],
    *,
    table_uri: str,
    contract: Contract,
    mode: WriteMode,
    keys: Sequence[str] = (),
    partition_by: Sequence[str] = (),
    job_id: str,
    event_time: datetime,
    expected: int | None = None,
    limits: Limits | None = None,
    ready: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> DeltaCommit:
    """Write a run's files into a Delta table, in one commit; the table is made where there is none.

    Args:
        files: Parquet files, `s3://` URIs or local paths, with their partition folders.
        table_uri: `s3://bucket/prefix` or a local folder.
        contract: Columns of the rows; a column that the table lacks is added to it.
        mode: How the rows meet those that are there.
        keys: Of merge and scd2: what identifies a row.
        partition_by: Partition columns, outermost first; only a new table takes them.
        job_id: The run; writing it again changes nothing.
        event_time: Since when the rows are true, for scd2; with a zone it is taken to UTC.
        expected: Rows of the files, where that is known.
        limits: Memory, threads, and where to spill; by default what the function has.
        ready: Called once the table is there and has the columns, before the commit of the rows.
        sleep: For tests.

    Raises:
        DeltaWriteError: Rows or columns that do not fit, or other writers were faster each time.
    """
    check(contract, mode, keys, partition_by)
    place = Place(table_uri.rstrip("/"), contract, mode, partition_by, storage_options())
    write = _Write(place, keys, job_id, _utc(event_time), ready)
    given = limits or _own_limits()
    with (
        tempfile.TemporaryDirectory(prefix="delta-", dir=given.spill_directory) as folder,
        delta_rows.opened(files, contract, partition_by, Path(folder), given) as rows,
    ):
        count = delta_rows.count(rows)
        check_rows(count, count if expected is None else expected)
        if mode in (WriteMode.MERGE, WriteMode.SCD2):
            delta_rows.check_keys(rows, keys)
        return _settled(rows, write, count, sleep)


def _settled(rows: Any, write: _Write, count: int, sleep: Callable[[float], None]) -> DeltaCommit:
    """Try from the newest version until the commit is in; added columns of all attempts are told."""
    added: dict[str, None] = {}
    for attempt in range(ATTEMPTS):
        if attempt:
            pause = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
            sleep(pause * (0.5 + random.random() / 2))  # noqa: S311 - jitter
        try:
            table = opened(write.place)
            if table.transaction_version(transaction_id(write.job_id)) is not None:
                return DeltaCommit(table.version(), count, repeated=True)
            added |= dict.fromkeys(evolved(table, write.place))
            write.ready()
            if count:
                before = table.version()
                _WRITERS[write.place.mode](rows, table, write)
                if table.version() == before:
                    _remember(table, write)
            return DeltaCommit(table.version(), count, added_columns=tuple(added))
        except CommitFailedError as error:
            said = str(error)
    raise DeltaWriteError(f"{write.table_uri}: {ATTEMPTS} times another writer was faster; the last: {said}")


def _remember(table: DeltaTable, write: _Write) -> None:
    """Commit the run's transaction alone: a merge that finds nothing to change makes no commit of its own.

    Without it, the run repeated after another one would undo what that one wrote.
    """
    by = list(write.partition_by)
    table.create_write_transaction([], "append", table.schema(), by, commit_properties=write.properties)
    table.update_incremental()


def read_delta(table_uri: str, sql: str = "SELECT * FROM t") -> Any:
    """Read a table back as a stream of Arrow batches; `sql` (DataFusion's) calls it `t`."""
    table = DeltaTable(table_uri.rstrip("/"), storage_options=storage_options())
    return QueryBuilder().register("t", table).execute(sql)


def _append(rows: Any, table: DeltaTable, write: _Write) -> None:
    write_deltalake(table, rows.table(INCOMING), mode="append", commit_properties=write.properties)


def _overwrite(rows: Any, table: DeltaTable, write: _Write) -> None:
    """Replace the partitions of the rows: the predicate is what is deleted, in the same commit."""
    types = {column.name: type_name(column.type) for column in write.contract.columns}
    conditions = []
    for values in delta_rows.partitions(rows, write.partition_by):
        each = [
            f"{quote(name)} IS NULL"
            if value is None
            else f"{quote(name)} = CAST({text(value)} AS {types[name]})"
            for name, value in zip(write.partition_by, values, strict=True)
        ]
        conditions.append("(" + " AND ".join(each) + ")")
    write_deltalake(
        table,
        rows.table(INCOMING),
        mode="overwrite",
        predicate=" OR ".join(conditions),
        commit_properties=write.properties,
    )


def _merge(rows: Any, table: DeltaTable, write: _Write) -> None:
    names = [column.name for column in write.contract.columns]
    values = {name: f"s.{quote(name)}" for name in names}
    merger = table.merge(
        rows.table(INCOMING),
        _same(write.keys),
        source_alias="s",
        target_alias="t",
        commit_properties=write.properties,
    )
    changed = {quote(name): values[name] for name in names if name not in write.keys}
    if changed:
        merger = merger.when_matched_update(changed)
    merger.when_not_matched_insert({quote(name): value for name, value in values.items()}).execute()


def _scd2(rows: Any, table: DeltaTable, write: _Write) -> None:
    """Merge a source that holds every changed row twice: to close the one that is there, and to insert one.

    What changed is found against the version that the merge starts from, so a commit in between is a conflict.
    """
    names = [column.name for column in write.contract.columns]
    source = rows.sql(_changed(rows, table, write, names))
    moment = f"CAST({text(write.event_time.isoformat(sep=' '))} AS TIMESTAMP)"
    inserted = {quote(name): f"s.{quote(name)}" for name in names}
    inserted |= {quote(VALID_FROM): moment, quote(VALID_TO): "NULL", quote(IS_CURRENT): "true"}
    (
        table.merge(
            source,
            f"{_same(write.keys)} AND t.{quote(IS_CURRENT)} = true AND s.{quote(CLOSES)} = true",
            source_alias="s",
            target_alias="t",
            commit_properties=write.properties,
        )
        .when_matched_update({quote(VALID_TO): moment, quote(IS_CURRENT): "false"})
        .when_not_matched_insert(inserted, predicate=f"s.{quote(CLOSES)} = false")
        .execute()
    )


def _changed(rows: Any, table: DeltaTable, write: _Write, names: Sequence[str]) -> str:
    """Keep the rows that are new or differ as a table of the connection; return the merge's source."""
    listed = ", ".join(map(quote, names))
    current = QueryBuilder().register("t", table).execute(f"SELECT {listed} FROM t WHERE {quote(IS_CURRENT)}")
    rows.from_arrow(current).create_view("there", replace=True)
    differs = [
        f"i.{quote(name)} IS DISTINCT FROM c.{quote(name)}" for name in names if name not in write.keys
    ]
    same = " AND ".join(f"i.{quote(key)} = c.{quote(key)}" for key in write.keys)
    known = f"c.{quote(write.keys[0])}"
    rows.execute(
        f"CREATE OR REPLACE TEMP TABLE changed AS SELECT i.*, {known} IS NOT NULL AS known "
        f"FROM {INCOMING} AS i LEFT JOIN there AS c ON {same} "
        f"WHERE {' OR '.join([f'{known} IS NULL', *differs])}"
    )
    rows.execute("DROP VIEW there")
    return (
        f"SELECT {listed}, false AS {quote(CLOSES)} FROM changed "
        f"UNION ALL SELECT {listed}, true AS {quote(CLOSES)} FROM changed WHERE known"
    )


_WRITERS: Mapping[WriteMode, Callable[[Any, DeltaTable, _Write], None]] = {
    WriteMode.APPEND: _append,
    WriteMode.OVERWRITE_PARTITIONS: _overwrite,
    WriteMode.MERGE: _merge,
    WriteMode.SCD2: _scd2,
}


def _same(keys: Sequence[str]) -> str:
    return " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in keys)


def _utc(given: datetime) -> datetime:
    return given.astimezone(UTC).replace(tzinfo=None) if given.tzinfo else given


def _own_limits() -> Limits:
    """Return half of the function's memory for DuckDB; deltalake has the other half."""
    megabytes = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2048"))
    return Limits(megabytes * 1024 * 1024 // 2, os.cpu_count() or 1, tempfile.gettempdir())
