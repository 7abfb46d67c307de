"""Text and other types -> contract types, in SQL: NULL where a value cannot be converted, and why.

In: a column's type as read, its type by the contract, a dialect. Out: SQL text. Lexical forms are
checked here, not left to an engine's cast, so that every engine accepts exactly the same texts;
docs/contracts.md lists them.
"""

from __future__ import annotations

from typing import Any

from aws_runtime.contract import Column, DataType, Field
from aws_runtime.dialect import Dialect

#: Longest part of an offending value that a reason quotes, in characters.
QUOTED = 100

TEXT = DataType("string")
_UNSIGNED = {"uint8": 2**8 - 1, "uint16": 2**16 - 1, "uint32": 2**32 - 1, "uint64": 2**64 - 1}
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", *_UNSIGNED})
_NUMBERS = _INTEGERS | {"float32", "float64", "decimal"}

_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DATE = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6}0*)?"
_OFFSET = "(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
_FLOAT = "[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?"


def text_type(data_type: DataType) -> DataType:
    """The type to read `data_type` as: every leaf text, structs and lists kept."""
    if data_type.item is not None:
        return DataType("list", item=text_type(data_type.item))
    if data_type.name == "struct":
        return DataType("struct", fields=tuple(Field(f.name, text_type(f.type)) for f in data_type.fields))
    return TEXT


def read_type(data_type: DataType, dialect: Dialect) -> str:
    """`text_type` in SQL."""
    return dialect.type_name(text_type(data_type))


def coerced(column: Column, dialect: Dialect, actual: DataType | None) -> str:
    """SQL that turns the column as read into its contract type, NULL where impossible.

    Args:
        column: The contract's column.
        dialect: The engine's SQL.
        actual: Its type in the frame; None where the frame lacks it.
    """
    wanted = dialect.type_name(column.type)
    default = None if column.default is None else literal(column.default, column.type, dialect)
    if actual is None:
        return default or f"CAST(NULL AS {wanted})"
    source = dialect.quote(column.name)
    value = _convert(source, actual, column.type, dialect, 0)
    if default is None:
        return value
    missing = f"{source} IS NULL"
    if actual.name in ("float32", "float64"):
        missing = f"({missing} OR {dialect.is_nan(source)})"
    return f"CASE WHEN {missing} THEN {default} ELSE {value} END"


def converts(column: Column, dialect: Dialect, actual: DataType | None) -> bool:
    """Whether the column as read differs from the column as the contract wants it."""
    return actual is not None and (
        dialect.type_name(actual) != dialect.type_name(column.type)
        or column.type.name in _UNSIGNED
        or column.default is not None
    )


def _convert(source: str, actual: DataType, wanted: DataType, dialect: Dialect, depth: int) -> str:
    """SQL of `source` as `wanted`; `depth` counts the lists around it and names their variables."""
    if dialect.type_name(actual) == dialect.type_name(wanted) and not _holds_unsigned(wanted):
        return source
    if wanted.item is not None and actual.item is not None:
        variable = f"x{depth}"
        body = _convert(variable, actual.item, wanted.item, dialect, depth + 1)
        return dialect.each(source, variable, "", body)
    if wanted.name == "struct" and actual.fields:
        return _convert_struct(source, actual, wanted, dialect, depth)
    if wanted.item is not None or wanted.name == "struct":
        return f"CAST(NULL AS {dialect.type_name(wanted)})"
    if actual.name == "string":
        return dialect.from_text(source, wanted) or lexical(source, wanted, dialect)
    return _retyped(source, actual, wanted, dialect)


def _convert_struct(source: str, actual: DataType, wanted: DataType, dialect: Dialect, depth: int) -> str:
    have = {f.name: f.type for f in actual.fields}
    fields = []
    for f in wanted.fields:
        if f.name in have:
            member = _convert(dialect.member(source, f.name), have[f.name], f.type, dialect, depth)
        else:
            member = f"CAST(NULL AS {dialect.type_name(f.type)})"
        fields.append((f.name, member))
    return f"CASE WHEN {source} IS NOT NULL THEN {dialect.struct(fields)} END"


