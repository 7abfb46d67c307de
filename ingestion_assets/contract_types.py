"""Polars dtype of a Pandera column -> neutral `DataType`, and what its values look like as JSON.

In: a dtype, and values that a model's author wrote as a check's arguments. Out: `DataType`, and JSON
values. What no engine, Parquet file and Data Catalog table share is refused with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from aws_runtime.contract import DataType, Field


class LoweringError(ValueError):
    """What cannot be lowered, and how to say it otherwise."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


_PLAIN: Mapping[Any, str] = {
    pl.String: "string",
    pl.Categorical: "string",
    pl.Enum: "string",
    pl.Boolean: "boolean",
    pl.Int8: "int8",
    pl.Int16: "int16",
    pl.Int32: "int32",
    pl.Int64: "int64",
    pl.UInt8: "uint8",
    pl.UInt16: "uint16",
    pl.UInt32: "uint32",
    pl.UInt64: "uint64",
    pl.Float32: "float32",
    pl.Float64: "float64",
    pl.Date: "date",
    pl.Binary: "binary",
}
_HINTS: Mapping[Any, str] = {
    pl.Time: "Spark and the Data Catalog have no time of day: use a string with str_matches, or microseconds",
    pl.Duration: "Parquet and the Data Catalog have no duration: use a number, with its unit in the name",
    pl.Object: "Declare the type of its values",
    pl.Null: "Declare the type that its values will have",
    pl.Int128: "Use Decimal(38, 0)",
}
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def data_type(dtype: Any) -> DataType:
    """Return the neutral type of a Polars dtype.

    Raises:
        LoweringError: For a type without a form that every engine shares.
    """
    if isinstance(dtype, pl.Struct):
        if not dtype.fields:
            raise LoweringError("a struct without fields", "Name its fields")
        return DataType("struct", fields=tuple(Field(f.name, data_type(f.dtype)) for f in dtype.fields))
    if isinstance(dtype, pl.List):
        return DataType("list", item=data_type(dtype.inner))
    if isinstance(dtype, pl.Array):
        # Its fixed width is a rule of the column; see `array_width`.
        if len(dtype.shape) > 1:
            raise LoweringError("an array of more than one dimension", "Use pl.List(pl.List(…))")
        return DataType("list", item=data_type(dtype.inner))
    if isinstance(dtype, pl.Decimal):
        return DataType("decimal", precision=dtype.precision or 38, scale=dtype.scale)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_unit == "ns":
            raise LoweringError(
                "a timestamp in nanoseconds", 'Tables have microseconds: use pl.Datetime("us")'
            )
        return DataType("timestamp", timezone=dtype.time_zone)
    base = dtype.base_type() if isinstance(dtype, pl.DataType) else dtype
    if base in _PLAIN:
        return DataType(_PLAIN[base])
    raise LoweringError(
        f"the type {dtype}, which not every engine has",
        _HINTS.get(base, "Use a type of docs/contracts.md, with its parameters"),
    )


def array_width(dtype: Any) -> int | None:
    """Width of a one-dimensional `pl.Array`, None for any other type."""
    return int(dtype.shape[0]) if isinstance(dtype, pl.Array) else None


def enum_values(dtype: Any) -> list[str] | None:
    """Categories of a `pl.Enum`, None for any other type."""
    return [str(v) for v in dtype.categories] if isinstance(dtype, pl.Enum) else None


def holds_closed_type(dtype: Any) -> bool:
    """Whether an Enum or an Array lies below the top, where no rule of a column reaches it."""
    if isinstance(dtype, pl.Struct):
        inner = [f.dtype for f in dtype.fields]
    elif isinstance(dtype, (pl.List, pl.Array)):
        inner = [dtype.inner]
    else:
        return False
    return any(isinstance(t, (pl.Enum, pl.Array)) or holds_closed_type(t) for t in inner)


def json_value(value: Any, kind: DataType) -> Any:  # noqa: PLR0911 - one case a type
    """Return one argument of a check as the JSON value that `aws_runtime.coercion.literal` reads.

    Raises:
        LoweringError: For a value that a column of `kind` cannot be compared with.
    """
    match kind.name:
        case "string" if isinstance(value, str):
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case name if name in _INTEGERS and _number(value, (int, float)):
            return value
        case "float32" | "float64" if _number(value, (int, float)):
            return float(value)
        case "decimal" if _number(value, (int, float, Decimal)):
            return _digits(value)
        case "date" if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat()
        case "timestamp" if isinstance(value, datetime) and (value.tzinfo is None) == (kind.timezone is None):
            return value.isoformat()
        case _:
            raise LoweringError(
                f"the argument {value!r}, which a column of type {kind} cannot be compared with",
                "Give a finite value of the column's own type",
            )


def _number(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool) and bool(Decimal(value).is_finite())  # type: ignore[arg-type] # `kinds` are numbers


def _digits(value: Any) -> str:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    text = format(number, "f")
    if sum(char.isdigit() for char in text) > 38:
        raise LoweringError(f"the argument {value}, of more than 38 digits", "Give a shorter number")
    return text
