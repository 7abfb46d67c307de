"""DuckDB's SQL for contracts (a `Dialect`), and its types read back as neutral data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

_IDS = {
    "varchar": DataType("string"),
    "boolean": DataType("boolean"),
    "tinyint": DataType("int8"),
    "smallint": DataType("int16"),
    "integer": DataType("int32"),
    "bigint": DataType("int64"),
    "float": DataType("float32"),
    "double": DataType("float64"),
    "date": DataType("date"),
    "timestamp": DataType("timestamp"),
    "timestamp with time zone": DataType("timestamp", timezone="UTC"),
    "blob": DataType("binary"),
}


def data_type(given: Any) -> DataType:
    """Return a `duckdb` type (as in `relation.types`) as neutral data.

    A type without a neutral counterpart (HUGEINT, ENUM, TIMESTAMP_NS, INTERVAL …) keeps DuckDB's
    name: it equals none, and so is converted.
    """
    match given.id:
        case "list" | "array":
            return DataType("list", item=data_type(given.children[0][1]))
        case "struct":
            return DataType("struct", fields=tuple(Field(n, data_type(t)) for n, t in given.children))
        case "decimal":
            children = dict(given.children)
            return DataType("decimal", precision=children["precision"], scale=children["scale"])
        case other:
            return _IDS.get(other, DataType(str(given)))


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
            return "TIMESTAMP WITH TIME ZONE" if given.timezone else "TIMESTAMP"
        case "list" if given.item is not None:
            return f"{type_name(given.item)}[]"
        case "struct":
            return "STRUCT(" + ", ".join(f"{quote(f.name)} {type_name(f.type)}" for f in given.fields) + ")"
        case other:
            return _TYPES.get(other, other)


def _struct(fields: Sequence[tuple[str, str]]) -> str:
    return "struct_pack(" + ", ".join(f"{quote(name)} := {value}" for name, value in fields) + ")"


def _each(items: str, variable: str, index: str, body: str) -> str:
    names = f"{variable}, {index}" if index else variable
    return f"list_transform({items}, lambda {names}: {body})"


def _from_text(value: str, given: DataType) -> str | None:
    """The canonical forms of `coercion.lexical`, two to six times faster on DuckDB than its regexes.

    TRY_CAST takes more than they do (spaces, `1_000`, `1.5` for an integer, `2025/1/7`). What an
    integer or a date prints as is canonical, so only another text needs a regex.
    """
    cast = f"TRY_CAST({value} AS {type_name(given)})"
    match given.name:
        case "int8" | "int16" | "int32" | "int64":
            return (
                f"CASE WHEN CAST({cast} AS VARCHAR) = {value} THEN {cast} "
                f"WHEN regexp_full_match({value}, {text(lexical_form(given) or '')}) THEN {cast} END"
            )
        case "float32" | "float64":
            return (
                f"CASE WHEN regexp_full_match({value}, {text(lexical_form(given) or '')}) "
                f"AND isfinite({cast}) THEN {cast} END"
            )
        case "date":
            return f"CASE WHEN CAST({cast} AS VARCHAR) = {value} AND strlen({value}) = 10 THEN {cast} END"
        case _:
            return None


DUCKDB = Dialect(
    name="duckdb",
    quote=quote,
    text=text,
    type_name=type_name,
    try_cast=lambda value, target: f"TRY_CAST({value} AS {target})",
    matches=lambda value, pattern: f"regexp_matches({value}, {text(pattern)})",
    finite=lambda value: f"isfinite({value})",
    is_nan=lambda value: f"isnan({value})",
    member=lambda value, name: f"struct_extract({value}, {text(name)})",
    struct=_struct,
    each=_each,
    index=lambda variable: f"{variable} - 1",
    exists=lambda items, variable, body: f"len(list_filter({items}, lambda {variable}: {body})) > 0",
    first=lambda items: f"list_filter({items}, lambda r: r IS NOT NULL)[1]",
    length=lambda items: f"len({items})",
    encode=lambda value: f"encode({value})",
    counted=lambda items, variable, body: f"list_count(list_transform({items}, lambda {variable}: {body}))",
    from_text=_from_text,
)
