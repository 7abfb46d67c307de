"""Pages of a local Parquet file against their checksums, which most readers do not look at.

In: a file, and the columns that will be read. Out: nothing, or `RejectedFile` where the bytes of a page are
not those that were written: zstd and plain pages often decode all the same, to other values.
https://github.com/apache/parquet-format/blob/master/README.md#checksumming
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Collection
from pathlib import Path

from aws_runtime.errors import RejectedFile
from aws_runtime.formats.parquet_footer import Chunk, chunks
from aws_runtime.formats.thrift import ThriftError, read_struct

_COMPRESSED_SIZE, _CHECKSUM = 3, 4


def verify_pages(path: str, uri: str, columns: Collection[str]) -> None:
    """Compare the pages of `columns` with their checksums; pages without one are taken as they are.

    A file whose structure cannot be followed is left to the engine, which knows how to say so.

    Raises:
        RejectedFile: CorruptFile.
    """
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as data,
    ):
        try:
            found = _broken(data, columns)
        except (ThriftError, KeyError, TypeError, AttributeError, IndexError):
            return
    if found is not None:
        raise RejectedFile("CorruptFile", f"a page of {found} is not what its checksum says", uri)


def _broken(data: memoryview, columns: Collection[str]) -> str | None:
    """Return the column of the first page that breaks its checksum."""
    length = int.from_bytes(data[-8:-4], "little")
    footer = bytes(data[-8 - length : -8])
    for chunk in chunks(footer):
        if chunk.path.partition(".")[0] in columns and not _whole(data, chunk):
            return chunk.path
    return None


def _whole(data: memoryview, chunk: Chunk) -> bool:
    at, end = chunk.start, chunk.start + chunk.length
    while at < end:
        header, at = read_struct(data, at)
        size, told = header[_COMPRESSED_SIZE], header.get(_CHECKSUM)
        if told is None or size < 0:
            return True  # a writer gives all pages of a chunk a checksum, or none
        if zlib.crc32(data[at : at + size]) != told & 0xFFFFFFFF:
            return False
        at += size
    return True
