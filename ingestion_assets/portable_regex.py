"""Regex of a Pandera check -> one that RE2 (DuckDB) and Java (Spark) read as Polars reads the first.

In: a pattern that Polars (Rust's regex crate) accepts. Out: the same language spelled so that both
engines agree: Unicode classes written out, `.` without newlines only, `$` as the very end. What
only some of them can express (look-around, back-references, `\\b`, flags) is a `NotPortable`.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
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


class NotPortable(ValueError):
    """A regex that the engines would not read alike; its message says which part."""


def portable(pattern: str) -> str:
    """Return `pattern` spelled so that every engine finds it in the same texts.

    Raises:
        NotPortable: Naming the construct.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = parser.parse(pattern)
    except (re.error, Warning, OverflowError) as error:
        raise NotPortable(str(error)) from None
    try:
        pl.select(pl.lit("", dtype=pl.String).str.contains(pattern))
    except pl.exceptions.PolarsError as error:
        raise NotPortable(str(error).strip().splitlines()[-1]) from None
    if tree.state.flags & ~re.UNICODE:
        raise NotPortable("a flag such as (?i)")
    return _sequence(tree)


def _sequence(tree: Any) -> str:
    return "".join(_node(op, argument) for op, argument in tree)


def _node(op: Any, argument: Any) -> str:
    if op in _REFUSED:
        raise NotPortable(_REFUSED[op])
    if op is c.LITERAL:
        return _character(argument)
    if op is c.NOT_LITERAL:
        return f"[^{_character(argument)}]"
    if op is c.ANY:
        return r"[^\n]"
    if op is c.AT:
        return _anchor(argument)
    if op is c.IN:
        return _set(argument)
    if op is c.BRANCH:
        return "(?:" + "|".join(_sequence(branch) for branch in argument[1]) + ")"
    if op is c.SUBPATTERN:
        _group, added, removed, body = argument
        if added or removed:
            raise NotPortable("a flag such as (?i:…)")
        return f"(?:{_sequence(body)})"
    if op in (c.MAX_REPEAT, c.MIN_REPEAT):
        return _repeat(*argument)
    raise NotPortable(str(op).lower())


def _repeat(least: int, most: Any, body: Any) -> str:
    open_ended = most is c.MAXREPEAT
    if least > _MOST_REPEATS or (not open_ended and most > _MOST_REPEATS):
        raise NotPortable(f"a repeat of more than {_MOST_REPEATS}")
    # Whether a text holds a match does not depend on greediness.
    return f"(?:{_sequence(body)}){{{least},{'' if open_ended else most}}}"


def _anchor(where: Any) -> str:
    if where in (c.AT_BEGINNING, c.AT_BEGINNING_STRING):
        return r"\A"
    if where is c.AT_END:
        return r"\z"
    raise NotPortable(r"a word boundary such as \b")


def _set(members: list[tuple[Any, Any]]) -> str:
    negated = bool(members) and members[0][0] is c.NEGATE
    inside = ""
    for op, argument in members[1:] if negated else members:
        if op is c.LITERAL:
            inside += _character(argument)
        elif op is c.RANGE:
            inside += f"{_character(argument[0])}-{_character(argument[1])}"
        else:
            chars, complement = _CLASSES[argument]
            if not complement:
                inside += chars
            elif len(members) - negated == 1:
                negated, inside = not negated, chars
            else:
                raise NotPortable(r"a negated class such as \S beside others in a set")
    return f"[{'^' if negated else ''}{inside}]"


def _character(code: int) -> str:
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    if unicodedata.category(char) == "Cs":
        raise NotPortable("half of a surrogate pair")
    return f"\\x{{{code:X}}}"
