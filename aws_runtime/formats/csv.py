"""CSV files: bytes as sent -> a plain UTF-8 file and what its header says; or a reason to reject it.

In: a file in any encoding, gzipped or not, with any delimiter. Out: `Source`: UTF-8 without a mark,
lines that end in LF or CRLF, the names of its columns in their order. `csv_records` says what each line
is, `csv_values` how values are written. Memory is bounded by the longest record accepted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aws_runtime.contract import Contract, Drift
from aws_runtime.errors import RejectedFile
from aws_runtime.formats.csv_bytes import Options, Prepared, prepare
from aws_runtime.formats.csv_records import Record, Shape, records

__all__ = [
    "MALFORMED",
    "Header",
    "Options",
    "Prepared",
    "Source",
    "extra_columns",
    "judge_header",
    "no_record",
    "nulled",
    "open_file",
    "prepare",
    "read_header",
    "read_records",
]

#: Rule id under which lines that are no records are counted, as for JSON.
MALFORMED = "record.malformed"
#: How many columns beyond the contract are named.
_EXTRA_COLUMNS = 100
_BLOCK = 1024 * 1024
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the records.

    Args:
        names: Of the columns, in their order; white space around them is gone.
        delimiter: Between fields.
        lines: Lines before the first record.
    """

    names: tuple[str, ...]
    delimiter: str
    lines: int

    def shape(self, options: Options) -> Shape:
        """What tells this file's records apart."""
        return Shape(self.delimiter, options.quote, len(self.names), options.max_record_bytes)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read.

    Args:
        prepared: Its plain copy, or itself.
        header: Its columns.
    """

    prepared: Prepared
    header: Header


def open_file(path: str, uri: str, options: Options, contract: Contract, work: Path) -> Source:
    """Make `path` plain, and judge its header by the contract.

    Raises:
        RejectedFile: `EmptyFile`, `NotCsv`, `CompressedFile`, `CorruptFile`, `WrongEncoding`,
            `MalformedHeader`, `DuplicateColumns`, `MissingColumns`, `UnexpectedColumns` or
            `ReorderedColumns`.
    """
    prepared = prepare(path, uri, options, work)
    with Path(prepared.path).open("rb") as file:
        header = read_header(file, options, contract, uri)
    judge_header(header.names, contract, uri)
    return Source(prepared, header)


# --- header -----------------------------------------------------------------------------------


def read_header(file: BinaryIO, options: Options, contract: Contract, uri: str) -> Header:
    """Read what stands before the records of a plain file, which is at its start.

    Raises:
        RejectedFile: `EmptyFile` or `MalformedHeader`.
    """
    for _ in range(options.skip_lines):
        _skip_line(file)
    skipped, declared = options.skip_lines, options.delimiter
    start = file.tell()
    first = file.readline(options.max_record_bytes + 2)
    if hint := re.fullmatch(rb"sep=(.)\r?\n?", first, re.IGNORECASE):
        # Excel's own hint about the delimiter; it is no record.
        skipped, start = skipped + 1, file.tell()
        declared = hint[1].decode("latin-1") if declared == "auto" else declared
        first = file.readline(options.max_record_bytes + 2)
    while first and not first.strip(b"\r\n"):
        skipped, start = skipped + 1, file.tell()
        first = file.readline(options.max_record_bytes + 2)
    if not first:
        raise RejectedFile("EmptyFile", "the file holds no record and no header", uri)
    delimiter = _delimiter(first, options, contract) if declared == "auto" else declared
    file.seek(start)
    shape = Shape(delimiter, options.quote, None, options.max_record_bytes)
    record = next(records(file, shape, line=skipped))
    if options.header:
        if record.reason is not None:
            told = record.reason.removeprefix("record: ")
            raise RejectedFile("MalformedHeader", told, uri)
        return Header(_named(record.values), delimiter, skipped + record.lines)
    count = len(record.values) if record.reason is None else len(contract.columns)
    known = [column.name for column in contract.columns]
    extra = (f"column_{number}" for number in range(len(known) + 1, count + 1))
    return Header((*known[:count], *extra), delimiter, skipped)


def _skip_line(file: BinaryIO) -> None:
    while (part := file.readline(_BLOCK)) and not part.endswith(b"\n"):
        pass


def _named(values: Sequence[str]) -> tuple[str, ...]:
    names = (value.strip().strip("\ufeff").strip() for value in values)
    return tuple(name or f"column_{number}" for number, name in enumerate(names, start=1))


def _delimiter(first: bytes, options: Options, contract: Contract) -> str:
    """The delimiter that finds most of the contract's columns in the first line, then most fields."""
    text = first.decode("utf-8", "replace").strip("\r\n")
    known = {column.name for column in contract.columns}
    q = re.escape(options.quote)
    bare = re.sub(f"{q}[^{q}]*{q}", "", text) if q else text

    def fit(delimiter: str) -> tuple[int, int]:
        parts = {part.strip().strip(options.quote or None) for part in text.split(delimiter)}
        return (len(parts & known) if options.header else 0, bare.count(delimiter))

    return max(_DELIMITERS, key=fit)


def judge_header(names: Sequence[str], contract: Contract, uri: str) -> None:
    """Refuse columns that the contract's drift policy refuses.

    Raises:
        RejectedFile: `DuplicateColumns`, `MissingColumns`, `UnexpectedColumns` or `ReorderedColumns`.
    """
    known = [column.name for column in contract.columns]
    twice = [name for name, count in Counter(names).items() if count > 1 and name in known]
    if twice:
        raise RejectedFile("DuplicateColumns", f"the header names {', '.join(twice)} more than once", uri)
    absent = [c for c in contract.columns if c.required and c.name not in names]
    if contract.drift is Drift.PERMISSIVE:
        absent = [c for c in absent if not c.nullable and c.default is None]
    if absent:
        missing = ", ".join(c.name for c in absent)
        raise RejectedFile("MissingColumns", f"the header has no {missing}{_said(names)}", uri)
    extra = extra_columns(names, contract)
    if extra and contract.drift in (Drift.STRICT, Drift.REORDER):
        raise RejectedFile("UnexpectedColumns", f"the header has {', '.join(extra)}", uri)
    given = [name for name in names if name in known]
    if contract.drift is Drift.STRICT and given != [name for name in known if name in names]:
        raise RejectedFile("ReorderedColumns", f"the header's order is {', '.join(given)}", uri)


def _said(names: Sequence[str]) -> str:
    shown = ", ".join(names)
    return f"; it has {shown[:300]}{'…' if len(shown) > 300 else ''}"


def extra_columns(names: Sequence[str], contract: Contract) -> tuple[str, ...]:
    """Columns beyond the contract, in the header's order; each is counted once a record."""
    known = {column.name for column in contract.columns}
    return tuple(dict.fromkeys(name for name in names if name not in known))[:_EXTRA_COLUMNS]


# --- records ----------------------------------------------------------------------------------


def read_records(source: Source, options: Options) -> Iterator[Record]:
    """Yield all records of a file, one by one: the reference."""
    with Path(source.prepared.path).open("rb") as file:
        for _ in range(source.header.lines):
            _skip_line(file)
        yield from records(file, source.header.shape(options), line=source.header.lines)


def nulled(value: str, options: Options) -> str | None:
    """None for an empty field and for the texts that are declared to mean null."""
    return None if not value or value in options.null_values else value


def no_record(first: str, uri: str) -> RejectedFile:
    """The answer to a file of which no line is a record."""
    return RejectedFile("MalformedCsv", f"no record can be read; the first: {first}", uri)
