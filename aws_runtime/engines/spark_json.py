"""JSON files -> Spark rows of text leaves, with the position and the fault of every record.

In: files as `formats.json` tells them apart. Out: rows of the contract's columns as read, then the
hidden columns. Lines of plain NDJSON are parsed where Spark reads them, split by split; any other
file is read whole on the driver, so it has a bound.

Spark's own parser is not used: it changes the text of numbers, takes NaN, single quotes and
repeated keys, and cannot say what is wrong. `formats.json` judges every record, as it does for the
records that DuckDB's reader refuses.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aws_runtime.contract import Contract, DataType
from aws_runtime.engines import InputFile
from aws_runtime.engines.spark_files import fetch, head, in_s3, size, spark_path
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import json as json_format
from aws_runtime.formats.json import Layout, Options, Prepared

#: A malformed record's reason and text, beside the hidden columns that every engine has.
SOURCE_ERROR, SOURCE_TEXT = "source_error", "source_text"
#: Names of keys that the contract lacks, and of required columns that the record lacks.
EXTRA, ABSENT = "source_extra", "source_absent"
#: The record's line, where its file has lines.
LINE = "source_line"
#: Where the record's split begins in its file.
BLOCK = "source_block"

#: Arrays, objects of several lines and compressed files are parsed in one piece on the driver: a
#: 1 GB array took more than a 2 GB heap when Spark parsed it.
WHOLE_BYTES = 256 * 1024 * 1024

Row = tuple[Any, ...]

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


@dataclass(frozen=True, slots=True)
class Reader:
    """What parses a record, wherever it lies: the contract and the options of the format."""

    contract: Contract
    options: Options

    def row(self, data: bytes, *, too_long: bool = False) -> Row:
        """Return a record as (columns…, error, text, extra keys, absent columns)."""
        if too_long:
            return self._broken(data, f"record: longer than {self.options.max_record_bytes} bytes")
        given, reason = data, json_format.explain(data, self.contract, self.options)
        if reason is not None and (relaxed := without_trailing_commas(data)) != data:
            given, reason = relaxed, json_format.explain(relaxed, self.contract, self.options)
        if reason is not None:
            return self._broken(data, reason)
        value = json.loads(given, parse_int=_integer, parse_float=_real, parse_constant=_Number)
        if _SURROGATE.search(given) and not _encodes(value):
            return self._broken(data, "record: not valid JSON")
        columns = self.contract.columns
        known = {column.name for column in columns}
        return (
            *(leaf_text(value.get(column.name), column.type) for column in columns),
            None,
            None,
            [key for key in value if key not in known],
            [column.name for column in columns if column.required and column.name not in value],
        )

    def _broken(self, data: bytes, reason: str) -> Row:
        shown = data[: json_format.KEPT_BYTES].decode("utf-8", "backslashreplace")
        return (*(None for _ in self.contract.columns), reason, shown, [], [])


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _encodes(value: Any) -> bool:
    """Whether no text in `value` holds half of a surrogate pair, which no UTF-8 can."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def sort_files(
    files: Sequence[InputFile], options: Options, work: Path
) -> tuple[list[InputFile], list[tuple[InputFile, Prepared]]]:
    """Tell files that Spark reads by lines from those that are read whole, prepared below `work`.

    Raises:
        RejectedFile: As `formats.json.prepare`; FileTooLarge for what cannot be read whole.
    """
    lines: list[InputFile] = []
    whole: list[tuple[InputFile, Prepared]] = []
    for file in files:
        given = None if _is_lines(file, options, work) else _prepared(file, options, work)
        if given is None:
            lines.append(file)
        else:
            whole.append((file, given))
    return lines, whole


def _is_lines(file: InputFile, options: Options, work: Path) -> bool:
    """Whether the file's beginning is that of plain NDJSON, and Spark can read it by its path."""
    if spark_path(file.path) is None or size(file.path) == 0:
        return False
    sample = work / f"sample-{len(list(work.iterdir()))}"
    sample.write_bytes(head(file.path, options.max_record_bytes))
    try:
        given = json_format.prepare(str(sample), file.uri, options, work)
    except RejectedFile:
        # The sample may be at fault, which is cut: the whole file is judged instead.
        return False
    finally:
        sample.unlink()
    return given.path == str(sample) and given.layout is Layout.LINES


