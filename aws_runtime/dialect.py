"""What one engine's SQL calls things, so that a contract is turned into SQL once for all engines.

In: an engine's own spelling of a dozen functions. Out: `Dialect`, which `aws_runtime.coercion` and
`aws_runtime.rules` are given. Each engine keeps its instance in `aws_runtime/engines/<name>_dialect.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aws_runtime.contract import DataType


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""What one engine's SQL calls things; every member takes and returns SQL text.

    Args:
        name: For messages.
        quote: Name -> quoted identifier.
        text: Value -> string literal.
        type_name: DataType -> SQL type (unsigned integers as the wider signed ones).
        try_cast: (expression, SQL type) -> cast that gives NULL where it fails.
        matches: (expression, regex) -> whether the regex is found; anchors are `\A` and `\z`.
        finite: Float expression -> whether it is neither NaN nor infinite.
        is_nan: Float expression -> whether it is NaN.
        member: (struct expression, field name) -> the field.
        struct: [(field name, expression)] -> a struct.
        each: (list expression, variable, index variable, body) -> list of the bodies.
        index: Index variable -> integer expression, counting from 0.
        exists: (list expression, variable, body) -> whether the body is true for any item.
        first: List-of-text expression -> its first item that is not NULL.
        length: List expression -> its number of items.
        encode: Text expression -> its UTF-8 bytes.
        counted: (list expression, variable, body) -> number of items whose body is not NULL; None
            where `exists` with a second conversion is as fast.
        from_text: (expression, DataType) -> the engine's own, faster way to turn text into a leaf
            type with exactly the lexical forms of `lexical`, or None to use `lexical`.
    """

    name: str
    quote: Callable[[str], str]
    text: Callable[[str], str]
    type_name: Callable[[DataType], str]
    try_cast: Callable[[str, str], str]
    matches: Callable[[str, str], str]
    finite: Callable[[str], str]
    is_nan: Callable[[str], str]
    member: Callable[[str, str], str]
    struct: Callable[[Sequence[tuple[str, str]]], str]
    each: Callable[[str, str, str, str], str]
    index: Callable[[str], str]
    exists: Callable[[str, str, str], str]
    first: Callable[[str], str]
    length: Callable[[str], str]
    encode: Callable[[str], str]
    counted: Callable[[str, str, str], str] | None = None
    from_text: Callable[[str, DataType], str | None] = lambda _expression, _type: None
