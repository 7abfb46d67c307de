"""Delta tables in Lambda, first stage: a run's Parquet files -> the view `incoming` of a DuckDB connection.

In: `s3://` URIs or local paths, with the partition folders in them. Out: one row a row of the files, with the
contract's columns, typed; and answers about them: how many, which partitions, which key comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from aws_runtime import storage
from aws_runtime.contract import Contract
from aws_runtime.curation.delta_sql import INCOMING, DeltaWriteError
from aws_runtime.engines import Limits
from aws_runtime.engines.duckdb_dialect import quote, text, type_name
from aws_runtime.events import S3Object
from aws_runtime.partitions import HIVE_NULL


@contextmanager
def opened(
    files: Sequence[str], contract: Contract, partition_by: Sequence[str], folder: Path, limits: Limits
) -> Iterator[Any]:
    """Open a DuckDB connection with the view `incoming`.

    Args:
        files: The run's Parquet files; one of S3 is copied to `folder` first.
        contract: Its columns are the view's.
        partition_by: Columns that stand in the folders' names rather than in the files.
        folder: For copies and for spilling.
        limits: Memory and threads.

    Raises:
        DeltaWriteError: A column of the contract is in neither the files nor their folders.
    """
    paths = _local(files, folder)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{limits.memory_bytes}B",
        "threads": limits.threads,
        "temp_directory": str(folder / "spill"),
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        connection.execute("SET enable_progress_bar = false")  # a log is no terminal
        _define(connection, paths, contract, partition_by)
        yield connection
    finally:
        connection.close()


def _local(files: Sequence[str], folder: Path) -> list[str]:
    """Copy what is in S3, each below a folder of its own, with the names of its partitions' folders."""
    found: list[str] = []
    wanted: list[tuple[S3Object, Path]] = []
    for position, uri in enumerate(files):
        if not uri.startswith("s3://"):
            found.append(uri)
            continue
        bucket, key = storage.parse_uri(uri)
        hive = [part for part in key.split("/")[:-1] if "=" in part]
        target = folder.joinpath(f"{position:05d}", *hive, "rows.parquet")
        target.parent.mkdir(parents=True)
        wanted.append((storage.describe(S3Object(bucket, key)), target))
        found.append(str(target))
    storage.check_fits((item for item, _ in wanted), storage.room(folder))
    if wanted:
        storage.each(lambda pair: storage.download(*pair), wanted)
    return found


def _define(connection: Any, paths: Sequence[str], contract: Contract, partition_by: Sequence[str]) -> None:
    if not paths:
        nothing = ", ".join(f"NULL::{type_name(c.type)} AS {quote(c.name)}" for c in contract.columns)
        connection.execute(f"CREATE TEMP VIEW {INCOMING} AS SELECT {nothing} WHERE false")
        return
    hive = ", hive_partitioning = true, hive_types_autocast = false" if partition_by else ""
    source = f"read_parquet([{', '.join(map(text, paths))}], union_by_name = true{hive})"
    there = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    missing = [column.name for column in contract.columns if column.name not in there]
    if missing:
        raise DeltaWriteError(f"the run's files lack the columns {', '.join(missing)} of {contract.name}")
    columns = []
    for column in contract.columns:
        value, kind = quote(column.name), type_name(column.type)
        if column.name in partition_by:
            value = f"NULLIF({value}::VARCHAR, {text(HIVE_NULL)})"
        value = f"CAST({value} AS {kind})"
        if column.name in partition_by and kind == "VARCHAR":
            value = f"NULLIF({value}, '')"  # Delta knows no empty text in a partition: it reads as null
        columns.append(f"{value} AS {quote(column.name)}")
    connection.execute(f"CREATE TEMP VIEW {INCOMING} AS SELECT {', '.join(columns)} FROM {source}")


def count(connection: Any) -> int:
    """Return the number of rows."""
    found: int = connection.execute(f"SELECT count(*) FROM {INCOMING}").fetchall()[0][0]
    return found


def partitions(connection: Any, partition_by: Sequence[str]) -> list[tuple[str | None, ...]]:
    """Return the partitions of the rows, as texts, in order."""
    listed = ", ".join(f"{quote(name)}::VARCHAR" for name in partition_by)
    rows: list[tuple[str | None, ...]] = connection.execute(
        f"SELECT DISTINCT {listed} FROM {INCOMING} ORDER BY ALL"
    ).fetchall()
    return rows


def check_keys(connection: Any, keys: Sequence[str]) -> None:
    """Check that each row has a key, which no other row has.

    Raises:
        DeltaWriteError: With the first key, and how often it comes.
    """
    listed = ", ".join(map(quote, keys))
    null = " OR ".join(f"{quote(key)} IS NULL" for key in keys)
    empty = connection.execute(f"SELECT count(*) FROM {INCOMING} WHERE {null}").fetchall()[0][0]
    if empty:
        raise DeltaWriteError(f"{empty:,} rows of the run have no value of the key {', '.join(keys)}")
    again = connection.execute(
        f"SELECT {listed}, count(*) FROM {INCOMING} GROUP BY {listed} HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
    ).fetchall()
    if again:
        named = ", ".join(f"{key}={value}" for key, value in zip(keys, again[0], strict=False))
        raise DeltaWriteError(
            f"the run has {again[0][-1]:,} rows of the key {named}; say which one stays with a deduplicate step"
        )
