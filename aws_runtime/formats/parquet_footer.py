"""A Parquet footer's bytes -> columns, rows, row groups and statistics, without any library.

In: the bytes between the data and the footer's length. Out: `FileMetadata`, or an error that says what is
wrong. Other readers end the whole process at bytes that this one refuses (an encrypted column beside a
plain footer), and take memory for whatever a footer claims.
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aws_runtime.formats.parquet_schema import Leaf, Schema, SchemaError, read_schema
from aws_runtime.formats.parquet_values import Bounds, read_bounds, together
from aws_runtime.formats.thrift import ThriftError, list_length, read_struct

#: Elements of a schema: of a flat table, its columns and the root.
MOST_ELEMENTS = 20_000
_CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")
#: What DuckDB and Spark on Glue read without further libraries.
_READ_CODECS = frozenset({0, 1, 2, 6, 7})
_BYTE_STREAM_SPLIT = 9
_FIRST = 4  # after the magic bytes


class FooterError(ValueError):
    """A footer that is refused: the code of the reason, and one sentence.

    Args:
        code: CorruptFile, EncryptedFile, TooManyColumns, UnknownCompression or InconsistentRowGroups.
        said: The sentence.
    """

    def __init__(self, code: str, said: str) -> None:
        super().__init__(f"{code}: {said}")
        self.code, self.said = code, said


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """What a footer says.

    Args:
        schema: Columns and leaves.
        rows: Of the file.
        row_groups: Rows of each.
        bounds: Of the flat columns, by name, over all row groups.
        properties: Key-value pairs that the writer left.
    """

    schema: Schema
    rows: int
    row_groups: tuple[int, ...]
    bounds: dict[str, Bounds]
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where the pages of one column of one row group lie: its name, the first byte, and how many."""

    path: str
    start: int
    length: int


def check_width(head: bytes) -> None:
    """Refuse a schema that is too wide, by the first bytes of a footer.

    Raises:
        FooterError: TooManyColumns or CorruptFile.
    """
    try:
        elements = list_length(head, 2)
    except ThriftError as error:
        raise FooterError("CorruptFile", f"the Parquet footer cannot be read: {error}") from error
    if elements > MOST_ELEMENTS:
        what = f"the schema has {elements:,} elements; at most {MOST_ELEMENTS:,} are read"
        raise FooterError("TooManyColumns", what)


def read_metadata(footer: bytes, size: int) -> FileMetadata:
    """Read and check a footer.

    Args:
        footer: Its bytes.
        size: Bytes of the whole file.

    Raises:
        FooterError: It is refused.
        UnknownTypeError: A column has a type that is not read alike everywhere.
    """
    check_width(footer[:64])
    try:
        file, end = read_struct(footer)
        _check_plain(file)
        _check_end(end, len(footer))
        return _described(file, size)
    except (ThriftError, SchemaError) as error:
        raise FooterError("CorruptFile", f"the Parquet footer cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        what = f"the Parquet footer lacks what it must say ({type(error).__name__}: {error})"
        raise FooterError("CorruptFile", what) from error


def chunks(footer: bytes) -> Iterator[Chunk]:
    """Return where pages lie, of a footer that `read_metadata` has not refused or that any reader took.

    Raises:
        ThriftError, KeyError, TypeError: It is no footer.
    """
    file, _ = read_struct(footer)
    for group in file[4]:
        for column in group[1]:
            said = column[3]
            path = ".".join(part.decode("utf-8", "replace") for part in said[3])
            yield Chunk(path, _start(said), said[7])


def _described(file: Mapping[int, Any], size: int) -> FileMetadata:
    schema = read_schema(file[2])
    rows, groups = file[3], file[4]
    counts = tuple(group[3] for group in groups)
    if rows < 0 or any(count < 0 for count in counts):
        raise FooterError("InconsistentRowGroups", f"the footer counts {min(rows, *counts):,} rows")
    if sum(counts) != rows:
        what = f"the footer counts {rows:,} rows, its row groups {sum(counts):,}"
        raise FooterError("InconsistentRowGroups", what)
    for number, group in enumerate(groups, 1):
        _check_group(number, group, schema.leaves, size)
    return FileMetadata(schema, rows, counts, _bounds(groups, schema, rows), _properties(file))


def _check_end(end: int, length: int) -> None:
    if end != length:
        raise ThriftError(f"it ends after {end:,} of its {length:,} bytes")


def _check_plain(file: Mapping[int, Any]) -> None:
    if 8 in file:
        raise FooterError("EncryptedFile", "the file is encrypted; its footer alone is readable")
    for group in file[4]:
        for column in group[1]:
            if 8 in column or 9 in column or 3 not in column:
                raise FooterError("EncryptedFile", "a column of the file is encrypted")


def _check_group(number: int, group: Mapping[int, Any], leaves: tuple[Leaf, ...], size: int) -> None:
    columns = group[1]
    if len(columns) != len(leaves):
        what = f"row group {number} has {len(columns):,} columns, the schema {len(leaves):,}"
        raise FooterError("InconsistentRowGroups", what)
    for leaf, column in zip(leaves, columns, strict=True):
        said = column[3]
        where = f"row group {number}, column {leaf.path}"
        if said[4] not in _READ_CODECS:
            codec = _CODECS[said[4]] if 0 <= said[4] < len(_CODECS) else f"number {said[4]}"
            raise FooterError("UnknownCompression", f"{where} is compressed by {codec}; use zstd or snappy")
        if _BYTE_STREAM_SPLIT in said[2]:
            raise FooterError("UnknownCompression", f"{where} is encoded as BYTE_STREAM_SPLIT; use PLAIN")
        start, length = _start(said), said[7]
        if not group[3]:
            continue  # of no rows there may be no page
        if start < _FIRST or length < 0 or start + length > size - 8:
            what = f"bytes {start:,} to {start + length:,} lie outside of the file's {size:,}"
            raise FooterError("InconsistentRowGroups", f"{where}: {what}")
        if leaf.flat and said[5] != group[3]:
            what = f"{said[5]:,} values for {group[3]:,} rows"
            raise FooterError("InconsistentRowGroups", f"{where}: {what}")


def _start(said: Mapping[int, Any]) -> int:
    """Return the first byte of a chunk's pages; some writers say 0 for no dictionary."""
    dictionary: int = said.get(11) or 0
    return min(dictionary, said[9]) if dictionary else int(said[9])


def _bounds(groups: list[Mapping[int, Any]], schema: Schema, rows: int) -> dict[str, Bounds]:
    found: dict[str, Bounds] = {}
    for index, leaf in enumerate(schema.leaves):
        if not leaf.flat:
            continue
        if leaf.type.name == "null":  # it holds nothing but nulls, and has no statistics
            found[leaf.path] = Bounds(rows)
            continue
        found[leaf.path] = together(
            [(group[3], _chunk_bounds(group[1][index][3].get(12), leaf)) for group in groups if group[3]]
        )
    return found


def _chunk_bounds(statistics: Any, leaf: Leaf) -> Bounds:
    return read_bounds(statistics, leaf.physical, leaf.type, milliseconds=leaf.milliseconds)


def _properties(file: Mapping[int, Any]) -> dict[str, str]:
    return {
        pair[1].decode("utf-8", "replace"): pair.get(2, b"").decode("utf-8", "replace")
        for pair in file.get(5, ())
    }
