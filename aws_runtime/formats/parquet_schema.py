"""A Parquet schema -> columns in a contract's types, by Parquet's own annotations alone.

In: the schema elements of a footer, as Thrift has them. Out: top-level columns, and the leaves that page
and statistics belong to. Types that the engines do not read alike have no counterpart here.
https://github.com/apache/parquet-format/blob/master/LogicalTypes.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_runtime.contract import DataType, Field

#: Physical types by number.
PHYSICAL = ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
_PLAIN = {
    "BOOLEAN": "boolean",
    "INT32": "int32",
    "INT64": "int64",
    "INT96": "timestamp",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "BYTE_ARRAY": "binary",
    "FIXED_LEN_BYTE_ARRAY": "binary",
}
_LOGICAL = (
    "", "STRING", "MAP", "LIST", "ENUM", "DECIMAL", "DATE", "TIME", "TIMESTAMP", "INTERVAL", "INTEGER", "NULL",
    "JSON", "BSON", "UUID", "FLOAT16", "VARIANT", "GEOMETRY", "GEOGRAPHY",
)  # fmt: skip
#: The older annotations, as pairs of a name and of what the newer ones say beside.
_CONVERTED: tuple[tuple[str, Mapping[int, Any]], ...] = (
    ("STRING", {}), ("MAP", {}), ("MAP", {}), ("LIST", {}), ("ENUM", {}), ("DECIMAL", {}), ("DATE", {}),
    ("TIME", {}), ("TIME", {}), ("TIMESTAMP", {1: True, 2: {1: {}}}), ("TIMESTAMP", {1: True, 2: {2: {}}}),
    *(("INTEGER", {1: bits, 2: False}) for bits in (8, 16, 32, 64)),
    *(("INTEGER", {1: bits, 2: True}) for bits in (8, 16, 32, 64)),
    ("JSON", {}), ("BSON", {}), ("INTERVAL", {}),
)  # fmt: skip
_BY_NAME = {"STRING": "string", "ENUM": "string", "JSON": "string", "BSON": "binary", "DATE": "date"}
#: Digits of a decimal that Spark and the Data Catalog hold.
_MOST_DIGITS = 38
_MILLISECONDS, _NANOSECONDS, _REPEATED = 1, 3, 2


class SchemaError(ValueError):
    """The elements make no tree."""


class UnknownTypeError(ValueError):
    """A type that not every engine reads, or not to the same values; the message names column and type."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One column of values.

    Args:
        path: Names from the top, joined by points.
        physical: How its values are stored.
        type: What they mean.
        flat: Whether it is a top-level column, with one value or null a row.
        milliseconds: Whether a timestamp counts those, and not microseconds.
    """

    path: str
    physical: str
    type: DataType
    flat: bool
    milliseconds: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """Top-level columns by name and type, in order, and the leaves, in the order of their column chunks."""

    columns: tuple[tuple[str, DataType], ...]
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True, slots=True)
class _Node:
    """One element and those below it."""

    element: Mapping[int, Any]
    name: str
    children: tuple[_Node, ...]


def read_schema(elements: Sequence[Mapping[int, Any]]) -> Schema:
    """Return the columns of a footer's schema elements.

    Raises:
        SchemaError: They make no tree.
        UnknownTypeError: A column has a type that is not read alike everywhere.
    """
    try:
        root, count = _node(elements, 0, 0)
        if count != len(elements):
            raise SchemaError(f"{len(elements)} elements, of which {count} make a tree")
        leaves: list[Leaf] = []
        columns = tuple((node.name, _type(node, node.name, leaves)) for node in root.children)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise SchemaError(f"an element lacks what it needs ({type(error).__name__}: {error})") from error
    return Schema(columns, tuple(leaves))


def _node(elements: Sequence[Mapping[int, Any]], at: int, depth: int) -> tuple[_Node, int]:
    if depth > 64:
        raise SchemaError("elements nest more than 64 deep")
    element, children = elements[at], []
    name = element[4].decode("utf-8", "replace")
    at += 1
    for _ in range(element.get(5) or 0):
        child, at = _node(elements, at, depth + 1)
        children.append(child)
    return _Node(element, name, tuple(children)), at


def _annotation(element: Mapping[int, Any]) -> tuple[str, Mapping[int, Any]]:
    """Return the name of an element's annotation, and what it says beside; a name of none is empty."""
    if 10 in element:
        number, said = next(iter(element[10].items()), (0, {}))
        return (_LOGICAL[number] if 0 < number < len(_LOGICAL) else f"number {number}"), said
    if 6 in element:
        return _CONVERTED[element[6]] if 0 <= element[6] < len(_CONVERTED) else (f"number {element[6]}", {})
    return "", {}


