"""How people write numbers and dates -> the forms that a contract accepts, on every engine the same.

In: a source's options and a contract's type. Out: a `Spelling`, which is a regex of the texts that are
values and the replacements that make them canonical; regexes and replacements mean the same to Rust,
Java and Python (`$1` is a group). A text of another form is no value: with a decimal comma, `1.500` is
refused rather than read as one and a half.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from aws_runtime.coercion import lexical
from aws_runtime.contract import DataType
from aws_runtime.dialect import Dialect

#: What else is written where a separator of thousands is declared: no-break spaces, typographic quotes.
_ALSO = {" ": " \u00a0\u202f", "'": "'\u2019"}
_INTEGERS = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
#: Directives of a date, and the groups that its parts become.
_DATE = {"%d": "([0-9]{1,2})", "%m": "([0-9]{1,2})", "%Y": "([0-9]{4})"}
_TIME = {**_DATE, "%H": "([0-9]{1,2})", "%M": "([0-9]{2})", "%S": "([0-9]{2}(?:[.][0-9]{1,6})?)"}
#: One digit where the canonical form has two.
_PADDED = (("-([0-9])-", "-0$1-"), ("-([0-9])( |$)", "-0$1$2"), (" ([0-9]):", " 0$1:"))


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a type's values are written in a source.

    Args:
        form: Regex, without anchors, of the texts that may be values.
        steps: (regex, replacement): each replaces all that it finds, one after the other; the result
            is for `coercion.lexical_form` to judge.
    """

    form: str
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Habits:
    """The options of a source that say how values are written."""

    decimal: str = "."
    thousands: str = ""
    date_format: str = ""
    timestamp_format: str = ""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself; raises `ValueError`."""
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        for name, directives in (("date_format", _DATE), ("timestamp_format", _TIME)):
            if pattern := getattr(self, name):
                _check_pattern(name, pattern, directives)


def _check_pattern(name: str, pattern: str, directives: dict[str, str]) -> None:
    found = re.findall("%.?", pattern, re.DOTALL)
    if sorted(found) != sorted(directives):
        raise ValueError(f"{name} {pattern!r} must hold {', '.join(directives)} once each and no other")


def spelling(habits: Habits, data_type: DataType) -> Spelling | None:
    """How `data_type` is written; None where it is as everywhere."""
    if data_type.name == "date" and habits.date_format:
        return _moment(habits.date_format, _DATE)
    if data_type.name == "timestamp" and habits.timestamp_format and not data_type.timezone:
        return _moment(habits.timestamp_format, _TIME)
    if habits.thousands == "" and habits.decimal == ".":
        return None
    if data_type.name in _INTEGERS:
        return _number(habits, exponent=False) if habits.thousands else None
    if data_type.name in ("float32", "float64", "decimal"):
        return _number(habits, exponent=data_type.name != "decimal", fraction=True)
    return None


def _number(habits: Habits, *, exponent: bool, fraction: bool = False) -> Spelling:
    steps = []
    whole = "[0-9]+"
    if habits.thousands:
        group = f"[{_ALSO.get(habits.thousands, re.escape(habits.thousands))}]"
        whole = f"(?:[0-9]+|[0-9]{{1,3}}(?:{group}[0-9]{{3}})+)"
        steps.append((group, ""))
    if not fraction:
        return Spelling(f"[+-]?{whole}", tuple(steps))
    point = re.escape(habits.decimal)
    form = f"[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)"
    if habits.decimal != ".":
        steps.append((point, "."))
    return Spelling(form + ("(?:[eE][+-]?[0-9]+)?" if exponent else ""), tuple(steps))


def _moment(pattern: str, directives: dict[str, str]) -> Spelling:
    parts = re.split("(%.)", pattern)
    form = "".join(directives.get(part, re.escape(part)) for part in parts)
    group = {part: f"${number}" for number, part in enumerate((p for p in parts if p in directives), start=1)}
    # A group's number must not be followed by a letter: Rust would take it for a part of the name.
    target = f"{group['%Y']}-{group['%m']}-{group['%d']}"
    if "%H" in group:
        target += f" {group['%H']}:{group['%M']}:{group['%S']}"
    return Spelling(form, ((f"^{form}$", target), *_PADDED))


def local_dialect(dialect: Dialect, habits: Habits, replaced: Callable[[str, str, str], str]) -> Dialect:
    r"""`dialect` for the texts of one source: values are made canonical before they are converted.

    What was read stays as it is, for reasons and for the quarantine.

    Args:
        dialect: The engine's own.
        habits: Of the source.
        replaced: (expression, regex, replacement) -> SQL that replaces all that the regex finds.
    """

    def from_text(value: str, wanted: DataType) -> str | None:
        written = spelling(habits, wanted)
        if written is None:
            return dialect.from_text(value, wanted)
        text = value
        for pattern, target in written.steps:
            text = replaced(text, pattern, target)
        typed = dialect.from_text(text, wanted) or lexical(text, wanted, dialect)
        accepted = dialect.matches(value, rf"\A(?:{written.form})\z")
        return f"CASE WHEN {accepted} THEN {typed} END"

    return replace(dialect, from_text=from_text)
