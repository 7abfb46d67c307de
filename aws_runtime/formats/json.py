"""JSON files: bytes as sent -> a UTF-8 file of known layout; broken records -> reasons.

In: a file that may be compressed, carry a byte order mark or be UTF-16, and may hold an array, one
object or one object a line. Out: `Prepared`, which any engine can read, or `RejectedFile`. The
functions that split lines and explain broken records serve an engine's slow, exact way of reading,
taken only when its fast one fails. Memory is bounded by the longest record accepted.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from aws_runtime.contract import Contract, DataType
from aws_runtime.errors import RejectedFile
from aws_runtime.formats.compression import plain_copy
from aws_runtime.formats.encoding import told_encoding

#: Rule id under which broken records are counted.
MALFORMED = "record.malformed"
#: A broken record longer than this is kept up to here; its position finds the rest in the file.
KEPT_BYTES = 1024 * 1024
#: Arrays up to this size are parsed once more, in Python, to say exactly where they break.
EXPLAINED_BYTES = 64 * 1024 * 1024

_BLOCK = 1024 * 1024
_BLANK = b" \t\r\n"


class Layout(StrEnum):
    """How records lie in a file."""

    LINES = "lines"
    ARRAY = "array"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True)
class Options:
    """`ingestion_assets.Json`, as it arrives in a plan."""

    compression: str = "auto"
    max_depth: int = 100
    max_record_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Prepared:
    """A UTF-8 file without mark or compression, and its layout.

    OBJECTS is a guess, that one object spans several lines: an engine that cannot read the file so
    reads it as LINES.
    """

    path: str
    layout: Layout


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank.

    Args:
        record: Its position among the records, from 1.
        number: Its line number, from 1.
        data: Its bytes without the line end; cut where it is `too_long`.
        too_long: Whether it exceeds the longest record accepted.
    """

    record: int
    number: int
    data: bytes
    too_long: bool = False


def prepare(path: str, uri: str, options: Options, work: Path) -> Prepared:
    """Tell what `path` holds; where it is not plain UTF-8, write it so into the folder `work`.

    Raises:
        RejectedFile: `EmptyFile`, `CompressedFile`, `CorruptFile` or `WrongEncoding`.
    """
    with Path(path).open("rb") as file:
        head = file.read(4)
    if not head:
        raise RejectedFile("EmptyFile", "the file has 0 bytes", uri)
    target = work / f"{len(list(work.iterdir()))}.json"
    if (plain := plain_copy(path, uri, allowed=options.compression, target=target)) != path:
        path = plain
        with Path(path).open("rb") as file:
            head = file.read(4)
    encoding = told_encoding(head)
    if encoding is not None:
        path = _transcoded(path, uri, encoding, work)
    return Prepared(path, _layout(path, uri, options))


def _transcoded(path: str, uri: str, encoding: str, work: Path) -> str:
    target = work / f"{len(list(work.iterdir()))}.json"
    if encoding == "utf-8-sig":
        # Only the mark goes: bytes that are not UTF-8 stay, to be judged record by record.
        with Path(path).open("rb") as given, target.open("wb") as plain:
            given.seek(len(codecs.BOM_UTF8))
            while block := given.read(_BLOCK):
                plain.write(block)
        return str(target)
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0
    with Path(path).open("rb") as given, target.open("wb") as plain:
        while True:
            block = given.read(_BLOCK)
            try:
                plain.write(decoder.decode(block, final=not block).encode())
            except UnicodeError as error:
                where = f"between bytes {offset} and {offset + len(block)}"
                raise RejectedFile("WrongEncoding", f"not valid {encoding} {where}: {error}", uri) from error
            if not block:
                return str(target)
            offset += len(block)


def _layout(path: str, uri: str, options: Options) -> Layout:
    with Path(path).open("rb") as file:
        while True:
            start = file.tell()
            block = file.read(_BLOCK)
            if not block:
                raise RejectedFile("EmptyFile", "the file holds white space only", uri)
            if rest := block.lstrip(_BLANK):
                break
        if rest[:1] == b"[":
            return Layout.ARRAY
        if rest[:1] != b"{":
            return Layout.LINES
        file.seek(start + len(block) - len(rest))
        first = file.readline(options.max_record_bytes)
    return Layout.LINES if len(first) >= options.max_record_bytes or _parses(first) else Layout.OBJECTS


