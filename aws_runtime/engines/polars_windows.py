"""Rules on all rows of a frame: uniqueness, and sets of values. Found by passes of their own, streaming.

In: a lazy frame and what a `Translator` asks of it. Out: an expression for each row. A pass over the keys
keeps one 64-bit hash a row; which of those repeat is then looked at by the real keys, and where two keys
share a hash another seed is tried, so that no collision decides about a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aws_runtime.engines.polars_sql import Window

_HASH = "__hash"


@dataclass(frozen=True, slots=True)
class FrameWindows:
    """Computes windows over `frame`; each call reads it."""

    frame: pl.LazyFrame

    def __call__(self, window: Window) -> pl.Expr:
        """An expression of the window's value: of `COUNT`, whether it is 1 or 2 and more."""
        if window.name == "COUNT":
            return _count(self.frame, pl.struct(*(key.alias(f"k{i}") for i, key in enumerate(window.keys))))
        (value,) = window.keys
        found = self.frame.select(value.max().alias("x")).collect(engine="streaming")
        return pl.lit(found.item(), dtype=found.schema["x"])


def _count(frame: pl.LazyFrame, key: pl.Expr) -> pl.Expr:
    seed = 0
    while True:
        hashed = key.hash(seed)
        repeated = _repeated(frame.select(hashed.alias(_HASH)).collect(engine="streaming")[_HASH])
        if not len(repeated):
            return pl.lit(1)
        shared = hashed.is_in(repeated.implode())
        keys = frame.select(key.alias("key")).filter(key_hash(seed).is_in(repeated.implode()))
        most = keys.group_by(key_hash(seed).alias(_HASH)).agg(pl.col("key").n_unique().alias("n"))
        if most.select(pl.col("n").max()).collect(engine="streaming").item() == 1:
            return pl.when(shared).then(2).otherwise(1)
        seed += 1


def key_hash(seed: int) -> pl.Expr:
    """The hash of the column `key`."""
    return pl.col("key").hash(seed)


def _repeated(hashes: pl.Series) -> pl.Series:
    """The hashes that occur more than once; 8 bytes a row, and once more while they are sorted."""
    ordered = hashes.sort()
    return ordered.filter(ordered == ordered.shift()).unique()
