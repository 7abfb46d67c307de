"""The footer of a Parquet file, read in place: a few ranges of bytes instead of the file.

In: something that reads ranges (S3 or a local file). Out: `Footer`, plain data about columns and row
groups, or `RejectedFile` with the reason why there is none. Types are spelled as contracts spell them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aws_runtime.contract import DataType, Field
from aws_runtime.errors import RejectedFile

#: Read at once from the end: the footer of all but very wide files.
TAIL_BYTES = 64 * 1024
#: Smallest file: both magics and the footer's length.
SMALLEST = 12
MAGIC, ENCRYPTED = b"PAR1", b"PARE"
#: Longest footer that is read; a wider file needs more memory than a validation should take.
FOOTER_BYTES = 128 * 1024 * 1024

#: (offset, length) -> those bytes.
ReadRange = Callable[[int, int], bytes]

_NAMES = {
    pa.types.is_boolean: "boolean",
    pa.types.is_int8: "int8",
    pa.types.is_int16: "int16",
    pa.types.is_int32: "int32",
    pa.types.is_int64: "int64",
    pa.types.is_uint8: "uint8",
    pa.types.is_uint16: "uint16",
    pa.types.is_uint32: "uint32",
    pa.types.is_uint64: "uint64",
    pa.types.is_float32: "float32",
    pa.types.is_float64: "float64",
    pa.types.is_string: "string",
    pa.types.is_large_string: "string",
    pa.types.is_binary: "binary",
    pa.types.is_large_binary: "binary",
    pa.types.is_fixed_size_binary: "binary",
    pa.types.is_date: "date",
    pa.types.is_null: "null",
}


@dataclass(frozen=True, slots=True)
class ColumnRange:
    """What all row groups together say of one flat column: nulls, and the least and greatest value.

    Args:
        nulls: None where a row group has no statistics.
        least: None where unknown, or where all values are null.
        greatest: Likewise.
    """

    nulls: int | None
    least: Any = None
    greatest: Any = None


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
        RejectedFile: EmptyFile, NotParquet, EncryptedFile, CorruptFile, InconsistentRowGroups or
            UnknownLogicalType.
    """
    tail = _tail(read, size, uri)
    try:
        metadata = pq.read_metadata(io.BytesIO(MAGIC + tail))
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        if "encrypt" in said.lower():
            raise RejectedFile("EncryptedFile", f"the file is encrypted: {said}", uri) from error
        raise RejectedFile("CorruptFile", f"the Parquet footer cannot be read: {said}", uri) from error
    return _described(metadata, schema, size, uri)


def _tail(read: ReadRange, size: int, uri: str) -> bytes:
    """Return the footer, its length and the magic that ends the file; three ranges at most."""
    if size == 0:
        raise RejectedFile("EmptyFile", "the file has 0 bytes", uri)
    head = read(0, min(4, size))
    if head not in (MAGIC, ENCRYPTED):
        raise RejectedFile("NotParquet", f"the file begins with {head!r} instead of PAR1", uri)
    if size < SMALLEST:
        raise RejectedFile("CorruptFile", f"{size} bytes are too few for a Parquet file", uri)
    tail = read(max(size - TAIL_BYTES, 0), min(TAIL_BYTES, size))
    if ENCRYPTED in (head, tail[-4:]):
        raise RejectedFile("EncryptedFile", "the Parquet footer is encrypted", uri)
    if tail[-4:] != MAGIC:
        raise RejectedFile("CorruptFile", "the Parquet footer is missing; was the file cut short?", uri)
    length = int.from_bytes(tail[-8:-4], "little")
    wanted = length + 8
    if wanted + len(MAGIC) > size:
        what = f"the footer claims {length:,} bytes of a file of {size:,}; was it cut short?"
        raise RejectedFile("CorruptFile", what, uri)
    if length > FOOTER_BYTES:
        what = f"the footer has {length:,} bytes, and at most {FOOTER_BYTES:,} are read"
        raise RejectedFile("TooManyColumns", what, uri)
    if wanted > len(tail):
        return read(size - wanted, wanted - len(tail)) + tail
    return tail[-wanted:]


def _described(metadata: pq.FileMetaData, schema: pa.Schema, size: int, uri: str) -> Footer:
    leaves = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    for leaf in leaves:
        if leaf.logical_type.type == "UNDEFINED":
            raise RejectedFile(
                "UnknownLogicalType", f"{leaf.path}: a logical type that this reader does not know", uri
            )
    types = {field.name: field.type for field in schema}
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    counts = tuple(group.num_rows for group in groups)
    _check_groups(metadata, groups, counts, size, uri)
    flat = {
        leaf.path: index
        for index, leaf in enumerate(leaves)
        if "." not in leaf.path and leaf.max_repetition_level == 0
    }
    return Footer(
        columns=tuple((field.name, data_type(field.type)) for field in schema),
        legacy_timestamps=tuple(leaf.path for leaf in leaves if leaf.physical_type == "INT96"),
        rows=metadata.num_rows,
        row_groups=counts,
        size=size,
        ranges={
            # A column without a type holds nothing but nulls, and no statistics either.
            name: ColumnRange(metadata.num_rows) if pa.types.is_null(types[name]) else _range(groups, index)
            for name, index in flat.items()
        },
    )


def _check_groups(
    metadata: pq.FileMetaData,
    groups: list[pq.RowGroupMetaData],
    counts: tuple[int, ...],
    size: int,
    uri: str,
) -> None:
    def wrong(what: str) -> RejectedFile:
        return RejectedFile("InconsistentRowGroups", what, uri)

    if sum(counts) != metadata.num_rows:
        raise wrong(f"the footer counts {metadata.num_rows:,} rows, its row groups {sum(counts):,}")
    for number, group in enumerate(groups, 1):
        for index in range(group.num_columns):
            chunk = group.column(index)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            if start < len(MAGIC) or start + chunk.total_compressed_size > size - 8:
                raise wrong(
                    f"row group {number}, column {chunk.path_in_schema}: bytes {start:,} to "
                    f"{start + chunk.total_compressed_size:,} lie outside of the file's {size:,}"
                )


def _range(groups: list[pq.RowGroupMetaData], index: int) -> ColumnRange:
    nulls: int | None = 0
    least: Any = None
    greatest: Any = None
    bounded = True
    for group in groups:
        statistics = group.column(index).statistics
        if statistics is None or not statistics.has_null_count:
            nulls = None
        elif nulls is not None:
            nulls += statistics.null_count
        if statistics is not None and statistics.has_min_max:
            least = statistics.min if least is None else min(least, statistics.min)
            greatest = statistics.max if greatest is None else max(greatest, statistics.max)
        elif statistics is None or statistics.num_values:
            bounded = False
    return ColumnRange(nulls, least if bounded else None, greatest if bounded else None)


def data_type(given: pa.DataType) -> DataType:
    """Return a contract's type for an Arrow type; dictionaries are what they hold."""
    if pa.types.is_dictionary(given):
        return data_type(given.value_type)
    if pa.types.is_decimal(given):
        return DataType("decimal", precision=given.precision, scale=given.scale)
    if pa.types.is_timestamp(given):
        return DataType("timestamp", timezone="UTC" if given.tz else None)
    if pa.types.is_list(given) or pa.types.is_large_list(given):
        return DataType("list", item=data_type(given.value_type))
    if pa.types.is_struct(given):
        return DataType("struct", fields=tuple(Field(f.name, data_type(f.type)) for f in given))
    return DataType(next((name for is_it, name in _NAMES.items() if is_it(given)), str(given)))
