"""Built-in checks of Pandera -> SQL conditions that a row keeps; NULL where the value is null.

In: a column's SQL, a rule's arguments, the column's type, a dialect. Out: SQL text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aws_runtime.coercion import literal
from aws_runtime.contract import DataType
from aws_runtime.dialect import Dialect

_Check = Callable[[str, Mapping[str, Any], DataType, Dialect], str]


def _compare(operator: str, argument: str) -> _Check:
    def check(value: str, args: Mapping[str, Any], kind: DataType, dialect: Dialect) -> str:
        return f"{value} {operator} {literal(args[argument], kind, dialect)}"

    return check


def _in_range(value: str, args: Mapping[str, Any], kind: DataType, dialect: Dialect) -> str:
    low = ">=" if args.get("include_min", True) else ">"
    high = "<=" if args.get("include_max", True) else "<"
    least, most = (literal(args[bound], kind, dialect) for bound in ("min_value", "max_value"))
    return f"{value} {low} {least} AND {value} {high} {most}"


def _among(argument: str, *, inside: bool) -> _Check:
    def check(value: str, args: Mapping[str, Any], kind: DataType, dialect: Dialect) -> str:
        listed = ", ".join(literal(v, kind, dialect) for v in args[argument])
        if not listed:
            return f"({value} IS NULL AND NULL) OR FALSE" if inside else f"{value} IS NOT NULL OR NULL"
        return f"{value} {'IN' if inside else 'NOT IN'} ({listed})"

    return check


def _pattern(value: str, args: Mapping[str, Any], _kind: DataType, dialect: Dialect) -> str:
    return dialect.matches(value, args["portable"])


def _starts(value: str, args: Mapping[str, Any], _kind: DataType, dialect: Dialect) -> str:
    text = args["string"]
    return f"SUBSTR({value}, 1, {len(text)}) = {dialect.text(text)}"


def _ends(value: str, args: Mapping[str, Any], _kind: DataType, dialect: Dialect) -> str:
    text = args["string"]
    return f"RIGHT({value}, {len(text)}) = {dialect.text(text)}"


def _length(value: str, args: Mapping[str, Any], _kind: DataType, _dialect: Dialect) -> str:
    length = f"LENGTH({value})"
    if args.get("exact_value") is not None:
        return f"{length} = {args['exact_value']}"
    bounds = []
    if args.get("min_value") is not None:
        bounds.append(f"{length} >= {args['min_value']}")
    if args.get("max_value") is not None:
        bounds.append(f"{length} <= {args['max_value']}")
    return " AND ".join(bounds)


def _width(value: str, args: Mapping[str, Any], _kind: DataType, dialect: Dialect) -> str:
    return f"{dialect.length(value)} = {args['value']}"


#: Check name -> SQL of the rule being kept; NULL where the value is null.
CHECKS: Mapping[str, _Check] = {
    "equal_to": _compare("=", "value"),
    "not_equal_to": _compare("<>", "value"),
    "greater_than": _compare(">", "min_value"),
    "greater_than_or_equal_to": _compare(">=", "min_value"),
    "less_than": _compare("<", "max_value"),
    "less_than_or_equal_to": _compare("<=", "max_value"),
    "in_range": _in_range,
    "isin": _among("allowed_values", inside=True),
    "notin": _among("forbidden_values", inside=False),
    "str_matches": _pattern,
    "str_contains": _pattern,
    "str_startswith": _starts,
    "str_endswith": _ends,
    "str_length": _length,
    "array_width": _width,
}
