"""The SQL that `aws_runtime.rules` writes -> Polars expressions, so that rules exist once for all engines.

In: SQL of the `POLARS` dialect (no more of the language than the rules use) and the types of the frame
that it is about. Out: a `pl.Expr`. Conditions are three-valued, as in SQL and in Polars.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from aws_runtime.engines.polars_dialect import cast, dtype_of

_TOKEN = re.compile(
    r"""\s*(?:(?P<name>"(?:[^"]|"")*")|(?P<text>'(?:[^']|'')*')|(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)
    |(?P<word>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign><>|<=|>=|[=<>(),*\[\]-]))""",
    re.VERBOSE,
)
_COMPARE: Mapping[str, Callable[[Any, Any], pl.Expr]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_TRUE = pl.Boolean()


@dataclass(frozen=True, slots=True)
class Window:
    """An aggregate over the whole frame: `COUNT` of the rows that share `keys`, or `MAX` of one value."""

    name: str
    keys: tuple[pl.Expr, ...]


#: Gives the value of a window for each row.
Windows = Callable[[Window], pl.Expr]


@dataclass(frozen=True, slots=True)
class _Node:
    """An expression, its type where that is known, and its value where it is a constant."""

    expr: pl.Expr
    dtype: pl.DataType | None = None
    constant: Any = None


class Translator:
    """Translates SQL over one frame.

    Args:
        schema: Of that frame.
        windows: What computes aggregates over all rows; without it they are an error.
    """

    def __init__(self, schema: Mapping[str, pl.DataType], windows: Windows | None = None) -> None:
        self.schema = schema
        self.windows = windows

    def __call__(self, sql: str) -> pl.Expr:
        """Translate one SQL expression; raises `ValueError` where it is none."""
        parser = _Parser(sql, self)
        node = parser.either()
        if parser.at < len(parser.tokens):
            raise ValueError(f"{parser.tokens[parser.at][1]!r} is left over in {sql}")
        return node.expr


class _Parser:
    """One pass over the tokens, by precedence: OR, AND, NOT, a comparison, a value."""

    def __init__(self, sql: str, translator: Translator) -> None:
        self.sql = sql
        self.tokens = [(str(m.lastgroup), m[str(m.lastgroup)]) for m in _TOKEN.finditer(sql)]
        self.at = 0
        self.schema = translator.schema
        self.windows = translator.windows

    # --- tokens

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def word(self, *words: str) -> bool:
        """Take the next tokens where they are `words`."""
        found = self.tokens[self.at : self.at + len(words)]
        if [value for kind, value in found if kind in ("word", "sign")] != list(words):
            return False
        self.at += len(words)
        return True

    def need(self, *words: str) -> None:
        if not self.word(*words):
            raise ValueError(f"expected {' '.join(words)} before {self.peek()!r} in {self.sql}")

    def listed(self) -> list[_Node]:
        """`a, b)`, after the opening bracket."""
        found = [self.either()]
        while self.word(","):
            found.append(self.either())
        self.need(")")
        return found

    # --- conditions

    def either(self) -> _Node:
        parts = [self.both()]
        while self.word("OR"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else _Node(pl.any_horizontal(_exprs(parts)), _TRUE)

    def both(self) -> _Node:
        parts = [self.negated()]
        while self.word("AND"):
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else _Node(pl.all_horizontal(_exprs(parts)), _TRUE)

    def negated(self) -> _Node:
        if self.word("NOT"):
            return _Node(~_boolean(self.negated()), _TRUE)
        return self.compared()

    def compared(self) -> _Node:  # noqa: PLR0911 - one case a comparison
        left = self.value()
        if self.word("IS", "NOT", "NULL"):
            return _Node(left.expr.is_not_null(), _TRUE)
        if self.word("IS", "NULL"):
            return _Node(left.expr.is_null(), _TRUE)
        if self.word("BETWEEN"):
            low = self.value()
            self.need("AND")
            high = self.value()
            return _Node((left.expr >= low.expr) & (left.expr <= high.expr), _TRUE)
        if self.word("NOT", "IN", "("):
            return _Node(~_among(left, self.listed()), _TRUE)
        if self.word("IN", "("):
            return _Node(_among(left, self.listed()), _TRUE)
        sign = self.peek()
        if sign in _COMPARE and self.word(sign):
            return _Node(_COMPARE[sign](left.expr, self.value().expr), _TRUE)
        return left

    # --- values

    def value(self) -> _Node:
        kind, found = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        self.at += 1
        match kind:
            case "name":
                name = found[1:-1].replace('""', '"')
                return _Node(pl.col(name), self.schema.get(name))
            case "text":
                return _constant(found[1:-1].replace("''", "'"))
            case "number":
                return _number(found)
            case "sign" if found == "(":
                node = self.either()
                self.need(")")
                return node
            case "sign" if found == "-":
                self.at += 1
                return _number("-" + self.tokens[self.at - 1][1])
            case "word":
                return self.keyword(found)
            case _:
                raise ValueError(f"{found!r} is no value in {self.sql}")

    def keyword(self, word: str) -> _Node:
        match word:
            case "TRUE" | "FALSE":
                return _Node(pl.lit(word == "TRUE"), _TRUE, constant=word == "TRUE")
            case "NULL":
                return _Node(pl.lit(None))
            case "CASE":
                return self.case()
            case "CAST":
                self.need("(")
                node = self.either()
                self.need("AS")
                return self.cast(node, self.type())
            case "COUNT":
                return self.count()
            case _:
                self.need("(")
                return self.call(word, self.listed())

    def type(self) -> pl.DataType:
        """The type in `AS …)`, with its closing bracket."""
        parts: list[str] = []
        depth = 0
        while depth or self.peek() != ")":
            part = self.peek()
            depth += {"(": 1, ")": -1}.get(part, 0)
            parts.append(part)
            self.at += 1
        self.at += 1
        return dtype_of("".join(parts))

    def case(self) -> _Node:
        subject = None if self.peek() == "WHEN" else self.either()
        chain: Any = pl
        dtype = None
        while self.word("WHEN"):
            condition = self.either()
            self.need("THEN")
            then = self.either()
            asked = _boolean(condition) if subject is None else subject.expr == condition.expr
            chain = chain.when(asked).then(then.expr)
            dtype = dtype or then.dtype
        if self.word("ELSE"):
            last = self.either()
            chain, dtype = chain.otherwise(last.expr), dtype or last.dtype
        self.need("END")
        return _Node(chain, dtype)

    def cast(self, node: _Node, wanted: pl.DataType) -> _Node:
        if isinstance(node.constant, str):
            return _Node(pl.lit(_parsed(node.constant, wanted), dtype=wanted), wanted, node.constant)
        have = node.dtype or self.dtype(node.expr)
        return _Node(node.expr if have == wanted else cast(node.expr, have, wanted), wanted)

    def dtype(self, expr: pl.Expr) -> pl.DataType:
        return pl.LazyFrame(schema=self.schema).select(expr.alias("x")).collect_schema()["x"]

    def count(self) -> _Node:
        self.need("(", "*", ")", "OVER", "(", "PARTITION", "BY")
        return self.window("COUNT", tuple(node.expr for node in self.listed()))

    def window(self, name: str, keys: tuple[pl.Expr, ...]) -> _Node:
        if self.windows is None:
            raise ValueError(f"no window here: {self.sql}")
        return _Node(self.windows(Window(name, keys)))

    def call(self, name: str, given: Sequence[_Node]) -> _Node:  # noqa: PLR0911 - one case a function
        first, *others = (node.expr for node in given)
        constants = [node.constant for node in given]
        match name:
            case "MAX":
                self.need("OVER", "(", ")")
                return self.window("MAX", (first,))
            case "COALESCE":
                return _Node(pl.coalesce(first, *others), next((n.dtype for n in given if n.dtype), None))
            case "CONCAT":
                return _Node(pl.concat_str([first, *others], ignore_nulls=True), pl.String())
            case "SUBSTR":
                return _Node(first.str.slice(constants[1] - 1, constants[2]), pl.String())
            case "RIGHT":
                return _Node(first.str.tail(constants[1]), pl.String())
            case "REPLACED":
                return _Node(first.str.replace_all(constants[1], constants[2]), pl.String())
            case _:
                return _function(name, first, constants[1:])


def _function(name: str, value: pl.Expr, args: Sequence[Any]) -> _Node:  # noqa: PLR0911 - one case a function
    """The functions that only the Polars dialect has."""
    match name:
        case "LENGTH":
            return _Node(value.str.len_chars().cast(pl.Int64), pl.Int64())
        case "ITEMS":
            return _Node(value.list.len().cast(pl.Int64), pl.Int64())
        case "MATCHES":
            return _Node(value.str.contains(args[0]), _TRUE)
        case "FINITE":
            return _Node(value.is_finite(), _TRUE)
        case "IS_NAN":
            return _Node(value.is_nan(), _TRUE)
        case "ENCODED":
            return _Node(value.cast(pl.Binary), pl.Binary())
        case "TO_DATE":
            return _Node(value.str.to_date("%Y-%m-%d", strict=False), pl.Date())
        case "TO_TIMESTAMP":
            return _Node(_timestamp(value.str.replace(" ", "T", literal=True)), pl.Datetime("us"))
        case "TO_TIMESTAMPTZ":
            text = value.str.replace(" ", "T", literal=True).str.replace("Z", "+00:00", literal=True)
            parsed = text.str.to_datetime(
                "%Y-%m-%dT%H:%M:%S%.f%z", strict=False, time_unit="us", time_zone="UTC"
            )
            return _Node(parsed, pl.Datetime("us", "UTC"))
        case _:
            raise ValueError(f"{name} is no function of the Polars dialect")


def _timestamp(text: pl.Expr) -> pl.Expr:
    """Looking for a fraction takes as long as the rest, so only texts that are long enough are asked."""
    short = text.str.len_bytes() == 19
    form = "%Y-%m-%dT%H:%M:%S"
    whole = pl.when(short).then(text).str.to_datetime(form, strict=False, time_unit="us")
    longer = pl.when(~short).then(text).str.to_datetime(f"{form}%.f", strict=False, time_unit="us")
    return pl.coalesce(whole, longer)


def _exprs(nodes: Sequence[_Node]) -> list[pl.Expr]:
    return [_boolean(node) for node in nodes]


def _boolean(node: _Node) -> pl.Expr:
    # A bare NULL has no type of its own; conditions need one.
    return node.expr.cast(pl.Boolean) if node.dtype is None else node.expr


def _constant(value: str) -> _Node:
    return _Node(pl.lit(value), pl.String(), value)


def _number(digits: str) -> _Node:
    """Integers as Int64 where they fit; fractions as decimals, exactly."""
    if re.fullmatch("-?[0-9]+", digits):
        number = int(digits)
        wide = not -(2**63) <= number < 2**63
        return _Node(pl.lit(number, dtype=pl.Int128 if wide else pl.Int64), None, number)
    return _Node(pl.lit(Decimal(digits)), None, Decimal(digits))


def _parsed(text: str, wanted: pl.DataType) -> Any:  # noqa: PLR0911 - one case a type
    """A literal's value: the rules write those that are no text, integer or decimal as casts of text."""
    match wanted:
        case pl.Date():
            return date.fromisoformat(text)
        case pl.Datetime():
            moment = datetime.fromisoformat(text)
            if wanted.time_zone:
                return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
            return moment
        case pl.Decimal():
            return Decimal(text)
        case pl.Float32() | pl.Float64():
            return float(text)
        case pl.Binary():
            return text.encode()
        case _:
            return text


def _among(value: _Node, listed: Sequence[_Node]) -> pl.Expr:
    if all(isinstance(node.constant, str) and node.dtype == pl.String for node in listed):
        return value.expr.is_in([node.constant for node in listed])
    return functools.reduce(operator.or_, (value.expr == node.expr for node in listed))
