"""CSV records, exactly: the reference that says what every line of a file is.

In: a UTF-8 file whose lines end in LF or CRLF, and its `Shape`. Out: one `Record` for each record, or
for each line that is none. Engines read plain lines their own, faster way and come here for the rest;
tests hold them to it.

1. A field that begins with the quote ends at the next quote that is not doubled; only a delimiter or the
   end of the record may follow. Any other field ends at the delimiter; a quote within it is a character.
2. A record ends with its line, unless a quoted field is open there.
3. Only a record that is right in all respects takes more than one line. Any other takes its first line
   alone, and reading goes on with the next one: a quote that never closes costs one line, not the file.
4. Empty lines are no records. A record has exactly as many fields as the header.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

#: A broken record longer than this is kept up to here; its position finds the rest in the file.
KEPT_BYTES = 1024 * 1024

_BLOCK = 1024 * 1024
_SURROGATE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Shape:
    """What tells records apart.

    Args:
        delimiter: Between fields.
        quote: Around fields; empty for none.
        fields: How many a record has; None for any number.
        max_bytes: Longest record accepted.
    """

    delimiter: str
    quote: str = '"'
    fields: int | None = None
    max_bytes: int = 16 * 1024 * 1024

    @cached_property
    def closing(self) -> re.Pattern[str]:
        """From within a quoted field to its end: the first quote that is not doubled."""
        q = re.escape(self.quote)
        return re.compile(f"[^{q}]*+(?:{q}{q}[^{q}]*+)*+{q}")


@dataclass(frozen=True, slots=True)
class Record:
    """One record, or one line that is none.

    Args:
        number: Its position among the records, from 1.
        line: Number of its first line, from 1.
        values: Its fields as text, quotes removed; empty where `reason` says why.
        reason: Why it is no record; begins with `record: ` and ends with its line.
        text: As it was sent, without the line end; at most `KEPT_BYTES`.
        lines: How many it takes.
    """

    number: int
    line: int
    values: tuple[str, ...]
    reason: str | None
    text: str
    lines: int = 1


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    carriage: str
    size: int
    too_long: bool
    blank: bool


@dataclass(slots=True)
class _Fields:
    """The fields read so far; beyond the number wanted they are only counted."""

    wanted: int | None
    values: list[str] = field(default_factory=list)
    count: int = 0
    held: list[str] | None = None

    def add(self, value: str) -> None:
        self.count += 1
        if self.wanted is None or self.count <= self.wanted:
            self.values.append(value)


def records(file: BinaryIO, shape: Shape, *, record: int = 0, line: int = 0) -> Iterator[Record]:
    """Yield the records of `file` from where it stands, in their order.

    Memory is bounded by the longest record accepted.

    Args:
        file: UTF-8, at the start of a record.
        shape: What tells records apart.
        record: Records before it.
        line: Lines before it.
    """
    waiting: deque[_Line] = deque()
    given = _lines(file, shape.max_bytes, line)
    while (first := waiting.popleft() if waiting else next(given, None)) is not None:
        if first.blank:
            continue
        record += 1
        taken = [first]
        values, reason = _read(taken, waiting, given, shape)
        if reason is not None:
            waiting.extendleft(reversed(taken[1:]))
            yield Record(record, first.number, (), f"record: {reason} (line {first.number})", _kept([first]))
        else:
            yield Record(record, first.number, tuple(values), None, _kept(taken), len(taken))


def _lines(file: BinaryIO, max_bytes: int, number: int) -> Iterator[_Line]:
    while data := file.readline(max_bytes + 2):
        number += 1
        ended = data.endswith(b"\n")
        too_long = not ended and len(data.removesuffix(b"\r")) > max_bytes
        if too_long:
            data = data[:KEPT_BYTES]
            while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
                pass
        text = data.decode("utf-8", "surrogateescape").removesuffix("\n")
        carriage = "\r" if text.endswith("\r") and not too_long else ""
        text = text.removesuffix(carriage)
        yield _Line(number, text, carriage, len(data), too_long, not text)


def _read(
    taken: list[_Line], waiting: deque[_Line], given: Iterator[_Line], shape: Shape
) -> tuple[list[str], str | None]:
    """Read one record from its first line on; returns its fields, or why there is none.

    Lines after the first are appended to `taken`.
    """
    line, size = taken[0], 0
    fields = _Fields(shape.fields)
    while True:
        size += line.size
        fault = _unreadable(line, size, shape) or _feed(line.text, fields, shape)
        opened = fields.count + 1
        if fault is None and fields.held is None:
            fault = _miscounted(fields.count, len(taken), shape)
            return fields.values, fault
        if fault is not None and len(taken) == 1:
            return [], fault
        # More fields than it may have: the quote has opened by mistake, so nothing is gained by more lines.
        too_many = shape.fields is not None and fields.count >= shape.fields
        following = None
        if fault is None and not too_many:
            following = waiting.popleft() if waiting else next(given, None)
        if following is None:
            return [], f"the quote that opens field {opened} does not close" if len(taken) == 1 else (
                "a quoted field does not close, or text follows where it does"
            )
        assert fields.held is not None  # noqa: S101 - told above
        fields.held.append(f"{line.carriage}\n")
        line = following
        taken.append(line)


def _unreadable(line: _Line, size: int, shape: Shape) -> str | None:
    if line.too_long or size > shape.max_bytes + 2:
        return f"longer than {shape.max_bytes} bytes"
    if (found := _SURROGATE.search(line.text)) is not None:
        return f"invalid UTF-8 at byte {len(line.text[: found.start()].encode()) + 1}"
    if (at := line.text.find("\0")) >= 0:
        return f"NUL at character {at + 1}"
    return None


def _miscounted(count: int, lines: int, shape: Shape) -> str | None:
    if shape.fields is None or count == shape.fields:
        return None
    told = f"{count} {'field' if count == 1 else 'fields'}"
    over = f" over {lines} lines" if lines > 1 else ""
    return f"{told}{over}, the header has {shape.fields}"


def _feed(line: str, fields: _Fields, shape: Shape) -> str | None:
    """Add the fields of one line; returns what is wrong with it. `fields.held` is an open field's text."""
    quote, delimiter = shape.quote, shape.delimiter
    if fields.held is None and (not quote or quote not in line):
        found = line.count(delimiter) + 1
        if shape.fields is not None and found > shape.fields:
            fields.count += found
        else:
            for value in line.split(delimiter):
                fields.add(value)
        return None
    at = 0
    while True:
        if fields.held is not None:
            at, fault = _close(line, at, fields, shape)
            if fault is not None or at > len(line):
                return fault
        if line.startswith(quote, at):
            fields.held, at = [], at + 1
        elif (end := line.find(delimiter, at)) < 0:
            fields.add(line[at:])
            return None
        else:
            fields.add(line[at:end])
            at = end + 1