def _parses(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def lines(file: BinaryIO, max_bytes: int) -> Iterator[Line]:
    """Yield the lines of `file` that are not blank, holding at most `max_bytes` of one."""
    record = number = 0
    while data := file.readline(max_bytes + 2):
        number += 1
        too_long = not data.endswith(b"\n") and len(data.rstrip(_BLANK)) > max_bytes
        if too_long:
            data = data[:KEPT_BYTES]
            while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
                pass
        data = data.strip(_BLANK)
        if data:
            record += 1
            yield Line(record, number, data, too_long)


_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def too_deep(data: bytes, max_depth: int) -> int | None:
    """The nesting of a record where it exceeds `max_depth`, without recursion; otherwise None."""
    if data.count(b"{") + data.count(b"[") <= max_depth:
        return None
    depth = deepest = 0
    for bracket in re.findall(rb"[\[\]{}]", _STRINGS.sub(b"", data)):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest if deepest > max_depth else None


def explain(data: bytes, contract: Contract, options: Options) -> str | None:
    """Say what is wrong with a record's text, or None where the contract's structure can hold it.

    Reasons begin with the path of the column, or with `record` for the record as a whole.
    """
    if (depth := too_deep(data, options.max_depth)) is not None:
        return f"record: nested {depth} levels deep, and max_depth is {options.max_depth}"
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return f"record: invalid UTF-8 at byte {error.start + 1}"
    try:
        value = json.loads(text, object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number)
    except RecursionError:
        return "record: nested too deep"
    except ValueError as error:
        return f"record: not valid JSON: {_message(error)}"
    if not isinstance(value, _Pairs):
        return f"record: {_shown(value)} is not an object"
    return _misfit(value, {c.name: c.type for c in contract.columns}, "")


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object's members, repeated keys and all."""

    __slots__ = ()


class _Number(str):
    """A number's text: Python refuses integers of more than 4,300 digits."""

    __slots__ = ()


def _misfit(members: _Pairs, types: Mapping[str, DataType], path: str) -> str | None:
    seen = set()
    for key, value in members:
        if key not in types:
            continue
        place = f"{path}{key}"
        if key in seen:
            return f"{place}: appears twice in one object"
        seen.add(key)
        if (reason := _unfit(value, types[key], place)) is not None:
            return reason
    return None


def _unfit(value: Any, wanted: DataType, place: str) -> str | None:
    if value is None:
        return None
    if wanted.name == "struct":
        if not isinstance(value, _Pairs):
            return f"{place}: {_shown(value)} is not an object"
        return _misfit(value, {f.name: f.type for f in wanted.fields}, f"{place}.")
    if wanted.item is not None:
        if not isinstance(value, list):
            return f"{place}: {_shown(value)} is not a list"
        for index, item in enumerate(value):
            if (reason := _unfit(item, wanted.item, f"{place}[{index}]")) is not None:
                return reason
    return None


def _shown(value: Any) -> str:
    match value:
        case _Pairs():
            return "an object"
        case list():
            return "a list"
        case _Number():
            return f"{value[:100]}"
        case _:
            return json.dumps(value)[:100]


def why_malformed(path: str, uri: str, engine_message: str) -> RejectedFile:
    """Say where an array or object breaks: an error for the whole file.

    Args:
        path: The prepared file.
        uri: The file, as people know it.
        engine_message: What the engine said, for files too large to be parsed again.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with Path(path).open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                position = offset - held + error.start + 1
                return RejectedFile("MalformedJson", f"invalid UTF-8 at byte {position}", uri)
            if not block:
                break
            offset += len(block)
    if offset <= EXPLAINED_BYTES:
        text = Path(path).read_text(encoding="utf-8")
        try:
            json.loads(text, parse_int=_Number, parse_float=_Number)
        except json.JSONDecodeError as error:
            position = len(text[: error.pos].encode()) + 1
            return RejectedFile(
                "MalformedJson", f"{_fault(error)} at byte {position}, line {error.lineno}", uri
            )
        except RecursionError:
            return RejectedFile("MalformedJson", "nested too deep", uri)
    return RejectedFile("MalformedJson", engine_message, uri)


def _message(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{_fault(error)} at character {error.pos + 1}"
    return str(error)


def _fault(error: json.JSONDecodeError) -> str:
    """Return Python's message without the words that lead to a position, as in `… starting at`."""
    return error.msg.removesuffix(" at").removesuffix(" starting")
