"""Polars' last stage: good and bad rows -> Parquet, in one pass over the input, under names that repeat.

In: lazy frames. Out: staged files, renamed into place when all are complete, so that a reader never sees
half a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from aws_runtime.contract import Contract
from aws_runtime.engines import WrittenFile
from aws_runtime.engines.polars_dialect import as_text, dtype_of, type_name
from aws_runtime.errors import RowsNotConserved
from aws_runtime.partitions import HIVE_NULL, partition_folder
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
#: Rows that each partition gathers before they are written. With the default, 28 dates of a gigabyte of
#: orders took 900 MB instead of 510, and no less time.
_PARTITION_ROWS = 20_000
#: Rows of quarantine that are encoded at once: few bad rows must not hold on to the buffers that they came from.
_BAD_ROWS = 2_000


#: Partitions written at once: each holds some megabytes of encoders and rows.
_OPEN = 32


class CrowdedError(Exception):
    """More partitions than are written at once: run again, `Staged` knows."""


@dataclass(slots=True)
class Staged:
    """Files of the good rows, before they are in their place.

    Args:
        folder: Where they are staged.
        partition_by: Their partitions.
        compression: Their codec.
        crowded: Whether there are too many partitions to write in one go; found out on the way.
        done: Whether a file of all rows is complete, from which partitions are written some at a time.
        files: Staged path -> rows, once written.
        values: Staged path -> partition values.
    """

    folder: Path
    partition_by: Sequence[PartitionPlan]
    compression: Any
    crowded: bool = False
    done: bool = False
    files: dict[str, int] = field(default_factory=dict)
    values: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """Columns that hold the partitions' values, which are text."""
        return [f"__p{number}" for number in range(len(self.partition_by))]

    def sink(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Plan to write `frame` by its partitions, or into one file."""
        target: Any = self.folder / "rows.parquet"
        rows: int | None = None
        if self.keys and (self.done or not self.crowded):
            rows = _PARTITION_ROWS
            target = pl.PartitionBy(
                self.folder,
                file_path_provider=self._place,
                key=self.keys,
                include_key=False,
                approximate_bytes_per_file=None,
            )
        return frame.sink_parquet(
            target,
            compression=self.compression,
            row_group_size=rows,
            lazy=True,
            sinked_paths_callback=None if self.crowded and not self.done else self._note,
        )

    def distribute(self) -> None:
        """Write the partitions, where they are many, some at a time from a file of all rows."""
        if not self.crowded:
            return
        every = self.folder / "rows.parquet"
        found = pl.scan_parquet(every, glob=False).select(self.keys).unique().collect(engine="streaming")
        self.done = True
        self.values.clear()
        for some in found.sort(self.keys).iter_slices(_OPEN):
            rows = pl.scan_parquet(every, glob=False).join(
                some.lazy(), on=self.keys, how="semi", nulls_equal=True, maintain_order="left"
            )
            self.sink(rows).collect(engine="streaming")

    def _note(self, done: Any) -> None:
        self.files.update({str(file.path): file.num_rows for file in done.paths})

    def _place(self, asked: Any) -> str:
        if not self.done and (self.crowded or len(self.values) >= _OPEN):
            self.crowded = True
            raise CrowdedError
        values = asked.partition_keys.row(0)
        name = f"{len(self.values)}.parquet"
        named = zip(self.partition_by, values, strict=True)
        self.values[str(self.folder / name)] = {by.name: value or HIVE_NULL for by, value in named}
        return name


def stage_good(
    valid: pl.LazyFrame,
    contract: Contract,
    partition_by: Sequence[PartitionPlan],
    compression: str,
    folder: Path,
) -> tuple[Staged, pl.LazyFrame]:
    """Prepare to write the contract's columns of `valid` into `folder`, which is there and empty.

    `Staged.sink` plans it, `pl.collect_all` runs the plan, and `Staged.distribute` completes it.
    """
    held = {by.name for by in partition_by}
    columns = [pl.col(c.name) for c in contract.columns if c.name not in held]
    staged = Staged(folder, partition_by, compression)
    keys = [_value(by, contract).alias(name) for by, name in zip(partition_by, staged.keys, strict=True)]
    return staged, valid.select(*columns, *keys)


def _value(by: PartitionPlan, contract: Contract) -> pl.Expr:
    kind = next(c.type for c in contract.columns if c.name == by.column)
    value = pl.col(by.column)
    if kind.name == "timestamp":
        # Hive's timestamps, and so the catalog's, are written without a zone.
        value = value.dt.replace_time_zone(None)
    if by.transform != "identity":
        return value.dt.strftime(_PARTS[by.transform])
    text = as_text(value, dtype_of(type_name(replace(kind, timezone=None))))
    # Neither has a folder of its own in Hive.
    return pl.when(~text.is_in(["", HIVE_NULL])).then(text)


def publish(staged: Staged, destination: Path, stem: str, codec: str) -> tuple[WrittenFile, ...]:
    """Rename into place: `part-<stem>.<codec>.parquet`, then `part-<stem>-1…` in the same partition."""
    found = list(_staged(staged))
    seen: dict[Path, int] = {}
    files = []
    for path, rows, values in found:
        place = destination / partition_folder(values)
        number = seen.get(place, 0)
        if not number:
            place.mkdir(parents=True, exist_ok=True)
            for old in place.glob(f"part-{stem}-*.parquet"):
                old.unlink()
        seen[place] = number + 1
        suffix = f"-{number}" if number else ""
        target = place / f"part-{stem}{suffix}.{codec}.parquet"
        path.replace(target)
        files.append(WrittenFile(str(target), rows, values))
    return tuple(files)


def _staged(staged: Staged) -> Iterator[tuple[Path, int, Mapping[str, str]]]:
    """Each staged file that has rows, by its partition."""
    files = [(Path(path), rows, staged.values.get(path, {})) for path, rows in staged.files.items() if rows]
    return iter(sorted(files, key=lambda file: (list(file[2].items()), len(file[0].name), file[0].name)))


def bad_sink(quarantined: pl.LazyFrame, target: str) -> pl.LazyFrame:
    """Plan to write the quarantined rows of one stage."""
    return quarantined.sink_parquet(target, compression="zstd", row_group_size=_BAD_ROWS, lazy=True)


def publish_bad(
    told: Sequence[pl.LazyFrame], rows: int, folder: Path, target: Path
) -> tuple[WrittenFile, ...]:
    """Write the quarantined rows of all stages into one file, and rename it into place; none without rows.

    Raises:
        RowsNotConserved: They are not as many as were counted.
    """
    if not rows:
        # A retry whose rows are all good leaves none of an earlier attempt behind.
        target.unlink(missing_ok=True)
        return ()
    staged = folder / "all.parquet"
    pl.concat(told).sink_parquet(staged, compression="zstd")
    kept = pl.scan_parquet(staged, glob=False).select(pl.len()).collect().item()
    if kept != rows:
        raise RowsNotConserved(f"{rows} rows to quarantine, {kept} written")
    staged.replace(target)
    return (WrittenFile(str(target), rows),)
