"""CSV files as bytes: any encoding, compressed or not -> plain UTF-8 whose lines end in LF or CRLF.

In: a local file and the source's `Options`. Out: `Prepared`, or a reason to reject the file. Every byte is
looked at once, because a file may cease to be UTF-8 near its end.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from aws_runtime.errors import RejectedFile
from aws_runtime.formats.compression import plain_copy
from aws_runtime.formats.csv_values import Habits
from aws_runtime.formats.encoding import told_encoding

_BLOCK = 1024 * 1024
#: What is sent by mistake, by its first bytes.
_OTHERS = {b"PK\x03\x04": "a zip archive or a workbook", b"PAR1": "Parquet", b"%PDF": "a PDF document"}


@dataclass(frozen=True)
class Options:
    """`ingestion_assets.Csv`, as it arrives in a plan."""

    header: bool = True
    delimiter: str = "auto"
    quote: str = '"'
    encoding: str = "auto"
    fallback_encoding: str = "windows-1252"
    compression: str = "auto"
    null_values: Sequence[str] = ()
    decimal: str = "."
    thousands: str = ""
    date_format: str = ""
    timestamp_format: str = ""
    skip_lines: int = 0
    max_record_bytes: int = 16 * 1024 * 1024

    @cached_property
    def habits(self) -> Habits:
        """How values are written; raises `ValueError` where that contradicts itself."""
        return Habits(self.decimal, self.thousands, self.date_format, self.timestamp_format)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plain file.

    Args:
        path: UTF-8 without a mark; lines end in LF or CRLF.
        longest: Bytes of its longest line, or a little more.
        lines: How many it has.
        valid: Whether all of it is UTF-8; only a file declared to be can have lines that are not.
        quoted: Whether it holds the quote.
        doubled: Whether it holds two quotes side by side, as an empty quoted field has them.
        controls: Whether it holds NUL, or a CR that no LF follows.
    """

    path: str
    longest: int
    lines: int
    valid: bool
    quoted: bool = True
    doubled: bool = True
    controls: bool = True


def prepare(path: str, uri: str, options: Options, work: Path) -> Prepared:
    """Return `path`, or a copy in the folder `work`, as UTF-8 without compression or mark.

    Raises:
        RejectedFile: `EmptyFile`, `NotCsv`, `CompressedFile`, `CorruptFile` or `WrongEncoding`.
    """
    path = plain_copy(path, uri, allowed=options.compression, target=_fresh(work))
    with Path(path).open("rb") as file:
        head = file.read(4)
    if not head:
        raise RejectedFile("EmptyFile", "the file has 0 bytes", uri)
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise RejectedFile("NotCsv", f"the file is {what}", uri)
    encoding, lenient = encoding_of(head, options)
    if encoding != "utf-8":
        path, lenient = _transcoded(path, uri, encoding, _fresh(work)), False
    seen = _inspect(path, options.quote)
    if (lenient and not seen.valid) or seen.carriages:
        fallback = options.fallback_encoding if lenient else None
        path = _rewritten(path, uri, fallback, seen, _fresh(work))
        seen = _inspect(path, options.quote)
    return Prepared(path, seen.longest, seen.lines, seen.valid, seen.quoted, seen.doubled, seen.controls)


def _fresh(work: Path) -> Path:
    return work / f"{len(list(work.iterdir()))}.csv"


def encoding_of(head: bytes, options: Options) -> tuple[str, bool]:
    """The encoding by declaration or by a file's first four bytes, and whether the fallback may be used."""
    if options.encoding == "auto":
        return told_encoding(head) or "utf-8", told_encoding(head) is None
    name = codecs.lookup(options.encoding).name
    if name == "utf-8" and head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", False
    return name, False