def _close(line: str, at: int, fields: _Fields, shape: Shape) -> tuple[int, str | None]:
    """Read the open field on; returns where the next one begins, beyond the line where there is none."""
    assert fields.held is not None  # noqa: S101 - asked for an open field only
    beyond = len(line) + 1
    closed = shape.closing.match(line, at)
    if closed is None:
        fields.held.append(line[at:])
        return beyond, None
    fields.held.append(line[at : closed.end() - 1])
    fields.add("".join(fields.held).replace(shape.quote * 2, shape.quote))
    fields.held = None
    if closed.end() < len(line) and not line.startswith(shape.delimiter, closed.end()):
        return beyond, f"text after the closing quote of field {fields.count}"
    return closed.end() + 1, None


def _kept(lines: list[_Line]) -> str:
    text = "\n".join(f"{line.text}{line.carriage}" for line in lines[:-1])
    text = f"{text}\n{lines[-1].text}" if len(lines) > 1 else lines[0].text
    if len(text) * 4 > KEPT_BYTES:
        text = text.encode("utf-8", "surrogateescape")[:KEPT_BYTES].decode("utf-8", "surrogateescape")
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def plain_line(shape: Shape) -> str:
    r"""A regex for Rust, Java and Python: lines that every reader splits as this one does.

    No quote but around whole fields, no NUL, no CR but at the end, at least one character. A file of
    such lines only has one record a line. Match it from the line's start to its end; the line may keep
    its CR. It does not count fields: see `delimiters`.
    """
    d = re.escape(shape.delimiter)
    if not shape.quote:
        return r"[^\x00\r\n]+\r?"
    q = re.escape(shape.quote)
    inner = f"[^{q}\\x00\\r\\n]*"
    value = f"(?:[^{d}{q}\\x00\\r\\n]*|{q}{inner}(?:{q}{q}{inner})*{q})"
    return f"{value}(?:{d}{value})*\\r?"


def quoted_part(shape: Shape) -> str:
    """A regex of a quoted field, for plain lines only: without them, delimiters count the fields."""
    q = re.escape(shape.quote)
    return f"{q}[^{q}]*(?:{q}{q}[^{q}]*)*{q}"
