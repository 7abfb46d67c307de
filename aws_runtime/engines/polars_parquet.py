"""Parquet files on Polars -> lazy frames with the hidden columns; a file that cannot be read is rejected.

In: the files of one input. Out: a frame of each. Pages are read at the step's end only, so that what is
wrong with one is told then, by reading each file by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import polars as pl

from aws_runtime.contract import Contract
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI, InputFile
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import parquet
from aws_runtime.formats.parquet_pages import verify_pages

#: What a scan ends with; a panic of Polars is no `Exception`.
_FAULTS = (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException)


def read_file(file: InputFile, contract: Contract) -> pl.LazyFrame:
    """Return the rows of one file.

    Raises:
        RejectedFile: EmptyFile, EncryptedFile, NotParquet or CorruptFile.
    """
    parquet.verify(file.path, file.uri)
    verify_pages(file.path, file.uri, [column.name for column in contract.columns])
    frame = pl.scan_parquet(
        file.path, row_index_name=SOURCE_ROW, row_index_offset=1, hive_partitioning=False, glob=False
    )
    try:
        frame.collect_schema()
    except _FAULTS as error:
        raise RejectedFile("CorruptFile", str(error).splitlines()[0], file.uri) from error
    return frame.with_columns(pl.col(SOURCE_ROW).cast(pl.Int64), pl.lit(file.uri).alias(SOURCE_URI))


@contextmanager
def broken_pages_told(frames: Sequence[tuple[str, pl.LazyFrame]]) -> Iterator[None]:
    """Tell a file whose pages cannot be read from a fault of a query: read each file by itself.

    Args:
        frames: The files that are read inside, by URI.

    Raises:
        RejectedFile: CorruptFile, of the first file that cannot be read; else what was raised.
    """
    try:
        yield
    except _FAULTS:
        for uri, frame in frames:
            _read_through(uri, frame)
        raise


def _read_through(uri: str, frame: pl.LazyFrame) -> None:
    try:
        frame.select(pl.all().null_count()).collect(engine="streaming")
        frame.select(pl.all().last()).collect(engine="streaming")
    except _FAULTS as error:
        said = str(error).splitlines()[0]
        raise RejectedFile("CorruptFile", f"a page cannot be read: {said}", uri) from error
