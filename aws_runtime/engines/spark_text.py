"""JSON text for Spark: where the values of a file begin and end, and every leaf as text.

In: text of arrays and objects, and parsed records. Out: spans, and values in a contract's shape. Pure
functions; they run on the driver and on workers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from aws_runtime.contract import DataType
from aws_runtime.formats.json import Layout

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def spans(text: str, layout: Layout) -> Iterator[tuple[int, int]]:
    """Yield where each value of an array, or of a file of objects, begins and ends.

    Raises:
        ValueError: The text is no such sequence.
    """
    array = layout is Layout.ARRAY
    at = _skip(text, 0)
    if array:
        at = _skip(text, at + 1)
        if text[at : at + 1] == "]":
            return _ended(text, at + 1)
    while at < len(text):
        end = _end(text, at)
        yield at, end
        at = _skip(text, end)
        if array and text[at : at + 1] == "]":
            return _ended(text, at + 1)
        if array and text[at : at + 1] != ",":
            raise ValueError(f"expected , or ] at character {at}")
        at = _skip(text, at + 1) if array else at
    if array:
        raise ValueError("the array does not end")
    return None


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _ended(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise ValueError(f"more after the array, at character {at}")


def _end(text: str, at: int) -> int:
    """Return where the value that begins at `at` ends; brackets are counted where it nests too deeply."""
    try:
        return _DECODER.raw_decode(text, at)[1]
    except RecursionError:
        depth = 0
        for token in _TOKEN.finditer(text, at):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
            if depth == 0:
                return token.end()
        raise ValueError("the value does not end") from None


_TRAILING = re.compile(rb'("(?:[^"\\]|\\.)*")|,(?=[ \t\r\n]*[}\]])', re.DOTALL)


def without_trailing_commas(data: bytes) -> bytes:
    """Return JSON text without commas that nothing follows: DuckDB's reader takes them, Python's does not."""
    return _TRAILING.sub(lambda found: found.group(1) or b"", data)


class Number(str):
    """A number's text, told from a string where both lie within one object."""

    __slots__ = ()


def integer(digits: str) -> Number:
    """A JSON integer's text, as DuckDB's reader gives it."""
    return Number("0" if digits == "-0" else digits)


def real(digits: str) -> Number:
    """A JSON fraction's text, as DuckDB's reader gives it: the shortest that means the same double."""
    value = float(digits)
    return Number(repr(value) if math.isfinite(value) else digits)


def _compact(value: Any) -> str:
    """JSON text of an object or list where the contract wants text."""
    match value:
        case Number():
            return str(value)
        case dict():
            return f"{{{','.join(f'{_compact(str(k))}:{_compact(v)}' for k, v in value.items())}}}"
        case list():
            return f"[{','.join(map(_compact, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def leaf_text(value: Any, kind: DataType) -> Any:
    """Return `value`, its numbers already text, in the shape of `kind`, every leaf as text.

    It is the text that DuckDB's reader gives: floats in their shortest form, objects as JSON.
    """
    if kind.item is not None:
        return value if value is None else [leaf_text(member, kind.item) for member in value]
    if kind.name == "struct":
        members = (leaf_text(value.get(f.name), f.type) for f in kind.fields) if value is not None else None
        return members if members is None else tuple(members)
    if value is None:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _compact(value)