def _retyped(source: str, actual: DataType, wanted: DataType, dialect: Dialect) -> str:
    """One typed leaf to another, only where the value survives unchanged."""
    target = dialect.type_name(wanted)
    cast = dialect.try_cast(source, target)
    checks = []
    if actual.name in _NUMBERS and wanted.name in _NUMBERS and wanted.name not in ("float32", "float64"):
        checks.append(f"{dialect.try_cast(cast, dialect.type_name(actual))} = {source}")
    if actual.name == "timestamp" and wanted.name == "date":
        checks.append(f"{dialect.try_cast(cast, dialect.type_name(actual))} = {source}")
    if wanted.name in _UNSIGNED:
        checks.append(f"{cast} BETWEEN 0 AND {_UNSIGNED[wanted.name]}")
    if actual.name == "boolean" and wanted.name == "decimal" and wanted.precision == wanted.scale:
        # One has no place before the point; DuckDB would make it the least value after it.
        checks.append(f"NOT {source}")
    return f"CASE WHEN {' AND '.join(checks)} THEN {cast} END" if checks else cast


def _holds_unsigned(data_type: DataType) -> bool:
    inner = [f.type for f in data_type.fields] + ([data_type.item] if data_type.item else [])
    return data_type.name in _UNSIGNED or any(_holds_unsigned(t) for t in inner)


def lexical_form(data_type: DataType) -> str | None:  # noqa: PLR0911 - one case a type
    """The regex, without anchors, of the texts that may become a leaf type; None for any text."""
    match data_type.name:
        case name if name in _INTEGERS:
            return "[+-]?[0-9]+"
        case "float32" | "float64":
            return _FLOAT
        case "decimal":
            scale = data_type.scale or 0
            whole = (data_type.precision or 38) - scale
            digits = f"0*[0-9]{{1,{whole}}}" if whole else "0+"
            fraction = f"[.][0-9]{{1,{scale}}}0*" if scale else "[.]0+"
            return f"[+-]?(?:{digits}[.]?|(?:{digits}|0*){fraction})"
        case "boolean":
            return "true|false"
        case "date":
            return _DATE
        case "timestamp":
            return f"{_DATE}[T ]{_CLOCK}" + (_OFFSET if data_type.timezone else "")
        case _:
            return None


def lexical(source: str, data_type: DataType, dialect: Dialect) -> str:
    """Text -> leaf type by its canonical lexical form, NULL where it has none."""
    target = dialect.type_name(data_type)
    if data_type.name == "string":
        return source
    if data_type.name == "binary":
        return dialect.encode(source)
    if data_type.name == "boolean":
        return f"CASE {source} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
    cast = dialect.try_cast(source, target)
    checks = [dialect.matches(source, rf"\A(?:{lexical_form(data_type)})\z")]
    if data_type.name in ("float32", "float64"):
        checks.append(dialect.finite(cast))
    if data_type.name in _UNSIGNED:
        checks.append(f"{cast} BETWEEN 0 AND {_UNSIGNED[data_type.name]}")
    return f"CASE WHEN {' AND '.join(checks)} THEN {cast} END"


