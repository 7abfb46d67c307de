"""Partition columns that a file also holds, where its footer has no statistics of them: read, and only them.

In: the footer, the path's values, a reader of ranges. Out: nothing, or `RejectedFile`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from aws_runtime.curation.footer import Footer, ReadRange
from aws_runtime.errors import RejectedFile

#: Rows of a column in memory at once.
BATCH_ROWS = 64 * 1024


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
    """Compare with the path the partition columns whose statistics do not tell.

    Raises:
        RejectedFile: ContradictingPartition, NullPartition or CorruptFile.
    """
    unknown = [
        name
        for name in partition
        if (found := footer.ranges.get(name)) is not None and (found.nulls is None or found.least is None)
    ]
    if not unknown:
        return
    try:
        file = pq.ParquetFile(pa.PythonFile(cast("io.RawIOBase", _Ranges(read, footer.size)), mode="r"))
        for batch in file.iter_batches(BATCH_ROWS, columns=unknown):
            for name in unknown:
                for value in batch.column(name).unique().to_pylist():
                    _check(name, partition[name], value, uri)
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        raise RejectedFile("CorruptFile", f"the pages of {', '.join(unknown)}: {said}", uri) from error


def _check(name: str, wanted: str, value: object, uri: str) -> None:
    if value is None:
        raise RejectedFile("NullPartition", f"the partition column {name} is null in the file", uri)
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    if text != wanted:
        raise RejectedFile(
            "ContradictingPartition", f"the path says {name}={wanted}, the file holds {text}", uri
        )