def _prepared(file: InputFile, options: Options, work: Path) -> Prepared:
    if (length := size(file.path)) > WHOLE_BYTES:
        raise _too_large(file, length)
    path = file.path
    if in_s3(path):
        path = str(work / f"whole-{len(list(work.iterdir()))}")
        fetch(file.path, Path(path))
    given = json_format.prepare(path, file.uri, options, work)
    if (length := Path(given.path).stat().st_size) > WHOLE_BYTES:
        raise _too_large(file, length)
    return given


def _too_large(file: InputFile, length: int) -> RejectedFile:
    return RejectedFile(
        "FileTooLarge",
        f"{length:,} bytes, and Spark reads at most {WHOLE_BYTES:,} of JSON that is not plain NDJSON: "
        'send NDJSON, or use Processor(kind="lambda")',
        file.uri,
    )


def read_whole(given: Prepared, uri: str, reader: Reader) -> Iterator[Row]:
    """Yield the rows of a prepared file: those of `Reader.row`, then position, line, URI, split.

    Raises:
        RejectedFile: MalformedJson, with the position.
    """
    rows = None if given.layout is Layout.LINES else _values(given, uri, reader)
    if rows is None:
        with Path(given.path).open("rb") as file:
            for line in json_format.lines(file, reader.options.max_record_bytes):
                row = reader.row(line.data, too_long=line.too_long)
                yield (*row, line.record, line.number, uri, 0)
        return
    for position, row in enumerate(rows, start=1):
        yield (*row, position, position, uri, 0)


def _values(given: Prepared, uri: str, reader: Reader) -> list[Row] | None:
    """Return the rows of an array or of objects; None where objects turn out to be lines."""
    try:
        return _parsed(Path(given.path).read_bytes(), given.layout, reader)
    except ValueError as error:
        # Not objects over several lines after all, or lines of which some are broken.
        if given.layout is Layout.OBJECTS and _any_line(given, reader.options):
            return None
        raise json_format.why_malformed(given.path, uri, str(error)) from error


def _parsed(data: bytes, layout: Layout, reader: Reader) -> list[Row]:
    text, most = data.decode(), reader.options.max_record_bytes
    try:
        spans = list(_spans(text, layout))
    except ValueError:
        text = without_trailing_commas(data).decode()
        spans = list(_spans(text, layout))
    parts = (text[start:end].encode() for start, end in spans)
    return [reader.row(part[: most + 1], too_long=len(part) > most) for part in parts]


_TRAILING = re.compile(rb'("(?:[^"\\]|\\.)*")|,(?=[ \t\r\n]*[}\]])', re.DOTALL)


def without_trailing_commas(data: bytes) -> bytes:
    """Return JSON text without commas that nothing follows: DuckDB's reader takes them, Python's does not."""
    return _TRAILING.sub(lambda found: found.group(1) or b"", data)


def _any_line(given: Prepared, options: Options) -> bool:
    """Whether any line by itself is an object."""
    with Path(given.path).open("rb") as file:
        return any(_is_object(line.data) for line in json_format.lines(file, options.max_record_bytes))


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def _spans(text: str, layout: Layout) -> Iterator[tuple[int, int]]:
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


def parse_lines(reader: Reader, uris: Mapping[str, str]) -> Callable[[Iterable[Any]], Iterator[Row]]:
    """Return what parses one partition of (line, file, split).

    Positions and lines count within the split; a last row without position says how many lines a
    split has, so that those of the next can go on from there.
    """
    nothing: Row = (*(None for _ in reader.contract.columns), None, None, [], [], None)

    def parse(rows: Iterable[Any]) -> Iterator[Row]:
        most = reader.options.max_record_bytes
        for (name, block), group in groupby(rows, key=lambda row: (row[1], row[2])):
            uri = uris[unquote(name)]
            position = number = 0
            for number, (data, *_) in enumerate(group, start=1):
                if line := bytes(data).strip(b" \t\r\n"):
                    position += 1
                    row = reader.row(line[: most + 1], too_long=len(line) > most)
                    yield (*row, position, number, uri, block)
            yield (*nothing, number, uri, block)

    return parse


class _Number(str):
    """A number's text, told from a string where both lie within one object."""

    __slots__ = ()


def _integer(digits: str) -> _Number:
    return _Number("0" if digits == "-0" else digits)


def _real(digits: str) -> _Number:
    value = float(digits)
    return _Number(repr(value) if math.isfinite(value) else digits)


def _compact(value: Any) -> str:
    """JSON text of an object or list where the contract wants text."""
    match value:
        case _Number():
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
