"""The footer of a Parquet file, read in place: a few ranges of bytes instead of the file.

In: something that reads ranges (S3 or a local file). Out: `Footer`, plain data about columns and row
groups, or `RejectedFile` with the reason why there is none. Types are spelled as contracts spell them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from aws_runtime.contract import DataType
from aws_runtime.errors import RejectedFile
from aws_runtime.formats.parquet_footer import FileMetadata, FooterError, check_width, read_metadata
from aws_runtime.formats.parquet_schema import UnknownTypeError
from aws_runtime.formats.parquet_values import Bounds as ColumnRange

#: Read at once from the end: the footer of all but very wide files.
TAIL_BYTES = 64 * 1024
#: Smallest file: both magics and the footer's length.
SMALLEST = 12
MAGIC, ENCRYPTED = b"PAR1", b"PARE"
#: Longest footer that is read; a longer one takes more memory and time than a validation should.
FOOTER_BYTES = 16 * 1024 * 1024
#: Of longer footers one is read at a time, since what they say takes some twenty times as much memory.
_LARGE_BYTES = 1024 * 1024
_large = threading.Lock()
#: Spark's mark of a file whose days before the Gregorian calendar are those of the Julian one.
#: https://spark.apache.org/docs/3.5.6/sql-data-sources-parquet.html (datetimeRebaseModeInRead)
_LEGACY_DATES, _SPARK_VERSION = "org.apache.spark.legacyDateTime", "org.apache.spark.version"
_GREGORIAN = date(1582, 10, 15)
#: Before, zones' offsets differ between both calendars' libraries as well.
_SETTLED = datetime(1900, 1, 1)  # noqa: DTZ001 - compared with its zone left out

#: (offset, length) -> those bytes.
ReadRange = Callable[[int, int], bytes]

__all__ = ["ColumnRange", "Footer", "ReadRange", "read_footer"]


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says about itself.

    Args:
        columns: Name and type of the top-level columns, in order; a type that contracts do not have
            is named as Arrow names it.
        legacy_timestamps: Columns stored as INT96.
        rows: Number of rows.
        row_groups: Rows of each row group.
        size: Bytes of the file.
        ranges: Statistics of the flat columns, by name.
    """

    columns: tuple[tuple[str, DataType], ...]
    legacy_timestamps: tuple[str, ...]
    rows: int
    row_groups: tuple[int, ...]
    size: int
    ranges: dict[str, ColumnRange]


def read_footer(read: ReadRange, size: int, uri: str) -> Footer:
    """Read the footer of a file of `size` bytes.

    Raises:
        RejectedFile: EmptyFile, NotParquet, EncryptedFile, CorruptFile, InconsistentRowGroups,
            TooManyColumns, UnknownCompression, UnknownLogicalType or LegacyCalendar.
    """
    try:
        footer = _footer(read, size, uri)
        if len(footer) > _LARGE_BYTES:
            with _large:
                metadata = read_metadata(footer, size)
        else:
            metadata = read_metadata(footer, size)
    except FooterError as error:
        raise RejectedFile(error.code, error.said, uri) from error
    except UnknownTypeError as error:
        raise RejectedFile("UnknownLogicalType", str(error), uri) from error
    _check_calendar(metadata, uri)
    return Footer(
        columns=metadata.schema.columns,
        legacy_timestamps=tuple(leaf.path for leaf in metadata.schema.leaves if leaf.physical == "INT96"),
        rows=metadata.rows,
        row_groups=metadata.row_groups,
        size=size,
        ranges=metadata.bounds,
    )


def _footer(read: ReadRange, size: int, uri: str) -> bytes:
    """Return the footer's own bytes: of a small file by one range, else by two; a long footer takes more."""
    if size == 0:
        raise RejectedFile("EmptyFile", "the file has 0 bytes", uri)
    whole = read(0, size) if size <= TAIL_BYTES else b""
    head = whole[:4] or read(0, 4)
    if head not in (MAGIC, ENCRYPTED):
        raise RejectedFile("NotParquet", f"the file begins with {head!r} instead of PAR1", uri)
    if size < SMALLEST:
        raise RejectedFile("CorruptFile", f"{size} bytes are too few for a Parquet file", uri)
    tail = whole or read(size - TAIL_BYTES, TAIL_BYTES)
    if ENCRYPTED in (head, tail[-4:]):
        raise RejectedFile("EncryptedFile", "the Parquet footer is encrypted", uri)
    if tail[-4:] != MAGIC:
        raise RejectedFile("CorruptFile", "the Parquet footer is missing; was the file cut short?", uri)
    length = int.from_bytes(tail[-8:-4], "little")
    wanted = length + 8
    if wanted + len(MAGIC) > size:
        what = f"the footer claims {length:,} bytes of a file of {size:,}; was it cut short?"
        raise RejectedFile("CorruptFile", what, uri)
    if wanted <= len(tail):
        return tail[-wanted:-8]
    start = size - wanted
    if length > _LARGE_BYTES:
        check_width(read(start, 64))
    if length > FOOTER_BYTES:
        what = f"the footer has {length:,} bytes, and at most {FOOTER_BYTES:,} are read"
        raise RejectedFile("TooManyColumns", f"{what}: write fewer columns, or larger row groups", uri)
    return read(start, wanted - len(tail)) + tail[:-8]


def _check_calendar(metadata: FileMetadata, uri: str) -> None:
    """Refuse days that one engine would read by another calendar than the others."""
    said = metadata.properties
    if _LEGACY_DATES not in said and said.get(_SPARK_VERSION, "3") >= "3":
        return
    for leaf in metadata.schema.leaves:
        if leaf.type.name not in ("date", "timestamp") or leaf.physical == "INT96":
            continue
        least = metadata.bounds[leaf.path].least if leaf.flat else None
        if leaf.type.name == "date" and least is not None and least >= _GREGORIAN:
            continue
        if leaf.type.name == "timestamp" and least is not None and least.replace(tzinfo=None) >= _SETTLED:
            continue
        what = f"{leaf.path} may hold days of the Julian calendar, which an old Spark wrote"
        hint = "write the file with Spark 3 or later, and datetimeRebaseModeInWrite=CORRECTED"
        raise RejectedFile("LegacyCalendar", f"{what}: {hint}", uri)
