"""Spark's SQL for contracts: the dialect that `aws_runtime.rules` is given, and its types read back.

In: neutral types and names. Out: Spark SQL text (3.5, ANSI off, session time zone UTC). Only
`data_type` touches pyspark's own classes, and it asks them for their names, so that the module
imports without pyspark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_runtime.contract import DataType, Field
from aws_runtime.rules import Dialect

_TYPES = {
    "string": "STRING",
    "boolean": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INT",
    "int64": "BIGINT",
    # Stored as the next wider signed type, as on every engine.
    "uint8": "SMALLINT",
    "uint16": "INT",
    "uint32": "BIGINT",
    "uint64": "DECIMAL(20,0)",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "date": "DATE",
    "binary": "BINARY",
}

_NAMES = {
    "string": DataType("string"),
    "boolean": DataType("boolean"),
    "tinyint": DataType("int8"),
    "smallint": DataType("int16"),
    "int": DataType("int32"),
    "bigint": DataType("int64"),
    "float": DataType("float32"),
    "double": DataType("float64"),
    "date": DataType("date"),
    "timestamp": DataType("timestamp", timezone="UTC"),
    "timestamp_ntz": DataType("timestamp"),
    "binary": DataType("binary"),
}


def data_type(given: Any) -> DataType:
    """Return a pyspark type (as in `frame.schema`) as neutral data.

    A type without a neutral counterpart (map, interval …) keeps Spark's name, and so equals none.
    """
    match given.typeName():
        case "array":
            return DataType("list", item=data_type(given.elementType))
        case "struct":
            return DataType(
                "struct", fields=tuple(Field(f.name, data_type(f.dataType)) for f in given.fields)
            )
        case "decimal":
            return DataType("decimal", precision=given.precision, scale=given.scale)
        case _:
            name = given.simpleString()
            return _NAMES.get(name, DataType(name))


def quote(name: str) -> str:
    """Return `name` as a quoted identifier."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """Return `value` as a string literal.

    A doubled quote would be two literals side by side, and `${name}` would be substituted even
    inside a literal; both are escaped.
    """
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("$", "\\u0024")
    return f"'{escaped}'"


def type_name(given: DataType) -> str:
    """Return the SQL type that stores `given`."""
    match given.name:
        case "decimal":
            return f"DECIMAL({given.precision},{given.scale})"
        case "timestamp":
            return "TIMESTAMP" if given.timezone else "TIMESTAMP_NTZ"
        case "list" if given.item is not None:
            return f"ARRAY<{type_name(given.item)}>"
        case "struct":
            return "STRUCT<" + ", ".join(f"{quote(f.name)}: {type_name(f.type)}" for f in given.fields) + ">"
        case other:
            return _TYPES.get(other, other)


def _struct(fields: Sequence[tuple[str, str]]) -> str:
    return "named_struct(" + ", ".join(f"{text(name)}, {value}" for name, value in fields) + ")"


def _each(items: str, variable: str, index: str, body: str) -> str:
    names = f"({variable}, {index})" if index else variable
    return f"transform({items}, {names} -> {body})"


SPARK = Dialect(
    name="spark",
    quote=quote,
    text=text,
    type_name=type_name,
    try_cast=lambda value, target: f"TRY_CAST({value} AS {target})",
    # (?d): as in RE2, only \n ends a line for `.`, `^` and `$`.
    matches=lambda value, pattern: f"regexp_like({value}, {text('(?d)' + pattern)})",
    # NaN compares as greater than infinity.
    finite=lambda value: f"(abs({value}) < CAST('Infinity' AS DOUBLE))",
    is_nan=lambda value: f"isnan({value})",
    member=lambda value, name: f"({value}).{quote(name)}",
    struct=_struct,
    each=_each,
    index=lambda variable: variable,
    exists=lambda items, variable, body: f"exists({items}, {variable} -> {body})",
    first=lambda items: f"get(filter({items}, r -> r IS NOT NULL), 0)",
    length=lambda items: f"array_size({items})",
    encode=lambda value: f"encode({value}, 'UTF-8')",
)
