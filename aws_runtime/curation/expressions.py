"""SQL expressions of a configuration -> Narwhals, so that every engine computes the same.

In: one scalar expression over a row's columns. Out: a Narwhals expression, or `ExpressionError` with what
is not supported. The subset holds what DuckDB, Polars and Spark agree on; a division by zero is null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import Any

import narwhals as nw
import sqlglot
from sqlglot import exp

#: Type names of CAST, as contracts spell them, and what SQL calls them.
TYPES: Mapping[str, Any] = {
    "boolean": nw.Boolean(),
    "int32": nw.Int32(),
    "int64": nw.Int64(),
    "float64": nw.Float64(),
    "string": nw.String(),
    "date": nw.Date(),
    "timestamp": nw.Datetime("us"),
}
_SQL_TYPES = {
    "BOOLEAN": "boolean",
    "INT": "int32",
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "VARCHAR": "string",
    "TEXT": "string",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "DATETIME": "timestamp",
}


class ExpressionError(ValueError):
    """An expression that is not SQL, or holds what engines do not agree on."""


def expression(text: str) -> nw.Expr:
    """Translate one SQL expression.

    Raises:
        ExpressionError: It cannot be parsed, or is outside of the subset.
    """
    return _expr(parsed(text))


def columns(text: str) -> frozenset[str]:
    """Return the names of the columns that an expression reads; raises as `expression` does."""
    return frozenset(column.name for column in parsed(text).find_all(exp.Column))


def parsed(text: str) -> exp.Expression:
    """Parse one SQL expression, in DuckDB's dialect; raises as `expression` does."""
    try:
        statements = sqlglot.parse(f"SELECT {text}", read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        said = " ".join(str(error).replace("\x1b[4m", "").replace("\x1b[0m", "").split())
        raise ExpressionError(f"{text!r} is not an SQL expression: {said[:200]}") from None
    found = statements[0].expressions if len(statements) == 1 and statements[0] is not None else []
    only = found[0] if len(found) == 1 else None
    if only is None or isinstance(only, exp.Alias) or statements[0].args.get("from_"):  # type: ignore[union-attr]
        raise ExpressionError(f"{text!r} is not one SQL expression")
    return only  # type: ignore[no-any-return]


def _expr(node: exp.Expression) -> nw.Expr:
    translate = _NODES.get(type(node))
    if translate is None:
        known = "columns, literals, + - * /, comparisons, AND, OR, NOT, IN, BETWEEN, IS NULL, CASE, CAST, ||"
        functions = "coalesce, nullif, abs, lower, upper, trim, length, substring, year, month, day, hour"
        raise ExpressionError(f"{node.sql('duckdb')!r} is not supported; there are {known}, {functions}")
    return translate(node)


def _literal(node: exp.Expression) -> nw.Expr:
    return nw.lit(_value(node))


def _value(node: exp.Expression) -> Any:
    match node:
        case exp.Neg():
            return -_value(node.this)
        case exp.Boolean():
            return bool(node.this)
        case exp.Null():
            return None
        case exp.Literal() if node.is_string:
            return node.this
        case exp.Literal():
            return int(node.this) if node.is_int else float(node.this)
        case exp.Cast() if isinstance(node.this, exp.Literal) and node.this.is_string:
            return _moment(node)
        case _:
            raise ExpressionError(f"{node.sql('duckdb')!r} must be a literal")


def _moment(node: exp.Cast) -> date | datetime | Decimal | str:
    kind = _type_name(node)
    try:
        if kind == "date":
            return date.fromisoformat(node.this.this)
        if kind == "timestamp":
            return datetime.fromisoformat(node.this.this)
    except ValueError as error:
        raise ExpressionError(f"{node.sql('duckdb')!r}: {error}") from None
    raise ExpressionError(f"{node.sql('duckdb')!r} must be a literal")


def _type_name(node: exp.Cast) -> str:
    name = _SQL_TYPES.get(node.to.sql("duckdb").upper().partition("(")[0])
    if name is None:
        raise ExpressionError(f"{node.to.sql('duckdb')!r} is no type of a cast; there are {', '.join(TYPES)}")
    return name


def _cast(node: exp.Expression) -> nw.Expr:
    if not isinstance(node, exp.Cast):
        raise ExpressionError(f"{node.sql('duckdb')!r} is no cast")
    if isinstance(node.this, exp.Literal) and _type_name(node) in ("date", "timestamp"):
        return nw.lit(_moment(node))
    return _expr(node.this).cast(TYPES[_type_name(node)])


def _binary(operate: Callable[[nw.Expr, nw.Expr], Any]) -> Callable[[exp.Expression], nw.Expr]:
    def translate(node: exp.Expression) -> nw.Expr:
        result: nw.Expr = operate(_expr(node.args["this"]), _expr(node.args["expression"]))
        return result

    return translate


def _divide(left: nw.Expr, right: nw.Expr) -> nw.Expr:
    return nw.when(right != 0).then(left / right)


def _method(call: Callable[[nw.Expr], nw.Expr]) -> Callable[[exp.Expression], nw.Expr]:
    return lambda node: call(_expr(node.this))


def _in(node: exp.Expression) -> nw.Expr:
    if not node.expressions:
        raise ExpressionError(f"{node.sql('duckdb')!r}: IN takes a list of literals")
    return _expr(node.this).is_in([_value(item) for item in node.expressions])


def _between(node: exp.Expression) -> nw.Expr:
    value = _expr(node.this)
    return (value >= _expr(node.args["low"])) & (value <= _expr(node.args["high"]))


def _is(node: exp.Expression) -> nw.Expr:
    if not isinstance(node.expression, exp.Null):
        raise ExpressionError(f"{node.sql('duckdb')!r} is not supported; write = instead of IS")
    return _expr(node.this).is_null()


def _case(node: exp.Expression) -> nw.Expr:
    if node.args.get("this") is not None:
        raise ExpressionError(f"{node.sql('duckdb')!r}: write CASE WHEN … = … THEN …")
    default = node.args.get("default")
    result = _expr(default) if default is not None else None
    for branch in reversed(node.args["ifs"]):
        then = nw.when(_expr(branch.this)).then(_expr(branch.args["true"]))
        result = then if result is None else then.otherwise(result)
    if result is None:
        raise ExpressionError("CASE has no WHEN")
    return result


def _coalesce(node: exp.Expression) -> nw.Expr:
    return nw.coalesce(_expr(node.this), *(_expr(item) for item in node.expressions))


def _nullif(node: exp.Expression) -> nw.Expr:
    value, other = _expr(node.this), _expr(node.expression)
    return nw.when((value != other) | value.is_null() | other.is_null()).then(value)


def _concat(left: nw.Expr, right: nw.Expr) -> nw.Expr:
    return nw.concat_str(left.cast(nw.String()), right.cast(nw.String()))


def _substring(node: exp.Expression) -> nw.Expr:
    start, length = node.args.get("start"), node.args.get("length")
    begin = _value(start) if start is not None else 1
    if not isinstance(begin, int) or begin < 1:
        raise ExpressionError(f"{node.sql('duckdb')!r}: substring counts from 1")
    return _expr(node.this).str.slice(begin - 1, _value(length) if length is not None else None)


_NODES: Mapping[type, Callable[[Any], nw.Expr]] = {
    exp.Column: lambda node: nw.col(node.name),
    exp.Literal: _literal,
    exp.Boolean: _literal,
    exp.Null: _literal,
    exp.Paren: _method(lambda inner: inner),
    exp.Neg: _method(lambda inner: nw.lit(0) - inner),
    exp.Not: _method(lambda inner: ~inner),
    exp.Add: _binary(lambda a, b: a + b),
    exp.Sub: _binary(lambda a, b: a - b),
    exp.Mul: _binary(lambda a, b: a * b),
    exp.Div: _binary(_divide),
    exp.EQ: _binary(lambda a, b: a == b),
    exp.NEQ: _binary(lambda a, b: a != b),
    exp.LT: _binary(lambda a, b: a < b),
    exp.LTE: _binary(lambda a, b: a <= b),
    exp.GT: _binary(lambda a, b: a > b),
    exp.GTE: _binary(lambda a, b: a >= b),
    exp.And: _binary(lambda a, b: a & b),
    exp.Or: _binary(lambda a, b: a | b),
    exp.DPipe: _binary(_concat),
    exp.Concat: lambda node: reduce(_concat, (_expr(item) for item in node.expressions)),
    exp.In: _in,
    exp.Between: _between,
    exp.Is: _is,
    exp.Case: _case,
    exp.Cast: _cast,
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
    exp.Abs: _method(lambda inner: inner.abs()),
    exp.Lower: _method(lambda inner: inner.str.to_lowercase()),
    exp.Upper: _method(lambda inner: inner.str.to_uppercase()),
    exp.Trim: _method(lambda inner: inner.str.strip_chars(" ")),
    exp.Length: _method(lambda inner: inner.str.len_chars()),
    exp.Substring: _substring,
    exp.Year: _method(lambda inner: inner.dt.year()),
    exp.Month: _method(lambda inner: inner.dt.month()),
    exp.Day: _method(lambda inner: inner.dt.day()),
    exp.Hour: _method(lambda inner: inner.dt.hour()),
}
