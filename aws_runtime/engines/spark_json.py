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
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aws_runtime.contract import Contract
from aws_runtime.engines import InputFile
from aws_runtime.engines.spark_files import fetch, head, in_s3, size, spark_path
from aws_runtime.engines.spark_text import Number, integer, leaf_text, real, spans, without_trailing_commas
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
WHOLE_BYTES = 128 * 1024 * 1024

Row = tuple[Any, ...]


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
        value = json.loads(given, parse_int=integer, parse_float=real, parse_constant=Number)
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
        found = list(spans(text, layout))
    except ValueError:
        text = without_trailing_commas(data).decode()
        found = list(spans(text, layout))
    parts = (text[start:end].encode() for start, end in found)
    return [reader.row(part[: most + 1], too_long=len(part) > most) for part in parts]


def _any_line(given: Prepared, options: Options) -> bool:
    """Whether any line by itself is an object."""
    with Path(given.path).open("rb") as file:
        return any(_is_object(line.data) for line in json_format.lines(file, options.max_record_bytes))


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


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
