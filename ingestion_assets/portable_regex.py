r"""Regex of a Pandera check -> one that RE2 (DuckDB) and Java (Spark) read as Polars reads the first.

In: a pattern that Polars (Rust's regex crate) accepts. Out: the same language spelled so that both
engines agree: Unicode classes written out, `.` without newlines only, `$` as the very end. What
only some of them can express (look-around, back-references, `\b`, flags) is a `PortabilityError`.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from re import _constants as c  # type: ignore[attr-defined] # the parser that `re` itself uses
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import polars as pl

_SPACE = r"\t\n\x{0B}\f\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
#: Unicode's word characters, less the few of Other_Alphabetic that are no letters (circled letters).
_WORD = r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}"
_CLASSES = {
    c.CATEGORY_DIGIT: (r"\p{Nd}", False),
    c.CATEGORY_NOT_DIGIT: (r"\p{Nd}", True),
    c.CATEGORY_SPACE: (_SPACE, False),
    c.CATEGORY_NOT_SPACE: (_SPACE, True),
    c.CATEGORY_WORD: (_WORD, False),
    c.CATEGORY_NOT_WORD: (_WORD, True),
}
_REFUSED = {
    c.ASSERT: "look-ahead or look-behind",
    c.ASSERT_NOT: "look-ahead or look-behind",
    c.GROUPREF: "a back-reference",
    c.GROUPREF_EXISTS: "a conditional group",
    c.ATOMIC_GROUP: "an atomic group",
    c.POSSESSIVE_REPEAT: "a possessive repeat",
}
#: RE2 refuses larger counts.
_MOST_REPEATS = 1000


class PortabilityError(ValueError):
    """A regex that the engines would not read alike; its message says which part."""


def portable(pattern: str) -> str:
    """Return `pattern` spelled so that every engine finds it in the same texts.

    Raises:
        PortabilityError: Naming the construct.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = parser.parse(pattern)
    except (re.error, Warning, OverflowError) as error:
        raise PortabilityError(str(error)) from None
    try:
        pl.select(pl.lit("", dtype=pl.String).str.contains(pattern))
    except pl.exceptions.PolarsError as error:
        said = [
            line.removeprefix("error: ") for line in str(error).splitlines() if line.startswith("error: ")
        ]
        raise PortabilityError(
            said[0].removesuffix(" is not supported").rstrip(",")
            if said
            else "a construct that Polars refuses"
        ) from None
    if tree.state.flags & ~re.UNICODE:
        raise PortabilityError("a flag such as (?i)")
    return _sequence(tree)


def _sequence(tree: Any) -> str:
    return "".join(_node(op, argument) for op, argument in tree)


def _node(op: Any, argument: Any) -> str:
    if op in _REFUSED:
        raise PortabilityError(_REFUSED[op])
    spell = _SPELL.get(op)
    if spell is None:
        raise PortabilityError(str(op).lower())
    return spell(argument)


def _group(argument: Any) -> str:
    _number, added, removed, body = argument
    if added or removed:
        raise PortabilityError("a flag such as (?i:…)")
    return f"(?:{_sequence(body)})"


def _repeat(argument: Any) -> str:
    least, most, body = argument
    open_ended = most is c.MAXREPEAT
    if least > _MOST_REPEATS or (not open_ended and most > _MOST_REPEATS):
        raise PortabilityError(f"a repeat of more than {_MOST_REPEATS}")
    return f"(?:{_sequence(body)}){{{least},{'' if open_ended else most}}}"


def _anchor(where: Any) -> str:
    if where in (c.AT_BEGINNING, c.AT_BEGINNING_STRING):
        return r"\A"
    if where is c.AT_END:
        return r"\z"
    raise PortabilityError(r"a word boundary such as \b")


def _set(members: list[tuple[Any, Any]]) -> str:
    negated = bool(members) and members[0][0] is c.NEGATE
    inside, complements = "", []
    for op, argument in members[1:] if negated else members:
        if op is c.LITERAL:
            inside += _character(argument)
        elif op is c.RANGE:
            inside += f"{_character(argument[0])}-{_character(argument[1])}"
        else:
            chars, complement = _CLASSES[argument]
            if complement:
                complements.append(chars)
            else:
                inside += chars
    if not complements:
        return f"[{'^' if negated else ''}{inside}]"
    if negated and (inside or len(complements) > 1):
        # RE2 has no intersection of sets.
        raise PortabilityError(r"a negated class such as \S inside a negated set")
    if negated:
        return f"[{complements[0]}]"
    return "(?:" + "|".join([*([f"[{inside}]"] if inside else []), *(f"[^{s}]" for s in complements)]) + ")"


def _character(code: int) -> str:
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    if unicodedata.category(char) == "Cs":
        raise PortabilityError("half of a surrogate pair")
    return f"\\x{{{code:X}}}"


_SPELL: Mapping[Any, Callable[[Any], str]] = {
    c.LITERAL: _character,
    c.NOT_LITERAL: lambda code: f"[^{_character(code)}]",
    c.ANY: lambda _none: r"[^\n]",
    c.AT: _anchor,
    c.IN: _set,
    c.BRANCH: lambda argument: "(?:" + "|".join(_sequence(branch) for branch in argument[1]) + ")",
    c.SUBPATTERN: _group,
    # Whether a text holds a match does not depend on greediness.
    c.MAX_REPEAT: _repeat,
    c.MIN_REPEAT: _repeat,
}