def _transcoded(path: str, uri: str, encoding: str, target: Path) -> str:
    offset = 0
    with Path(path).open("rb") as given, target.open("wb") as plain:
        if encoding == "utf-8-sig":
            # Only the mark goes: bytes that are not UTF-8 stay, to be judged record by record.
            given.seek(len(codecs.BOM_UTF8))
            while block := given.read(_BLOCK):
                plain.write(block)
            return str(target)
        decoder = codecs.getincrementaldecoder(encoding)(_errors(encoding))
        while True:
            block = given.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not block)
                plain.write(text.removeprefix("\ufeff").encode() if offset == 0 else text.encode())
            except UnicodeError as error:
                where = f"between bytes {offset} and {offset + len(block)}"
                raise RejectedFile("WrongEncoding", f"not valid {encoding} {where}: {error}", uri) from error
            if not block:
                return str(target)
            offset += len(block)


def _c1_control(error: UnicodeError) -> tuple[str, int]:
    """The five bytes that Windows-1252 leaves undefined are C1 controls, as browsers read them."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("aws_runtime.c1", _c1_control)


def _errors(encoding: str) -> str:
    return "aws_runtime.c1" if codecs.lookup(encoding).name.startswith("cp125") else "strict"


@dataclass(slots=True)
class _Seen:
    """What a look at all bytes found; `carriages`: whether lines end in CR alone; else as in `Prepared`."""

    valid: bool = True
    longest: int = 0
    lines: int = 0
    carriages: bool = False
    quoted: bool = False
    doubled: bool = False
    controls: bool = False


def _inspect(path: str, quote: str) -> _Seen:
    seen, since, ended = _Seen(), 0, False
    decoder = codecs.getincrementaldecoder("utf-8")()
    mark = quote.encode()
    with Path(path).open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            if block.endswith((b"\r", mark or b"\r")):
                block += file.read(1)  # belongs to the same look
            if seen.valid and not (block and block.isascii() and not decoder.getstate()[0]):
                seen.valid = _decodes(decoder, block)
            if not block:
                seen.longest, seen.lines = max(seen.longest, since), seen.lines + bool(since)
                return seen
            if not ended and (b"\n" in block or b"\r" in block):
                ended, seen.carriages = True, b"\n" not in block
            _note(block, mark, seen)
            first, last = block.find(b"\n"), block.rfind(b"\n")
            seen.lines += block.count(b"\n")
            if first < 0:
                since += len(block)
            else:
                seen.longest = max(seen.longest, since + first, last - first)
                since = len(block) - last - 1


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes) -> bool:
    try:
        decoder.decode(block, final=not block)
    except UnicodeDecodeError:
        return False
    return True


def _note(block: bytes, mark: bytes, seen: _Seen) -> None:
    """Note what of a block plain lines have not."""
    if mark and mark in block:
        seen.quoted = True
        seen.doubled = seen.doubled or len(mark) > 1 or mark * 2 in block
    if b"\0" in block or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n")):
        seen.controls = True


def _rewritten(path: str, uri: str, fallback: str | None, seen: _Seen, target: Path) -> str:
    """Lines that are not UTF-8 in the fallback encoding; CR as LF where lines end so.

    By line, not by file: UTF-8 stays what it is beside a line of another encoding.
    """
    with Path(path).open("rb") as given, target.open("wb") as plain:
        for line in pieces(given):
            text = line.replace(b"\r", b"\n") if seen.carriages else line
            plain.write(readable(text, uri, fallback) if fallback else text)
    return str(target)


def readable(text: bytes, uri: str, fallback: str) -> bytes:
    """Return whole lines with those that are not UTF-8 turned into it from the fallback encoding.

    Raises:
        RejectedFile: `WrongEncoding`.
    """
    if text.isascii():
        return text
    try:
        text.decode()
    except UnicodeDecodeError:
        try:
            return b"".join(_by_line(text, fallback, _errors(fallback)))
        except UnicodeError as error:
            raise RejectedFile("WrongEncoding", f"neither UTF-8 nor {fallback}: {error}", uri) from error
    return text


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Blocks that end with a line, as far as lines are shorter than a block."""
    rest = b""
    while block := file.read(_BLOCK):
        end = block.rfind(b"\n") + 1
        if end or len(rest) > 64 * _BLOCK:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
    yield rest


def _by_line(text: bytes, fallback: str, errors: str) -> Iterator[bytes]:
    for line in text.splitlines(keepends=True):
        try:
            line.decode()
            yield line
        except UnicodeDecodeError:
            yield line.decode(fallback, errors).encode()
