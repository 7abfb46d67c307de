"""Polars' words for contracts (a `Dialect`), its types as neutral data, and casts as contracts mean them.

Polars runs no SQL here: `polars_sql` turns the SQL that `aws_runtime.rules` writes into expressions, so
the rules are written once for all engines. Functions that only this dialect has are named in capitals:
MATCHES, FINITE, IS_NAN, TO_DATE, TO_TIMESTAMP, TO_TIMESTAMPTZ, REPLACED, ITEMS, ENCODED.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

import polars as pl

from aws_runtime.coercion import lexical_form
from aws_runtime.contract import DataType, Field
from aws_runtime.dialect import Dialect

_TYPES = {
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    # Stored as the next wider signed type, as on every engine.
    "uint8": "SMALLINT",
    "uint16": "INTEGER",
    "uint32": "BIGINT",
    "uint64": "DECIMAL(20,0)",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "date": "DATE",
    "binary": "BLOB",
}
_NARROW_UNSIGNED = {"uint8": 2**8 - 1, "uint16": 2**16 - 1, "uint32": 2**32 - 1}

#: SQL type -> Polars' own.
DTYPES: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "BOOLEAN": pl.Boolean(),
    "TINYINT": pl.Int8(),
    "SMALLINT": pl.Int16(),
    "INTEGER": pl.Int32(),
    "BIGINT": pl.Int64(),
    "FLOAT": pl.Float32(),
    "DOUBLE": pl.Float64(),
    "DATE": pl.Date(),
    "TIMESTAMP": pl.Datetime("us"),
    "TIMESTAMPTZ": pl.Datetime("us", "UTC"),
    "BLOB": pl.Binary(),
}

_NEUTRAL: dict[Any, DataType] = {
    pl.String: DataType("string"),
    pl.Boolean: DataType("boolean"),
    pl.Int8: DataType("int8"),
    pl.Int16: DataType("int16"),
    pl.Int32: DataType("int32"),
    pl.Int64: DataType("int64"),
    pl.Float32: DataType("float32"),
    pl.Float64: DataType("float64"),
    pl.Date: DataType("date"),
    pl.Binary: DataType("binary"),
}


def dtype_of(sql_type: str) -> pl.DataType:
    """The Polars type of an SQL type that is no list and no struct."""
    if sql_type.startswith("DECIMAL"):
        precision, scale = sql_type.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return pl.Decimal(int(precision), int(scale))
    return DTYPES[sql_type]


def data_type(given: pl.DataType) -> DataType:
    """Return a Polars type as neutral data.

    A type without a neutral counterpart (unsigned, Int128, Time, Duration …) keeps Polars' name: it equals
    none, and so is converted.
    """
    match given:
        case pl.List() | pl.Array():
            return DataType("list", item=data_type(_instance(given.inner)))
        case pl.Struct():
            return DataType(
                "struct", fields=tuple(Field(f.name, data_type(_instance(f.dtype))) for f in given.fields)
            )
        case pl.Decimal():
            return DataType("decimal", precision=given.precision, scale=given.scale)
        case pl.Datetime() if given.time_unit == "us":
            return DataType("timestamp", timezone="UTC" if given.time_zone else None)
        case _:
            return _NEUTRAL.get(given.base_type(), DataType(str(given)))


def _instance(given: Any) -> pl.DataType:
    made: pl.DataType = given() if isinstance(given, type) else given
    return made


def quote(name: str) -> str:
    """Return `name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return `value` as a string literal."""
    return "'" + value.replace("'", "''") + "'"


def type_name(given: DataType) -> str:
    """Return the SQL type that stores `given`."""
    match given.name:
        case "decimal":
            return f"DECIMAL({given.precision},{given.scale})"
        case "timestamp":
            return "TIMESTAMPTZ" if given.timezone else "TIMESTAMP"
        case "list" if given.item is not None:
            return f"{type_name(given.item)}[]"
        case "struct":
            return "STRUCT(" + ", ".join(f"{quote(f.name)} {type_name(f.type)}" for f in given.fields) + ")"
        case other:
            return _TYPES.get(other, other)


class NestedError(Exception):
    """Lists and structs pass through as they are; this engine converts none."""


def _no_nesting(*_: Any) -> NoReturn:
    raise NestedError(
        "Polars passes lists and structs through, and converts none: cast them in the transform"
    )


def _whole(form: str | None) -> str:
    return rf"\A(?:{form})\z"


def _from_text(value: str, given: DataType) -> str | None:
    """The canonical forms of `coercion.lexical`, without a regex where Polars' own cast takes just these.

    Its casts of text to integers and floats take `lexical_form` and, for floats, infinities and NaN.
    """
    cast = f"CAST({value} AS {type_name(given)})"
    fits = f"MATCHES({value}, {text(_whole(lexical_form(given)))})"
    match given.name:
        case "int8" | "int16" | "int32" | "int64":
            return cast
        case name if name in _NARROW_UNSIGNED:
            return f"CASE WHEN {cast} BETWEEN 0 AND {_NARROW_UNSIGNED[name]} THEN {cast} END"
        case "float32" | "float64":
            return f"CASE WHEN FINITE({cast}) THEN {cast} END"
        case "date":
            return f"CASE WHEN {fits} THEN TO_DATE({value}) END"
        case "timestamp":
            zone = "TZ" if given.timezone else ""
            return f"CASE WHEN {fits} THEN TO_TIMESTAMP{zone}({value}) END"
        case _:
            return None


def _no_struct(_fields: Sequence[tuple[str, str]]) -> str:
    return _no_nesting()


POLARS = Dialect(
    name="polars",
    quote=quote,
    text=text,
    type_name=type_name,
    try_cast=lambda value, target: f"CAST({value} AS {target})",
    matches=lambda value, pattern: f"MATCHES({value}, {text(pattern)})",
    finite=lambda value: f"FINITE({value})",
    is_nan=lambda value: f"IS_NAN({value})",
    member=_no_nesting,
    struct=_no_struct,
    each=_no_nesting,
    index=_no_nesting,
    exists=_no_nesting,
    first=_no_nesting,
    length=lambda value: f"ITEMS({value})",
    encode=lambda value: f"ENCODED({value})",
    from_text=_from_text,
)


def replaced(value: str, pattern: str, target: str) -> str:
    """SQL that replaces all that the regex finds, for `csv_values.local_dialect`."""
    return f"REPLACED({value}, {text(pattern)}, {text(target)})"


# --- casts ------------------------------------------------------------------------------------


def cast(value: pl.Expr, have: pl.DataType, wanted: pl.DataType) -> pl.Expr:  # noqa: C901, PLR0911 - one case a type
    """One typed leaf to another, null where it has no counterpart, as DuckDB's TRY_CAST does."""
    if wanted == pl.String:
        return as_text(value, have)
    if isinstance(have, pl.Datetime) and isinstance(wanted, pl.Datetime):
        value = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if have.time_zone else value
        value = value.dt.cast_time_unit("us")
        return value.dt.replace_time_zone("UTC") if wanted.time_zone else value
    if have == pl.Date and isinstance(wanted, pl.Datetime):
        value = value.cast(pl.Datetime("us"), strict=False)
        return value.dt.replace_time_zone("UTC") if wanted.time_zone else value
    if have == pl.Float64 and wanted == pl.Float32:
        narrow = value.cast(pl.Float32, strict=False)
        return pl.when(narrow.is_infinite() & value.is_finite()).then(None).otherwise(narrow)
    if have.is_numeric() and wanted == pl.Boolean:
        return value != 0
    if have == pl.Boolean:
        value = value.cast(pl.Int8)
    if isinstance(wanted, pl.Decimal) and have != pl.String:
        # Straight to a precision that is all scale, Polars fails instead of giving null.
        value = value.cast(pl.Decimal(38, wanted.scale), strict=False)
    castable = have.is_numeric() or have in (pl.Boolean, pl.String)
    if castable and (wanted.is_numeric() or wanted == pl.Boolean):
        return value.cast(wanted, strict=False)
    if isinstance(have, pl.Datetime) and wanted == pl.Date:
        return value.dt.date()
    if have == wanted:
        return value
    return pl.lit(None, dtype=wanted)


def as_text(value: pl.Expr, have: pl.DataType) -> pl.Expr:  # noqa: PLR0911 - one case a type
    """A leaf as the text that DuckDB prints."""
    match have:
        case pl.String():
            return value
        case pl.Datetime():
            value = value.dt.convert_time_zone("UTC") if have.time_zone else value
            shown = value.dt.strftime("%Y-%m-%d %H:%M:%S%.6f").str.replace(r"[.]?0{1,6}$", "")
            # Only the fraction's zeros go: what has none ends in seconds.
            whole = value.dt.strftime("%Y-%m-%d %H:%M:%S")
            shown = pl.when(value.dt.microsecond() == 0).then(whole).otherwise(shown)
            return shown + "+00" if have.time_zone else shown
        case pl.Float32() | pl.Float64():
            shown = value.cast(pl.String)
            return pl.when(value.is_nan()).then(pl.lit("nan")).otherwise(_notation(value, shown))
        case pl.Binary():
            return value.map_elements(_bytes_as_text, return_dtype=pl.String)
        case pl.Decimal() | pl.Boolean() | pl.Date():
            return value.cast(pl.String)
        case _ if have.is_integer():
            return value.cast(pl.String)
        case _:
            return value.cast(pl.String, strict=False)


def _notation(value: pl.Expr, shown: pl.Expr) -> pl.Expr:
    """Exponents where DuckDB writes them: below 0.0001, and from 1e16 on."""
    size = value.abs()
    unlike = value.is_finite() & (value != 0) & ((size < 1e-4) | (size >= 1e5))
    spelled = pl.when(unlike).then(shown).map_elements(_number_as_text, return_dtype=pl.String)
    return pl.coalesce(spelled, shown)


def _number_as_text(shown: str) -> str:
    number = Decimal(shown).normalize()
    size = number.adjusted()
    if -5 < size < 16:
        plain = f"{number:f}"
        return plain if "." in plain else f"{plain}.0"
    return f"{number.scaleb(-size):f}e{'-' if size < 0 else '+'}{abs(size):02d}"


def _bytes_as_text(data: bytes) -> str:
    r"""Printable ASCII as it is, everything else as `\xFF`."""
    return "".join(chr(b) if 32 <= b <= 126 and b not in (34, 39, 92) else f"\\x{b:02X}" for b in data)
