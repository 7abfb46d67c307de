"""CSV in Polars: a plain file -> one lazy scan with every field as text, and the lines that are no records.

Polars' reader fills short lines with nulls, cuts long ones, and stumbles over quotes in odd places, so a
first pass over the lines finds those that every reader splits alike (`csv_records.plain_line`, with as
many fields as the header). A file of plain lines is scanned as it is. Of any other a copy is made: plain
lines as they are; the others go through the reference reader, which writes good records anew and leaves
a mark in the place of each broken one, so that positions stay right.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from aws_runtime.contract import Contract
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI
from aws_runtime.formats import csv
from aws_runtime.formats.csv_records import Record, Shape, quoted_part, records

#: Columns of the quarantine.
TOLD = {
    "stage": pl.String(),
    "source_uri": pl.String(),
    "source_row": pl.Int64(),
    "reasons": pl.List(pl.String()),
    "record": pl.String(),
}
#: In the first field of the line that stands for a broken record; no good record holds one.
_MARK = "\0"
#: Stands for a quoted field while a line is looked at; a line that holds one already is looked at exactly.
_PART = "\x01"
#: Broken records are written to disk by this many bytes of their text.
_SPOOL_BYTES = 8 * 1024 * 1024
#: Where more lines than one in so many are odd, the reference reads all of them.
_SELDOM = 20


@dataclass(frozen=True, slots=True)
class CsvFrame:
    """One file's records, lazily.

    Args:
        frame: The contract's columns as text, and the hidden columns.
        records: How many the file holds, broken ones included.
        broken: How many of them are broken.
        told: Parquet files of the broken ones, as the quarantine has them but for the stage.
        extra: Column beyond the contract -> records that have it.
    """

    frame: pl.LazyFrame
    records: int
    broken: int
    told: tuple[str, ...]
    extra: dict[str, int]


def open_csv(path: str, uri: str, options: csv.Options, contract: Contract, work: Path) -> CsvFrame:
    """Find out how one file is read.

    Raises:
        RejectedFile: Nothing of the file can be read, or its columns break the drift policy.
    """
    source = csv.open_file(path, uri, options, contract, work)
    shape = source.header.shape(options)
    plain, odd = _survey(source, shape)
    spool = _Spool(uri, work)
    good, skip, read = plain, source.header.lines, source.prepared.path
    if odd is None or len(odd):
        made = _Copy(work / f"{len(list(work.iterdir()))}.csv", shape, spool)
        good, skip, read = plain + made.write(source, odd), 0, str(made.target)
    spool.flush()
    if spool.count and not good:
        raise csv.no_record(spool.first, uri)
    frame = _scan(read, source.header, shape, skip, bool(spool.count))
    extra = dict.fromkeys(csv.extra_columns(source.header.names, contract), good) if good else {}
    return CsvFrame(
        _columns(frame, source, options, contract, uri),
        good + spool.count,
        spool.count,
        tuple(spool.files),
        extra,
    )


def _survey(source: csv.Source, shape: Shape) -> tuple[int, pl.Series | None]:
    """How many lines are plain records, and the numbers of the others from 0; None to read each exactly."""
    if not source.prepared.valid or source.prepared.longest > shape.max_bytes:
        return 0, None
    prepared, line = source.prepared, pl.col("line")
    odd = line.is_in(["", "\r"])
    if prepared.controls:
        odd |= line.str.contains("(?s)\\x00|\r.")
    bare = line
    if prepared.quoted:
        # Quoted fields become marks; a mark that is no whole field, or a quote that is left, is odd.
        quoted = pl.when(line.str.contains(shape.quote, literal=True)).then(line)
        marked = quoted.str.replace_all(quoted_part(shape), _PART)
        odd |= marked.str.contains(_misplaced(shape)).fill_null(False)
        bare = pl.coalesce(marked, line)
    odd |= bare.str.count_matches(shape.delimiter, literal=True) != (shape.fields or 1) - 1
    lines = pl.scan_lines(prepared.path, name="line", row_index_name="number", glob=False)
    lines = lines.slice(source.header.lines).select("number", odd.alias("odd"))
    found = lines.filter("odd").select("number").collect(engine="streaming")
    total = prepared.lines - source.header.lines
    if len(found) * _SELDOM > total:
        return 0, None
    # Numbered lines arrive in order, but nothing promises it.
    return total - len(found), found["number"].sort()


def _misplaced(shape: Shape) -> str:
    """A regex of marks that are no whole field, and of quotes."""
    delimiter = re.escape(shape.delimiter)
    return f"[^{delimiter}]{_PART}|{_PART}[^{delimiter}\r]|{re.escape(shape.quote)}"


def _scan(path: str, header: csv.Header, shape: Shape, skip: int, marked: bool) -> pl.LazyFrame:
    frame = pl.scan_csv(
        path,
        has_header=False,
        separator=shape.delimiter,
        quote_char=shape.quote or None,
        skip_lines=skip,
        schema={str(number): pl.String() for number in range(len(header.names))},
        row_index_name=SOURCE_ROW,
        row_index_offset=1,
        raise_if_empty=False,
        glob=False,
    )
    # A field that holds nothing is null, so null has no mark.
    return frame.filter(pl.col("0").ne_missing(_MARK)) if marked else frame


def _columns(
    frame: pl.LazyFrame, source: csv.Source, options: csv.Options, contract: Contract, uri: str
) -> pl.LazyFrame:
    at = {name: str(number) for number, name in enumerate(source.header.names)}
    # The reader makes an empty field null, but not one between quotes.
    nulls = ["", *options.null_values] if options.null_values or source.prepared.doubled else []
    columns = []
    for column in contract.columns:
        if column.name in at:
            value = pl.col(at[column.name])
            if nulls:
                there = ~value.is_in(nulls) if len(nulls) > 1 else value != ""
                value = pl.when(there).then(value)
            columns.append(value.alias(column.name))
        else:
            columns.append(pl.lit(None, dtype=pl.String).alias(column.name))
    return frame.select(*columns, pl.col(SOURCE_ROW).cast(pl.Int64), pl.lit(uri).alias(SOURCE_URI))


# --- the exact way ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Spool:
    """Broken records on their way to the quarantine: some in memory, the others in Parquet files."""

    uri: str
    work: Path
    count: int = 0
    first: str = ""
    size: int = 0
    files: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, record: Record) -> None:
        reason = record.reason or ""
        self.first = self.first or reason
        self.count += 1
        self.rows.append(
            {"source_uri": self.uri, "source_row": record.number, "reasons": [reason], "record": record.text}
        )
        self.size += len(record.text) + 100
        if self.size > _SPOOL_BYTES:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            target = self.work / f"{len(list(self.work.iterdir()))}.broken.parquet"
            pl.DataFrame(self.rows, schema={k: v for k, v in TOLD.items() if k != "stage"}).write_parquet(
                target
            )
            self.files.append(str(target))
            self.rows, self.size = [], 0


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy of a file in which all lines are plain records, or marks."""

    target: Path
    shape: Shape
    spool: _Spool

    def write(self, source: csv.Source, odd: pl.Series | None) -> int:
        """Write it; returns how many good records there are beside the plain lines."""
        with Path(source.prepared.path).open("rb") as given, self.target.open("wb") as copy:
            _skip(given, source.header.lines)
            if odd is None:
                found = records(given, self.shape, line=source.header.lines)
                return sum(self._put(record, copy) for record in found)
            return self._around(given, copy, odd, source.header.lines)

    def _around(self, given: BinaryIO, copy: BinaryIO, odd: pl.Series, line: int) -> int:
        """Copy plain lines as they are, and read from each odd one to the end of its record."""
        good = record = 0
        for number in odd:
            if number < line:
                good += 1  # within the record before, and not counted as a plain line
                continue
            copy.writelines(itertools.islice(given, number - line))
            record, line = record + number - line, number
            at = given.tell()
            found = next(records(given, self.shape, record=record, line=line), None)
            given.seek(at)
            if found is None or found.line > line + 1:
                _skip(given, 1)  # an empty line
                line += 1
                continue
            _skip(given, found.lines)
            record, line = found.number, line + found.lines
            # Lines that look plain by themselves were counted as records.
            good += self._put(found, copy) - (found.lines - 1)
        copy.writelines(given)
        return good

    def _put(self, record: Record, copy: BinaryIO) -> int:
        shape = self.shape
        if record.reason is not None:
            self.spool.add(record)
            values: Iterable[str] = [_MARK, *[""] * ((shape.fields or 1) - 1)]
        elif shape.quote:
            doubled = shape.quote * 2
            values = [
                f"{shape.quote}{value.replace(shape.quote, doubled)}{shape.quote}" if value else ""
                for value in record.values
            ]
        else:
            values = record.values
        copy.write(shape.delimiter.join(values).encode() + b"\n")
        return record.reason is None


def _skip(file: BinaryIO, lines: int) -> None:
    for _ in itertools.islice(file, lines):
        pass
