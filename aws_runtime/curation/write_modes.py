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

Frame = nw.LazyFrame[Any]

#: Columns that SCD2 adds: since when a row has been true, until when (null: still), and whether it is.
VALID_FROM, VALID_TO, IS_CURRENT = "valid_from", "valid_to", "is_current"
#: Prefix of the columns of one side of a join; contracts refuse names that begin so.
_THERE = "__there_"
_CHANGED, _KNOWN = "__changed", "__known"


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
    added = (VALID_FROM, VALID_TO, IS_CURRENT)
    values = [name for name in names if name not in (*keys, *added)]
    moment, forever = nw.lit(at), nw.lit(None)
    types = existing.collect_schema()

    current = existing.filter(nw.col(IS_CURRENT))
    history = existing.filter(~nw.col(IS_CURRENT))
    there = current.select(
        *keys, *(nw.col(name).alias(_THERE + name) for name in values), nw.lit(value=True).alias(_KNOWN)
    )
    compared = (
        incoming.join(there, on=list(keys), how="left")
        .with_columns(nw.col(_KNOWN).is_null().alias(_KNOWN))
        .with_columns((nw.col(_KNOWN) | _differs(values)).alias(_CHANGED))
    )
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


def _differs(values: Sequence[str]) -> nw.Expr:
    """Whether any value is not what is there; null equals null."""

    def differs(name: str) -> nw.Expr:
        new, old = nw.col(name), nw.col(_THERE + name)
        other = (new != old).fill_null(value=False)
        return other | (new.is_null() != old.is_null())

    return reduce(lambda left, right: left | right, (differs(name) for name in values), nw.lit(value=False))
