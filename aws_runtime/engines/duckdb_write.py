"""DuckDB's last stage: views of good and bad rows -> Parquet under names that a retry repeats."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aws_runtime.contract import Contract
from aws_runtime.engines import WrittenFile
from aws_runtime.engines.duckdb_dialect import quote, text
from aws_runtime.partitions import HIVE_NULL, part_name, partition_folder
from aws_runtime.plan import PartitionPlan

#: strftime patterns of the parts of a date that name a folder.
_PARTS = {
    "day": "%Y-%m-%d",
    "month": "%Y-%m",
    "year": "%Y",
    "hour": "%Y-%m-%d-%H",
    "month_of_year": "%m",
    "day_of_month": "%d",
}


def write_good(
    connection: Any,
    view: str,
    contract: Contract,
    *,
    partition_by: Sequence[PartitionPlan],
    compression: str,
    destination: Path,
    stem: str,
) -> tuple[WrittenFile, ...]:
    """Write the contract's columns of `view` below `destination`; no file where there are no rows.

    Files are written to a folder beside their place and renamed when all are complete, so that a
    reader never sees half a file.
    """
    staging = destination / f".staging-{stem}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        written = _copy(
            connection, view, contract, partition_by=partition_by, compression=compression, staging=staging
        )
        return tuple(_publish(written, destination, stem, compression))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _copy(
    connection: Any,
    view: str,
    contract: Contract,
    *,
    partition_by: Sequence[PartitionPlan],
    compression: str,
    staging: Path,
) -> list[tuple[Path, int, dict[str, str]]]:
    """COPY into `staging`; returns path, rows and partition values of each file."""
    columns = [quote(c.name) for c in contract.columns]
    if partition_by:
        zoned = {c.name for c in contract.columns if c.type.timezone}
        derived = [f"{_value(by, by.column in zoned)} AS {quote(by.name)}" for by in partition_by]
        held = {by.name for by in partition_by}
        columns = [quote(c.name) for c in contract.columns if c.name not in held]
        layout = f"PARTITION_BY ({', '.join(quote(by.name) for by in partition_by)}), "
        query, target = f"SELECT {', '.join([*columns, *derived])} FROM {quote(view)}", staging
    else:
        layout, target = "", staging / "rows.parquet"
        query = f"SELECT {', '.join(columns)} FROM {quote(view)}"
    rows = connection.execute(
        f"COPY ({query}) TO {text(str(target))} "
        f"(FORMAT parquet, COMPRESSION {compression}, {layout}OVERWRITE_OR_IGNORE, RETURN_STATS)"
    ).fetchall()
    return [
        (Path(row[0]), row[1], {k: HIVE_NULL if v is None else v for k, v in (row[5] or {}).items()})
        for row in rows
        if row[1]
    ]


def _value(by: PartitionPlan, zoned: bool) -> str:
    # The session's zone is UTC; Hive's timestamps, and so the catalog's, are written without one.
    column = f"{quote(by.column)}::TIMESTAMP" if zoned else quote(by.column)
    return (
        # Neither has a folder of its own in Hive.
        f"NULLIF(NULLIF({column}::VARCHAR, ''), {text(HIVE_NULL)})"
        if by.transform == "identity"
        else f"strftime({column}, '{_PARTS[by.transform]}')"
    )


def _publish(
    written: Sequence[tuple[Path, int, dict[str, str]]], destination: Path, stem: str, compression: str
) -> list[WrittenFile]:
    """Rename into place: `part-<stem>.zstd.parquet`, then `part-<stem>-1.zstd.parquet` … in the same partition.

    The staged folders have DuckDB's escapes, which are more than Hive's.
    """
    files = []
    seen: dict[Path, int] = {}
    for path, rows, partition in sorted(written, key=lambda one: _natural(one[0])):
        place = destination / partition_folder(partition)
        number = seen.get(place, 0)
        if not number:
            place.mkdir(parents=True, exist_ok=True)
            for old in place.glob(f"part-{stem}-*.parquet"):
                old.unlink()
        seen[place] = number + 1
        target = place / part_name(stem, compression, number)
        path.replace(target)
        files.append(WrittenFile(str(target), rows, partition))
    return files


def _natural(path: Path) -> tuple[str, int, str]:
    return str(path.parent), len(path.name), path.name


def write_bad(connection: Any, views: Sequence[str], quarantine: Path, stem: str) -> tuple[WrittenFile, ...]:
    """Write the quarantined rows of all stages into one file; none where there are none."""
    target = quarantine / f"{stem}.parquet"
    if not views:
        # A retry whose rows are all good leaves none of an earlier attempt behind.
        target.unlink(missing_ok=True)
        return ()
    quarantine.mkdir(parents=True, exist_ok=True)
    staged = quarantine / f".{stem}.parquet"
    union = " UNION ALL ".join(f"SELECT * FROM {quote(view)}" for view in views)
    rows = connection.execute(
        f"COPY ({union}) TO {text(str(staged))} (FORMAT parquet, COMPRESSION zstd, RETURN_STATS)"
    ).fetchone()[1]
    staged.replace(target)
    return (WrittenFile(str(target), rows),)
