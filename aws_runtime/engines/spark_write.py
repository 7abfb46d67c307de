"""Spark rows -> Parquet files with the names that the project promises.

In: the good and the quarantined rows. Out: `<partition>=<value>/part-<stem>.<codec>.parquet` and, where
Spark wrote more than one file a partition, `part-<stem>-<n>.<codec>.parquet`; quarantine is
`<stem>.parquet`. Spark names its files itself, so they are staged in a hidden folder beside their place
and then moved.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aws_runtime.contract import Contract
from aws_runtime.engines import WrittenFile
from aws_runtime.engines.spark_dialect import SPARK
from aws_runtime.engines.spark_files import in_s3, join, move_all, parquet_below, remove
from aws_runtime.partitions import HIVE_NULL, part_name, partition_folder
from aws_runtime.plan import PartitionPlan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Rows of one file at most.
FILE_ROWS = 10_000_000
#: First character, from 1, and number of characters of an ISO date that a partition's value keeps.
_KEPT = {"day": (1, 10), "month": (1, 7), "year": (1, 4), "month_of_year": (6, 2), "day_of_month": (9, 2)}


def write_valid(
    valid: DataFrame,
    contract: Contract,
    *,
    partition_by: Sequence[PartitionPlan],
    compression: str,
    destination: str,
    stem: str,
) -> tuple[WrittenFile, ...]:
    """Write the good rows in the contract's columns, partitioned."""
    # Hive has no room for a column of a partition's name; its value is in the path.
    held = {by.name for by in partition_by}
    columns = [SPARK.quote(c.name) for c in contract.columns if c.name not in held]
    frame = valid.selectExpr(
        *columns, *(f"{partition_value(by)} AS {SPARK.quote(by.name)}" for by in partition_by)
    )
    # Gathers each partition's rows into few files, and splits the partitions that are too large.
    keys = ", ".join(SPARK.quote(by.name) for by in partition_by)
    hint = f"REBALANCE({keys})" if keys else "REBALANCE"
    frame = frame.sparkSession.sql(f"SELECT /*+ {hint} */ * FROM {{frame}}", frame=frame)
    named = functools.partial(part_name, stem, compression)
    return _write(frame, [by.name for by in partition_by], compression, destination, stem, named)


def write_quarantine(parts: Sequence[DataFrame], folder: str, stem: str) -> tuple[WrittenFile, ...]:
    """Write the quarantined rows of all stages into one file, in the order of their position."""
    if not parts:
        return ()
    frame = parts[0]
    for part in parts[1:]:
        frame = frame.unionByName(part)
    frame = frame.coalesce(1).sortWithinPartitions("stage", "source_uri", "source_row")
    return _write(
        frame,
        [],
        "zstd",
        folder,
        stem,
        lambda number: f"{stem}-{number}.parquet" if number else f"{stem}.parquet",
    )


def partition_value(by: PartitionPlan) -> str:
    """SQL text of a partition's value."""
    column = SPARK.quote(by.column)
    if by.transform == "identity":
        # Spark makes empty text null itself, but fails where this text and null meet in one folder.
        return f"NULLIF(CAST({column} AS STRING), {SPARK.text(HIVE_NULL)})"
    if by.transform == "hour":
        return f"REPLACE(SUBSTR(CAST(CAST({column} AS TIMESTAMP) AS STRING), 1, 13), ' ', '-')"
    first, count = _KEPT[by.transform]
    return f"SUBSTR(CAST({column} AS STRING), {first}, {count})"


def _write(  # noqa: PLR0917 - what a writer needs
    frame: DataFrame,
    partition_by: Sequence[str],
    compression: str,
    folder: str,
    stem: str,
    named: Callable[[int], str],
) -> tuple[WrittenFile, ...]:
    # The hidden folder keeps readers and crawlers off; its child is there because Spark, too, warns of it.
    hidden = join(folder, f".staging-{stem}")
    staging = join(hidden, "files")
    target = staging if in_s3(staging) else f"file://{staging}"
    remove(hidden)
    try:
        writer = frame.write.option("compression", compression).option("maxRecordsPerFile", FILE_ROWS)
        writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
        (writer.partitionBy(*partition_by) if partition_by else writer).mode("overwrite").parquet(target)
        staged = parquet_below(staging)
        rows = _rows(frame.sparkSession, target, staged)
        # A file without rows is Spark's way to keep a schema; the catalog keeps ours.
        placed = list(_places([name for name in staged if rows[name]], named))
        move_all([(join(staging, name), join(folder, place)) for name, place, _ in placed])
    finally:
        remove(hidden)
    return tuple(WrittenFile(join(folder, place), rows[name], values) for name, place, values in placed)


def _places(staged: Sequence[str], named: Callable[[int], str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield (staged name, final name, partition values)."""
    seen: dict[str, int] = {}
    for name in staged:
        pairs = (part.partition("=") for part in name.split("/")[:-1])
        values = {unquote(key): unquote(value) for key, _, value in pairs}
        place = partition_folder(values)
        number = seen[place] = seen.get(place, -1) + 1
        yield name, place + named(number), values


def _rows(spark: Any, staging: str, staged: Sequence[str]) -> dict[str, int]:
    """Count the rows of each file from what was written, not from what was meant to be."""
    if not staged:
        return {}
    frame = spark.read.parquet(staging)
    counted = frame.groupBy("_metadata.file_path").count().collect()
    folder = "/".join(staging.split("/")[-2:])
    # One task gives its file the same name in every partition, so the path tells, not the name.
    by_name = {unquote(row[0]).rpartition(f"/{folder}/")[2]: int(row[1]) for row in counted}
    return {name: by_name.get(name, 0) for name in staged}
