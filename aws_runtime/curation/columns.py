"""Partition columns that a file also holds, against its path: by statistics, or else by reading them alone.

In: the footer, the path's values, a reader of ranges. Out: nothing, or `RejectedFile`. What agrees here
agrees in every engine, which compares the same, since one file that does not would reject a whole run.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from aws_runtime.contract import DataType
from aws_runtime.curation.footer import Footer, ReadRange
from aws_runtime.curation.paths import fits
from aws_runtime.errors import RejectedFile

#: Rows of a column in memory at once.
BATCH_ROWS = 64 * 1024
#: Bytes of a column that are read at once.
BUFFER_BYTES = 1024 * 1024


class _Ranges(io.RawIOBase):
    """A file that is read where it is."""

    def __init__(self, read: ReadRange, size: int) -> None:
        self.ranges, self.size, self.at = read, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        return self.at

    def read(self, size: int = -1) -> bytes:
        length = min(size if size >= 0 else self.size, self.size - self.at)
        if length <= 0:
            return b""
        found = self.ranges(self.at, length)
        self.at += len(found)
        return found


def check_columns(footer: Footer, partition: Mapping[str, str], read: ReadRange, uri: str) -> None:
    """Compare the file's partition columns with the path.

    Raises:
        RejectedFile: ContradictingPartition, NullPartition, NestedColumn or CorruptFile.
    """
    types = dict(footer.columns)
    unknown = []
    for name, value in partition.items():
        if name not in types:
            continue
        bounds = footer.ranges.get(name)
        if bounds is None:
            what = f"the partition column {name} is {types[name]} in the file, which is no flat type"
            raise RejectedFile("NestedColumn", what, uri)
        if bounds.nulls:
            what = f"the partition column {name} is null in {bounds.nulls:,} rows of the file"
            raise RejectedFile("NullPartition", what, uri)
        if bounds.nulls is None or bounds.least is None:
            unknown.append(name)
            continue
        for bound in (bounds.least, bounds.greatest):
            _check(name, value, bound, types[name], uri)
    if unknown:
        _read(footer, unknown, partition, read, uri)


def _read(footer: Footer, names: list[str], partition: Mapping[str, str], read: ReadRange, uri: str) -> None:
    types = dict(footer.columns)
    try:
        source = pa.PythonFile(cast("io.RawIOBase", _Ranges(read, footer.size)), mode="r")
        file = pq.ParquetFile(source, buffer_size=BUFFER_BYTES, page_checksum_verification=True)
        for batch in file.iter_batches(BATCH_ROWS, columns=names):
            for name in names:
                for value in batch.column(name).unique().to_pylist():
                    _check(name, partition[name], value, types[name], uri)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())
        raise RejectedFile("CorruptFile", f"the pages of {', '.join(names)}: {said}", uri) from error


def _check(name: str, wanted: str, value: object, kind: DataType, uri: str) -> None:
    if value is None:
        raise RejectedFile("NullPartition", f"the partition column {name} is null in the file", uri)
    if not agrees(wanted, value, kind):
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        what = f"the path says {name}={wanted}, the file holds {shown[:100]}"
        raise RejectedFile("ContradictingPartition", what, uri)


def agrees(text: str, value: object, kind: DataType) -> bool:  # noqa: PLR0911 - one case a type
    """Return whether a folder's text, read as the column's type, is the column's value.

    Args:
        text: Of the path, unescaped.
        value: Of the file.
        kind: The column's type in the file.
    """
    match value:
        case str():
            return text == value
        case bytes():
            # DuckDB reads a backslash in such a text as the beginning of a byte's code.
            return text.isascii() and "\\" not in text and text.encode() == value
        case datetime():
            return _moment(text, zoned=kind.timezone is not None) == value
        case bool() | date() if not fits(text, kind):
            return False
        case bool():
            return (text == "true") is value
        case date():
            return text == value.isoformat()
        case float() if fits(text, kind):
            number = float(text)
            return value == (_single(number) if kind.name == "float32" else number)
        case int() | Decimal() if fits(text, kind):
            return Decimal(text) == value
    return False


def _moment(text: str, *, zoned: bool) -> datetime | None:
    if fits(text, DataType("date")):
        text += " 00:00:00"
    if fits(text, DataType("timestamp")):
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if zoned else moment
    return (
        datetime.fromisoformat(text) if zoned and fits(text, DataType("timestamp", timezone="UTC")) else None
    )


def _single(number: float) -> float:
    try:
        found: float = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return float("inf")
    return found
