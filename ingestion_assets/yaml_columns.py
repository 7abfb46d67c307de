"""Columns of a `defs.yaml` -> a contract: a Pandera model without a class of anybody's.

In: names, types and simple checks. Out: a `pandera.polars.DataFrameModel`, or a `ColumnError`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any

import polars as pl

from aws_runtime.codec import decode
from ingestion_assets.errors import Where

TYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "boolean": pl.Boolean(),
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "uint8": pl.UInt8(),
    "uint16": pl.UInt16(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us"),
    "binary": pl.Binary(),
}
_DECIMAL = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_MOST_DIGITS = 38


class ColumnError(ValueError):
    """A column that cannot be meant: a type that is none, or a check without sense."""


@dataclass(frozen=True, slots=True)
class YamlColumn:
    """One column; each check is Pandera's of the same name (docs/contracts.md).

    Args:
        type: One of `TYPES`, or `decimal(12,2)`.
        nullable: Whether it may be null.
        unique: Whether no value comes twice in a run.
        description: For the catalog.
        ge: Least value.
        gt: Values are greater.
        le: Greatest value.
        lt: Values are less.
        isin: The only values.
        notin: No value of these.
        str_matches: A regular expression, from the value's beginning.
        str_contains: Likewise, anywhere.
        str_startswith: How it begins.
        str_endswith: How it ends.
        str_length: `min_value` and `max_value`, in characters.
    """

    type: str
    nullable: bool = False
    unique: bool = False
    description: str = ""
    ge: Any = None
    gt: Any = None
    le: Any = None
    lt: Any = None
    isin: tuple[Any, ...] = ()
    notin: tuple[Any, ...] = ()
    str_matches: str = ""
    str_contains: str = ""
    str_startswith: str = ""
    str_endswith: str = ""
    str_length: Mapping[str, int] = field(default_factory=dict)


#: Of `YamlColumn`, what is a check.
CHECKS = tuple(
    each.name for each in fields(YamlColumn) if each.name not in ("type", "nullable", "unique", "description")
)


_UNCHECKED = YamlColumn("string")


def column_of(name: str, given: Any) -> YamlColumn:
    """Read a column: its type alone, or an object with more.

    Raises:
        ColumnError: Naming the column and the key.
    """
    if isinstance(given, str):
        given = {"type": given}
    known = [each.name for each in fields(YamlColumn)]
    if not isinstance(given, Mapping):
        raise ColumnError(f"{name}: expected a type or an object, got {type(given).__name__}")
    unknown = [key for key in given if key not in known]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise ColumnError(f"{name}.{unknown[0]}: unknown key; {hint}")
    try:
        column = decode(YamlColumn, given, name)
    except ValueError as error:
        raise ColumnError(str(error)) from None
    polars_type(name, column)
    return column


def polars_type(name: str, column: YamlColumn) -> pl.DataType:
    """Return a column's type.

    Raises:
        ColumnError: There is no such type.
    """
    decimal = _DECIMAL.fullmatch(column.type)
    if decimal:
        digits, scale = int(decimal[1]), int(decimal[2])
        if not 1 <= digits <= _MOST_DIGITS or scale > digits:
            raise ColumnError(f"{name}.type: {column.type} has not 1 to 38 digits, or a scale above them")
        return pl.Decimal(digits, scale)
    if column.type not in TYPES:
        near = difflib.get_close_matches(column.type, TYPES, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(TYPES)}, decimal(12,2)"
        raise ColumnError(f"{name}.type: {column.type!r} is no type; {hint}")
    return TYPES[column.type]


def model_of(name: str, columns: Mapping[str, YamlColumn], doc: str, where: Where) -> type[Any]:
    """Return a Pandera model of columns; other columns are left out, and values coerced.

    Args:
        name: Of the class.
        columns: In order.
        doc: Of the class.
        where: Its `declared_at`, as it has no class statement.

    Raises:
        ColumnError: A check's value is not of its column's type.
    """
    import pandera.polars as pa  # noqa: PLC0415 - half a second that no pipeline without YAML pays

    schema = pa.DataFrameSchema(
        {
            column: pa.Column(
                polars_type(column, given),
                checks=list(_checks(column, given)),
                nullable=given.nullable,
                unique=given.unique,
                description=given.description or None,
            )
            for column, given in columns.items()
        },
        coerce=True,
    )

    def to_schema(_: type[Any]) -> pa.DataFrameSchema:
        return schema

    members: dict[str, Any] = {"__doc__": doc, "__module__": __name__, "to_schema": classmethod(to_schema)}
    members["declared_at"] = where
    return type(name, (pa.DataFrameModel,), members)


def _checks(name: str, column: YamlColumn) -> Iterator[Any]:
    import pandera.polars as pa  # noqa: PLC0415 - as above

    for check in CHECKS:
        value = getattr(column, check)
        if value == getattr(_UNCHECKED, check):
            continue
        make = getattr(pa.Check, check)
        try:
            if check == "str_length":
                yield make(**value)
            elif check in ("isin", "notin"):
                yield make([_value(name, check, column, each) for each in value])
            elif check.startswith("str_"):
                yield make(value)
            else:
                yield make(_value(name, check, column, value))
        except (TypeError, ValueError) as error:
            if isinstance(error, ColumnError):
                raise
            raise ColumnError(f"{name}.{check}: {' '.join(str(error).split())}") from None


def _value(name: str, check: str, column: YamlColumn, value: Any) -> Any:
    """Return a check's value as the column's type has it: YAML's dates are texts here."""
    kinds = {"date": date, "timestamp": datetime}
    kind = kinds.get(column.type)
    if kind is None:
        return value
    try:
        return kind.fromisoformat(str(value))
    except ValueError:
        raise ColumnError(f"{name}.{check}: {value!r} is no {column.type}; write 2024-07-01") from None
