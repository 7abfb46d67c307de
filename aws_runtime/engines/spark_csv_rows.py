"""A part of a CSV file -> rows, on a worker: what one task of `spark_csv` does.

In: a `Part`, which is a range of a plain file, or a whole file of any other kind. Out: rows of the
contract's columns as text with their position within the part, and a last row that says, as JSON, what
the part turned out to be.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aws_runtime.contract import Contract
from aws_runtime.engines.spark_csv_lines import Convert, Lines, record_start, skip_lines, split
from aws_runtime.engines.spark_files import fetch, in_s3, opened
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import csv as csv_format
from aws_runtime.formats.csv import Header, Options
from aws_runtime.formats.csv_bytes import readable

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What one task reads.

    Args:
        path: The file: a local path, or an `s3://` URI.
        uri: The file, as people know it.
        header: What stands before its records; None where it must be prepared as a whole first.
        start: Of the first part, where the records begin; of any other, a place after which one does.
        stop: The next part's `start`; None for the last part.
        first: Whether it is the first part.
        fallback: The encoding of lines that are not UTF-8; empty where they are broken.
    """

    path: str
    uri: str
    header: Header | None = None
    start: int = 0
    stop: int | None = None
    first: bool = True
    fallback: str = ""


@dataclass(slots=True)
class Tally:
    """The records of a part: how many, how many broken, the first broken one, the last line of the last."""

    records: int = 0
    broken: int = 0
    error: str = ""
    error_line: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Reader:
    """What a record becomes: the contract and the options of the format."""

    contract: Contract
    options: Options

    def rows(self, part: Part) -> Iterator[Row]:
        """Yield the rows of one part, and then what the part was."""
        try:
            if part.header is None:
                yield from self._whole(part)
            else:
                yield from self._range(part, part.header)
        except RejectedFile as error:
            # An exception would fail the task, which Spark would only run again.
            yield self._told(part, 0, rejected=[error.code, error.reason])

    def _whole(self, part: Part) -> Iterator[Row]:
        with tempfile.TemporaryDirectory() as folder:
            path, work = part.path, Path(folder) / "work"
            work.mkdir()
            if in_s3(path):
                path = str(Path(folder) / "whole")
                fetch(part.path, Path(path))
            source = csv_format.open_file(path, part.uri, self.options, self.contract, work)
            header = source.header
            with Path(source.prepared.path).open("rb") as file:
                skip_lines(file, header.lines)
                lines = Lines(file, bytes, self.options.max_record_bytes, number=header.lines)
                tally = yield from self._parsed(part, lines, header)
        yield self._told(part, lines.before_stop, names=header.names, **asdict(tally))

    def _range(self, part: Part, header: Header) -> Iterator[Row]:
        shape, convert = header.shape(self.options), _converter(part)

        def begins(at: int) -> int:
            # From the byte before: `at` may be where a line begins.
            with opened(part.path, at - 1) as file:
                return at - 1 + record_start(file, shape, convert)

        start = part.start if part.first else begins(part.start)
        stop = None if part.stop is None else begins(part.stop)
        with opened(part.path, start) as file:
            before = header.lines if part.first else 0
            lines = Lines(file, convert, self.options.max_record_bytes, start, stop, before)
            tally = yield from self._parsed(part, lines, header)
        yield self._told(part, lines.before_stop, start=start, stop=stop, **asdict(tally))

    def _parsed(self, part: Part, lines: Lines, header: Header) -> Generator[Row, None, Tally]:
        """Yield the rows of the records that begin before the part's end; returns what they were."""
        names, columns = header.names, self.contract.columns
        places = [names.index(c.name) if c.name in names else len(names) for c in columns]
        nothing = (None,) * len(columns)
        tally = Tally()
        for number, found in enumerate(split(lines, header.shape(self.options)), start=1):
            if found.line > lines.before_stop:
                break
            tally.records, tally.end = number, found.line + found.lines - 1
            at = (number, found.line, part.uri, part.start)
            if found.reason is None:
                values = (*found.values, None)
                yield (*[values[place] for place in places], None, None, *at)
            else:
                tally.broken += 1
                if tally.broken == 1:
                    tally.error, tally.error_line = found.reason, found.line
                yield (*nothing, found.reason, found.text, *at)
        return tally

    def _told(self, part: Part, lines: int, **said: Any) -> Row:
        """The last row of a part: without position, and with its number of lines."""
        nothing = (None,) * len(self.contract.columns)
        return (*nothing, None, json.dumps(said), None, lines, part.uri, part.start)


def _converter(part: Part) -> Convert:
    if not part.fallback:
        return bytes
    return lambda lines: readable(lines, part.uri, part.fallback)
