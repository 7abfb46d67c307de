"""Statistics of a column chunk -> nulls, least and greatest value, in Python's types.

In: a chunk's statistics as Thrift has them, and the leaf that they are of. Out: what they say for
certain; a bound that is cut, unreadable or absent is None.
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift (Statistics)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from aws_runtime.contract import DataType

#: Writers cut longer texts, and older ones do not say that they did.
_WHOLE_BYTES = 64
_FORMATS = {"INT32": "<i", "INT64": "<q", "FLOAT": "<f", "DOUBLE": "<d"}
_DIGITS = Context(prec=80)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a timestamp without a zone has none


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the statistics of one chunk, or of several, say.

    Args:
        nulls: None where nobody counted.
        least: None where unknown.
        greatest: Likewise.
    """

    nulls: int | None
    least: Any = None
    greatest: Any = None


def read_bounds(statistics: Any, physical: str, kind: DataType, *, milliseconds: bool = False) -> Bounds:
    """Return what the statistics of one chunk say.

    Args:
        statistics: Of the chunk, or None.
        physical: How values are stored.
        kind: What they mean.
        milliseconds: Whether a timestamp counts those, and not microseconds.
    """
    if not isinstance(statistics, Mapping):
        return Bounds(None)
    nulls = statistics.get(3)
    least = _value(statistics.get(6, statistics.get(2)), physical, kind, milliseconds)
    greatest = _value(statistics.get(5, statistics.get(1)), physical, kind, milliseconds)
    if statistics.get(8) is False or statistics.get(7) is False or least is None or greatest is None:
        least = greatest = None
    return Bounds(nulls if isinstance(nulls, int) and nulls >= 0 else None, least, greatest)


def _value(data: Any, physical: str, kind: DataType, milliseconds: bool) -> Any:
    if not isinstance(data, bytes):
        return None
    try:
        return _meaning(_stored(data, physical), kind, milliseconds)
    except (ValueError, OverflowError, struct.error):
        return None  # what cannot be read says nothing


def _stored(data: bytes, physical: str) -> Any:
    if physical in _FORMATS:
        return struct.unpack(_FORMATS[physical], data)[0]
    if physical == "BOOLEAN":
        return bool(data[0]) if len(data) == 1 else None
    return data if physical.endswith("BYTE_ARRAY") and len(data) < _WHOLE_BYTES else None


def _meaning(stored: Any, kind: DataType, milliseconds: bool) -> Any:  # noqa: PLR0911 - one case a type
    if stored is None:
        return None
    match kind.name:
        case "string":
            return stored.decode("utf-8")
        case "date":
            return date(1970, 1, 1) + timedelta(days=stored)
        case "timestamp":
            step = timedelta(milliseconds=1) if milliseconds else timedelta(microseconds=1)
            moment = _EPOCH + stored * step
            return moment.replace(tzinfo=UTC) if kind.timezone else moment
        case "decimal":
            number = int.from_bytes(stored, "big", signed=True) if isinstance(stored, bytes) else stored
            return Decimal(number).scaleb(-(kind.scale or 0), _DIGITS)
        case "float32" | "float64":
            return None if math.isnan(stored) else stored
        case name if name.startswith("uint"):
            return stored & ((1 << int(name.removeprefix("uint"))) - 1)
        case _:
            return stored


def together(groups: list[tuple[int, Bounds]]) -> Bounds:
    """Return what the statistics of all row groups say together; of no row group, no nulls and no bounds.

    Args:
        groups: Of each, its rows and what its statistics say.
    """
    nulls = [one.nulls for _, one in groups]
    held = [one for rows, one in groups if one.nulls != rows]  # the others hold nothing but nulls
    known = bool(held) and all(one.least is not None for one in held)
    return Bounds(
        None if None in nulls else sum(n for n in nulls if n is not None),
        min(one.least for one in held) if known else None,
        max(one.greatest for one in held) if known else None,
    )
