"""How rows meet the rows that are there: pure functions of lazy frames, the same on every engine.

In: the table as it is, the rows of a run, the columns that identify a row. Out: the table as it is to
be. Both are Narwhals LazyFrames of one engine; keys are never null, which the contract holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from typing import Any

import narwhals as nw

from aws_runtime.curation.keyed import IS_CURRENT, VALID_FROM, VALID_TO

__all__ = ["IS_CURRENT", "VALID_FROM", "VALID_TO", "late", "merge", "met", "scd2", "twice"]

Frame = nw.LazyFrame[Any]

#: Prefix of the columns of one side of a join; contracts refuse names that begin so.
_THERE = "__there_"
_CHANGED, _KNOWN, _COUNT = "__changed", "__known", "__count"


def merge(existing: Frame, incoming: Frame, keys: Sequence[str]) -> Frame:
    """Update rows of equal keys, insert the others; rows that do not come again stay.

    Args:
        existing: The table.
        incoming: At most one row a key, with the table's columns.
        keys: What identifies a row.
    """
    names = existing.collect_schema().names()
    kept = existing.join(incoming.select(*keys), on=list(keys), how="anti")
    return nw.concat([kept, incoming.select(*names)])


def scd2(existing: Frame, incoming: Frame, keys: Sequence[str], at: datetime) -> Frame:
    """Keep history: close the current row of a key where it differs, and insert the new one.

    The same rows at the same time change nothing, so a run that is repeated is harmless. A key that
    does not come again stays current.

    Args:
        existing: The table, with `valid_from`, `valid_to` (timestamps) and `is_current`.
        incoming: At most one row a key, with the table's other columns.
        keys: What identifies a row.
        at: Since when the incoming rows are true.
    """
    names = existing.collect_schema().names()
    types = existing.collect_schema()
    moment, forever = nw.lit(at), nw.lit(None)

    current = existing.filter(_is_current())
    history = existing.filter(~_is_current())
    compared = _compared(existing, incoming, keys)
    fresh = compared.filter(nw.col(_CHANGED)).with_columns(
        moment.cast(types[VALID_FROM]).alias(VALID_FROM),
        forever.cast(types[VALID_TO]).alias(VALID_TO),
        nw.lit(value=True).alias(IS_CURRENT),
    )
    replaced = compared.filter(nw.col(_CHANGED)).select(*keys)
    closed = current.join(replaced, on=list(keys), how="semi").with_columns(
        moment.cast(types[VALID_TO]).alias(VALID_TO), nw.lit(value=False).alias(IS_CURRENT)
    )
    untouched = current.join(replaced, on=list(keys), how="anti")
    return nw.concat([part.select(*names) for part in (history, untouched, closed, fresh)])


def met(existing: Frame, incoming: Frame, keys: Sequence[str], *, history: bool) -> Frame:
    """Return the keys of rows by which the table does not grow.

    Of a merge these are the rows of the table that are replaced; of scd2 (`history`) the incoming rows that
    change nothing. So the table has `existing + incoming - met` rows afterwards.
    """
    if not history:
        return existing.select(*keys).join(incoming.select(*keys), on=list(keys), how="semi")
    return _compared(existing, incoming, keys).filter(~nw.col(_CHANGED)).select(*keys)


def late(existing: Frame, incoming: Frame, keys: Sequence[str], at: datetime) -> Frame:
    """Return the keys of incoming rows that `scd2` would put before the current row that they change."""
    since = nw.col(_THERE + VALID_FROM)
    compared = _compared(existing, incoming, keys, VALID_FROM).filter(nw.col(_CHANGED))
    return compared.filter(since > nw.lit(at).cast(existing.collect_schema()[VALID_FROM])).select(*keys)


def twice(frame: Frame, keys: Sequence[str]) -> Frame:
    """Return the keys that come more than once, the least first, and how often."""
    counted = frame.group_by(*keys).agg(nw.len().alias(_COUNT))
    return counted.filter(nw.col(_COUNT) > 1).sort(*keys).select(*keys, nw.col(_COUNT))


def _compared(existing: Frame, incoming: Frame, keys: Sequence[str], *beside: str) -> Frame:
    """Put the current row of its key beside each incoming one: `_KNOWN`, and `_CHANGED` where it is another."""
    names = existing.collect_schema().names()
    values = [name for name in names if name not in (*keys, VALID_FROM, VALID_TO, IS_CURRENT)]
    there = existing.filter(_is_current()).select(
        *keys,
        *(nw.col(name).alias(_THERE + name) for name in (*values, *beside)),
        nw.lit(value=True).alias(_KNOWN),
    )
    joined = incoming.join(there, on=list(keys), how="left")
    return joined.with_columns((nw.col(_KNOWN).is_null() | _differs(values)).alias(_CHANGED))


def _is_current() -> nw.Expr:
    return nw.col(IS_CURRENT).fill_null(value=False)


def _differs(values: Sequence[str]) -> nw.Expr:
    """Whether any value is not what is there; null equals null."""

    def differs(name: str) -> nw.Expr:
        new, old = nw.col(name), nw.col(_THERE + name)
        other = (new != old).fill_null(value=False)
        return other | (new.is_null() != old.is_null())

    return reduce(lambda left, right: left | right, (differs(name) for name in values), nw.lit(value=False))
