"""JSON files -> records: tells array, object and NDJSON by content, and finds what cannot be read.

In: one local file. Out: a `JsonFile` that says how an engine reads it. Most files are read by the
engine's own reader as they are. A file that it refuses is rewritten record by record into an
envelope, in which each line holds one record or the reason why it is none, so that a bad line costs
itself and not its file.
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from aws_runtime.contract import DataType
from aws_runtime.engines import InputFile
from aws_runtime.errors import RejectedFile

GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 1024 * 1024

Layout = Literal["array", "object", "lines"]


@dataclass(frozen=True, slots=True)
class JsonFile:
    """A file that was looked at: its layout, and how its bytes are compressed."""

    file: InputFile
    layout: Layout
    compression: Literal["none", "gzip"]


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its position from 1, and its value or the reason why it has none.

    Args:
        row: Position in the file.
        value: The record as compact JSON text; None when malformed.
        error: Why it is malformed; None when it is not.
        raw: The record's own text, kept for the quarantine when malformed.
    """

    row: int
    value: str | None
    error: str | None = None
    raw: str | None = None


def open_text(file: InputFile, compression: str) -> IO[bytes]:
    """Open a file's bytes, decompressed."""
    return gzip.open(file.path, "rb") if compression == "gzip" else Path(file.path).open("rb")  # type: ignore[return-value]


def look(file: InputFile, options: dict[str, Any]) -> JsonFile:
    """Tell compression, encoding and layout from the first bytes.

    Raises:
        RejectedFile: EmptyFile, CompressedFile, UnsupportedEncoding or MalformedJson.
    """
    with Path(file.path).open("rb") as stream:
        magic = stream.read(4)
    compression: Literal["none", "gzip"] = "gzip" if magic.startswith(GZIP_MAGIC) else "none"
    if magic.startswith(ZSTD_MAGIC) or (compression == "gzip" and options.get("compression") == "none"):
        raise RejectedFile(
            "CompressedFile", "the file is compressed, which its source does not allow", file.uri
        )
    try:
        with open_text(file, compression) as stream:
            head = stream.read(HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise RejectedFile("CorruptGzip", f"the gzip stream cannot be read: {error}", file.uri) from error
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\x00" in head[:64]:
        raise RejectedFile(
            "UnsupportedEncoding", "the file is not UTF-8 text (a NUL byte or a UTF-16 mark)", file.uri
        )
    body = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not body:
        raise RejectedFile("EmptyFile", "the file holds no record", file.uri)
    if body.startswith(b"["):
        return JsonFile(file, "array", compression)
    if not body.startswith(b"{"):
        shown = body[:20].decode("utf-8", "backslashreplace")
        raise RejectedFile(
            "MalformedJson", f"the file starts with {shown!r}, neither an array nor an object", file.uri
        )
    first = re.split(rb"\r?\n", body, maxsplit=1)[0]
    return JsonFile(
        file, "lines" if first.rstrip().endswith(b"}") and _is_json(first) else "object", compression
    )


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def misfit(value: Any, kind: DataType, path: str) -> str | None:
    """Say where `value` has another shape than `kind`: text where a list or a struct is expected."""
    if value is None:
        return None
    if kind.name == "list" and kind.item is not None:
        if not isinstance(value, list):
            return f"{path}: {_shown(value)} is not a list"
        item = kind.item
        found = (misfit(v, item, f"{path}[{i}]") for i, v in enumerate(value))
        return next((m for m in found if m), None)
    if kind.name == "struct":
        if not isinstance(value, dict):
            return f"{path}: {_shown(value)} is not an object"
        found = (
            misfit(value.get(f.name), f.type, f"{path}.{f.name}" if path else f.name) for f in kind.fields
        )
        return next((m for m in found if m), None)
    return None


def _shown(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def diagnose(given: JsonFile, kind: DataType) -> Iterator[Record]:
    """Read a file that the engine refused, record by record.

    Args:
        given: The file.
        kind: A struct of the contract's columns, which a record must have the shape of.

    Raises:
        RejectedFile: MalformedJson with the position, where no record can be told from the next.
    """
    if given.layout == "lines":
        yield from _diagnose_lines(given, kind)
        return
    with open_text(given.file, given.compression) as stream:
        content = stream.read()
    try:
        whole = json.loads(content.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise RejectedFile("InvalidEncoding", f"byte {error.start} is not UTF-8", given.file.uri) from error
    except RecursionError as error:
        raise RejectedFile("MalformedJson", "the file is nested too deeply", given.file.uri) from error
    except ValueError as error:
        raise RejectedFile("MalformedJson", str(error), given.file.uri) from error
    for row, value in enumerate(whole if isinstance(whole, list) else [whole], start=1):
        yield _record(row, value, json.dumps(value, ensure_ascii=False), kind)


def _diagnose_lines(given: JsonFile, kind: DataType) -> Iterator[Record]:
    row = 0
    with open_text(given.file, given.compression) as stream:
        for line in stream:
            stripped = line.removeprefix(codecs.BOM_UTF8).strip() if row == 0 else line.strip()
            if not stripped:
                continue
            row += 1
            try:
                raw = stripped.decode()
                yield _record(row, json.loads(raw, parse_constant=_no_constant), raw, kind)
            except UnicodeDecodeError as error:
                shown = stripped.decode("utf-8", "backslashreplace")
                yield Record(row, None, f"byte {error.start} of the line is not UTF-8", shown)
            except RecursionError:
                yield Record(row, None, "the line is nested too deeply", raw)
            except ValueError as error:
                yield Record(row, None, f"the line is not JSON: {error}", raw)


def _record(row: int, value: Any, raw: str, kind: DataType) -> Record:
    error = misfit(value, kind, "") if isinstance(value, dict) else "the record is not an object"
    if error:
        return Record(row, None, error, raw)
    return Record(row, json.dumps(value, ensure_ascii=False))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