def _type(node: _Node, path: str, leaves: list[Leaf]) -> DataType:
    if node.children or 1 not in node.element:
        kind = _group(node, path, leaves)
    else:
        physical = PHYSICAL[node.element[1]]
        kind = _leaf(node.element, physical, path)
        flat = path == node.name and node.element.get(3) != _REPEATED
        name, said = _annotation(node.element)
        milliseconds = name == "TIMESTAMP" and _MILLISECONDS in said[2]
        leaves.append(Leaf(path, physical, kind, flat, milliseconds))
    return DataType("list", item=kind) if node.element.get(3) == _REPEATED else kind


def _group(node: _Node, path: str, leaves: list[Leaf]) -> DataType:
    name, _ = _annotation(node.element)
    if name == "LIST" and len(node.children) == 1:
        return _list(node.children[0], path, leaves)
    fields = tuple(Field(c.name, _type(c, f"{path}.{c.name}", leaves)) for c in node.children)
    if name == "MAP" and len(fields) == 1 and fields[0].type.item is not None:
        entry = fields[0].type.item.fields
        return DataType(f"map<{', '.join(str(field.type) for field in entry)}>")
    if name not in ("", "LIST", "MAP"):
        raise UnknownTypeError(f"{path} has the type {name}")
    return DataType("struct", fields=fields)


def _list(repeated: _Node, path: str, leaves: list[Leaf]) -> DataType:
    """Return the type of a list by its middle element, by the rules for files of older writers too."""
    below = f"{path}.{repeated.name}"
    # The middle is the member itself where it cannot be a wrapper of one.
    itself = len(repeated.children) != 1 or repeated.name in ("array", f"{path.rpartition('.')[2]}_tuple")
    if itself:
        return _type(repeated, below, leaves)
    member = repeated.children[0]
    return DataType("list", item=_type(member, f"{below}.{member.name}", leaves))


def _leaf(element: Mapping[int, Any], physical: str, path: str) -> DataType:
    name, said = _annotation(element)
    if not name:
        return DataType(_PLAIN[physical])
    if name in _BY_NAME:
        return DataType(_BY_NAME[name])
    if name == "INTEGER":
        return DataType(f"{'' if said[2] else 'u'}int{said[1]}")
    if name == "TIMESTAMP" and _NANOSECONDS not in said[2]:
        return DataType("timestamp", timezone="UTC" if said[1] else None)
    if name == "DECIMAL":
        precision, scale = said.get(2, element.get(8)), said.get(1, element.get(7)) or 0
        if precision is not None and precision <= _MOST_DIGITS:
            return DataType("decimal", precision=precision, scale=scale)
        raise UnknownTypeError(f"{path} is a decimal of {precision} digits; at most {_MOST_DIGITS} are read")
    if name == "NULL":
        return DataType("null")
    if name == "TIMESTAMP":
        hint = "Spark does not read them: write microseconds"
        raise UnknownTypeError(f"{path} holds timestamps in nanoseconds; {hint}")
    raise UnknownTypeError(f"{path} has the logical type {name}, which not every engine reads")