def literal(value: Any, data_type: DataType, dialect: Dialect) -> str:
    """A JSON argument of a rule as an SQL literal of the column's type."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if data_type.name == "string":
        return dialect.text(str(value))
    if data_type.name in _INTEGERS:
        # A fractional bound of an integer column is compared as a double, an integer as it is.
        return str(value) if isinstance(value, int) else f"CAST({dialect.text(repr(value))} AS DOUBLE)"
    if data_type.name == "decimal":
        return str(value)
    text = repr(value) if isinstance(value, (int, float)) else str(value)
    return f"CAST({dialect.text(text)} AS {dialect.type_name(data_type)})"


def can_fail(actual: DataType, wanted: DataType, dialect: Dialect) -> bool:
    """Whether any value of `actual` may have no counterpart in `wanted`."""
    if wanted.item is not None:
        return actual.item is None or can_fail(actual.item, wanted.item, dialect)
    if wanted.name == "struct":
        have = {f.name: f.type for f in actual.fields}
        return not have or any(
            f.name in have and can_fail(have[f.name], f.type, dialect) for f in wanted.fields
        )
    if actual.name == "string" and wanted.name in ("string", "binary"):
        return False
    return dialect.type_name(actual) != dialect.type_name(wanted) or wanted.name in _UNSIGNED


def lost(raw: str, typed: str, actual: DataType, wanted: DataType, dialect: Dialect) -> list[str]:
    """Predicates, never NULL, that compare the converted value with the one read."""
    if wanted.name == "struct" and actual.fields:
        return [
            predicate
            for name, inner, target in _members(actual, wanted, dialect)
            for predicate in lost(
                dialect.member(raw, name), dialect.member(typed, name), inner, target, dialect
            )
        ]
    if wanted.item is not None and actual.item is not None:
        leaves = _leaves("x0", actual.item, wanted.item, dialect)
        if leaves is None or dialect.counted is None:
            return [f"COALESCE({_fails(raw, actual, wanted, dialect, 0)}, FALSE)"]
        # Values that are there before and gone after: cheaper than to convert each a second time.
        return [
            f"COALESCE({dialect.counted(raw, 'x0', leaf)} <> {dialect.counted(typed, 'x0', leaf)}, FALSE)"
            for leaf in leaves
        ]
    return [f"({raw} IS NOT NULL AND {typed} IS NULL)"]


def _members(actual: DataType, wanted: DataType, dialect: Dialect) -> list[tuple[str, DataType, DataType]]:
    """Fields of a struct whose conversion may fail: name, type as read, type wanted."""
    have = {f.name: f.type for f in actual.fields}
    return [
        (f.name, have[f.name], f.type)
        for f in wanted.fields
        if f.name in have and can_fail(have[f.name], f.type, dialect)
    ]


def _leaves(item: str, actual: DataType, wanted: DataType, dialect: Dialect) -> list[str] | None:
    """Expressions of the leaves of `item` whose conversion may fail; None where lists nest."""
    if wanted.item is not None:
        return None
    if wanted.name != "struct" or not actual.fields:
        return [item]
    found: list[str] = []
    for name, inner, target in _members(actual, wanted, dialect):
        below = _leaves(dialect.member(item, name), inner, target, dialect)
        if below is None:
            return None
        found += below
    return found


def _fails(raw: str, actual: DataType, wanted: DataType, dialect: Dialect, depth: int) -> str:
    """Whether any leaf of `raw` cannot be converted; NULL where `raw` is NULL."""
    if wanted.item is not None and actual.item is not None:
        variable = f"x{depth}"
        return dialect.exists(raw, variable, _fails(variable, actual.item, wanted.item, dialect, depth + 1))
    if wanted.name == "struct" and actual.fields:
        parts = [
            f"COALESCE({_fails(dialect.member(raw, name), inner, target, dialect, depth)}, FALSE)"
            for name, inner, target in _members(actual, wanted, dialect)
        ]
        return "(" + " OR ".join(parts or ["FALSE"]) + ")"
    return f"({raw} IS NOT NULL AND {_convert(raw, actual, wanted, dialect, depth)} IS NULL)"


def coerce_reason(  # noqa: PLR0917 - a recursion of two types in step
    raw: str, path: str, actual: DataType, wanted: DataType, dialect: Dialect, depth: int
) -> str | None:
    """Text that names the first leaf of `raw` that cannot be converted; `path` is SQL text."""
    if not can_fail(actual, wanted, dialect):
        return None
    if wanted.item is not None and actual.item is not None:
        variable, index = f"x{depth}", f"i{depth}"
        place = f"CONCAT({path}, '[', {as_text(dialect.index(index), dialect)}, ']')"
        body = coerce_reason(variable, place, actual.item, wanted.item, dialect, depth + 1)
        return None if body is None else dialect.first(dialect.each(raw, variable, index, body))
    if wanted.name == "struct" and actual.fields:
        parts = [
            coerce_reason(
                dialect.member(raw, name), _below(path, name, dialect), inner, target, dialect, depth
            )
            for name, inner, target in _members(actual, wanted, dialect)
        ]
        reasons = [part for part in parts if part is not None]
        return f"COALESCE({', '.join(reasons)}, NULL)" if reasons else None
    shown = f"SUBSTR({as_text(raw, dialect, actual)}, 1, {QUOTED})"
    before, after = dialect.text(": '"), dialect.text(f"' is not {wanted}")
    said = f"CONCAT({path}, {before}, {shown}, {after})"
    return f"CASE WHEN {_fails(raw, actual, wanted, dialect, depth)} THEN {said} END"


def _below(path: str, name: str, dialect: Dialect) -> str:
    return f"CONCAT({path}, {dialect.text('.' + name)})"


def as_text(expression: str, dialect: Dialect, kind: DataType | None = None) -> str:
    """SQL of `expression`, which is a `kind` where that is known, as text."""
    if kind is not None and kind.name == "decimal" and kind.precision == kind.scale and kind.scale != 38:
        # DuckDB spells a decimal that has no digits before the point as `.5`.
        wider = DataType("decimal", precision=(kind.precision or 0) + 1, scale=kind.scale)
        expression = f"CAST({expression} AS {dialect.type_name(wider)})"
    return f"CAST({expression} AS {dialect.type_name(TEXT)})"
