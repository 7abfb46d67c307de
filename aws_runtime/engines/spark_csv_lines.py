"""Lines of a part of a CSV file, and the records that they are: the short way for plain lines.

In: a stream of bytes that begins at a record. Out: for each record its line, its fields or what is wrong
with it. A line that every reader splits alike is split by Python's own functions, in C; any other goes
through `formats.csv_records`, so that it is what it is on every engine. Pure functions over streams; they
run on workers. Memory is bounded by a block, or by the longest record accepted.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, cast

from aws_runtime.formats.csv_records import Shape, plain_line, records

_BLOCK = 1024 * 1024
#: What no plain line holds: NUL, and bytes that are not UTF-8.
_ODD = re.compile("[\0\udc80-\udcff]")
#: Bytes looked at to find where a record begins, lines tried, and records that must be sound there.
_WINDOW, _TRIED, _SOUND = 256 * 1024, 50, 8

Convert = Callable[[bytes], bytes]


class Found(NamedTuple):
    """One record, or one line that is none.

    Args:
        line: Number of its first line, from 1.
        lines: How many lines it takes.
        values: Its fields; empty where `reason` says why.
        reason: Why it is no record; None where it is one.
        text: A broken record as it was sent.
    """

    line: int
    lines: int
    values: Sequence[str]
    reason: str | None = None
    text: str = ""


class Lines:
    """Lines of a stream, read block by block, and a file for `records` to go on from any of them.

    Args:
        file: At the start of a line.
        convert: Whole lines as sent -> UTF-8.
        longest: Bytes kept of a line.
        start: Where the stream begins in its file.
        stop: Where the part ends in it; lines beyond are read as far as a record needs them.
        number: Lines before it.
    """

    def __init__(  # noqa: PLR0917 - see above
        self,
        file: BinaryIO,
        convert: Convert,
        longest: int,
        start: int = 0,
        stop: int | None = None,
        number: int = 0,
    ) -> None:
        self.texts: list[str] = []
        #: Lines before `texts`, the line at which reading stands, and whether any holds odd characters.
        self.base, self.at, self.odd = number, 0, False
        #: Number of the last line, of those read so far, that begins before `stop`.
        self.before_stop = number
        self._file, self._convert, self._longest = file, convert, longest
        self._offset, self._stop = start, stop
        self._rest = b""
        self._mark: int | None = None
        self._within = 0
        self._ended = True

    def ready(self) -> bool:
        """Whether there is another line; reads on where there is none at hand."""
        return self.at < len(self.texts) or self._load()

    def _load(self) -> bool:
        piece = self._piece()
        if not piece:
            return False
        # Lines before the mark will not be asked for again.
        keep = self.at if self._mark is None else self._mark
        self.base, self.at = self.base + keep, self.at - keep
        self._mark = None if self._mark is None else 0
        given = self._convert(piece)
        odd = b"\0" in given
        try:
            text = given.decode()
        except UnicodeDecodeError:
            text, odd = given.decode("utf-8", "surrogateescape"), True
        new = text.split("\n")
        self._ended = not new[-1]
        if self._ended:
            new.pop()
        kept = self.texts[keep:]
        self.odd = odd or (bool(kept) and self.odd)
        self.texts = kept + new
        return True

    def _piece(self) -> bytes:
        """Read on to the end of a line; of a line that is too long, only its beginning is kept."""
        while block := self._file.read(_BLOCK):
            begins, self._offset = self._offset, self._offset + len(block)
            if self._stop is None or self._offset <= self._stop:
                self.before_stop += block.count(b"\n")
            elif begins < self._stop:
                self.before_stop += block.count(b"\n", 0, self._stop - begins)
            if end := block.rfind(b"\n") + 1:
                piece, self._rest = self._rest + block[:end], block[end:]
                return piece
            # As many as `records` asks for to see that a line is too long: all that is kept of it is told.
            if len(self._rest) < self._longest + 2:
                self._rest += block
        piece, self._rest = self._rest, b""
        # The last line of a file need not end.
        self.before_stop += bool(piece) and (self._stop is None or self._offset <= self._stop)
        return piece

    def readline(self, most: int) -> bytes:
        """Return at most `most` bytes of the line at which reading stands, as a binary file does."""
        if not self.ready():
            return b""
        ended = self._ended or self.at + 1 < len(self.texts)
        data = self.texts[self.at].encode("utf-8", "surrogateescape") + (b"\n" if ended else b"")
        part = data[self._within : self._within + most]
        self._within += len(part)
        if self._within == len(data):
            self.at, self._within = self.at + 1, 0
        return part

    def record(self, shape: Shape) -> Found:
        """Read the record that begins at this line, exactly, and stand behind it."""
        self._mark = self.at
        record = next(records(cast("BinaryIO", self), shape, line=self.base + self.at))
        # More lines may have been looked at than the record has.
        self.at, self._mark, self._within = self._mark + record.lines, None, 0
        reason = None if record.reason is None else record.reason.removesuffix(f" (line {record.line})")
        return Found(record.line, record.lines, record.values, reason, record.text if reason else "")


def skip_lines(file: BinaryIO, count: int) -> None:
    """Read past `count` lines, however long."""
    for _ in range(count):
        while (part := file.readline(_BLOCK)) and not part.endswith(b"\n"):
            pass


def split(lines: Lines, shape: Shape) -> Iterator[Found]:
    """Yield the records of `lines`, from where they stand."""
    quote, delimiter, wanted = shape.quote, shape.delimiter, shape.fields
    plain = re.compile(plain_line(shape)).fullmatch
    csv.field_size_limit(shape.max_bytes + 2)
    # Characters that are surely no more bytes than a record may have.
    short = shape.max_bytes // 4
    while lines.ready():
        texts, base, odd = lines.texts, lines.base, lines.odd
        for at in range(lines.at, len(texts)):
            line = texts[at].removesuffix("\r")
            if not line:
                continue
            if len(line) > short or (odd and _ODD.search(line)):
                values = None
            elif not quote or quote not in line:
                values = line.split(delimiter)
            elif plain(line) and not line.endswith("\r"):
                # One CR ends the line, two do not; `csv` would drop the other one.
                values = next(csv.reader((line,), delimiter=delimiter, quotechar=quote))
            else:
                values = None
            if values is None or len(values) != wanted:
                lines.at = at
                yield lines.record(shape)
                break
            yield Found(base + at + 1, 1, values)
        else:
            lines.at = len(texts)


def record_start(file: BinaryIO, shape: Shape, convert: Convert) -> int:
    """Return how many bytes after where `file` stands a record probably begins.

    Some line begins inside a quoted field and looks like a record nevertheless: whoever relies on the
    answer finds out whether the part before ends there.

    Args:
        file: Anywhere, but behind the first byte.
        shape: What tells records apart.
        convert: Whole lines as sent -> UTF-8.
    """
    window = file.read(_WINDOW)
    complete = len(window) < _WINDOW
    first = window.find(b"\n") + 1
    if not first:
        at = len(window)
        while block := file.readline(_WINDOW):
            at += len(block)
            if block.endswith(b"\n"):
                break
        return at
    body = window if complete else window[: window.rfind(b"\n") + 1]
    start = first
    for _ in range(_TRIED):
        if _sound(convert(body[start:]), shape):
            return start
        start = body.find(b"\n", start) + 1
        if not start:
            break
    return first


def _sound(data: bytes, shape: Shape) -> bool:
    """Whether the first records are sound; the last one is not judged, as the text may be cut there."""
    found = split(Lines(io.BytesIO(data), lambda piece: piece, len(data)), shape)
    sound = [one.reason is None for one, _ in zip(found, range(_SOUND + 1), strict=False)]
    return all(sound[:-1])
