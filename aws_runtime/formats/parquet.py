"""Parquet files: told by their magic bytes, so that anything else is rejected with a reason."""

from __future__ import annotations

from pathlib import Path

from aws_runtime.errors import RejectedFile

#: Smallest file with a header, an empty footer and its length.
_SMALLEST = 12
_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"


def verify(path: str, uri: str) -> None:
    """Check that a local file begins and ends as Parquet does.

    Raises:
        RejectedFile: `EmptyFile`, `EncryptedFile`, `NotParquet` or `CorruptFile` (cut short).
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, 2)
        if size == 0:
            raise RejectedFile("EmptyFile", "the file has 0 bytes", uri)
        file.seek(0)
        head = file.read(4)
        file.seek(max(size - 4, 0))
        tail = file.read(4)
    if _ENCRYPTED in (head, tail):
        raise RejectedFile("EncryptedFile", "the Parquet footer is encrypted", uri)
    if head != _MAGIC:
        raise RejectedFile("NotParquet", f"the file begins with {head!r} instead of PAR1", uri)
    if size < _SMALLEST or tail != _MAGIC:
        raise RejectedFile("CorruptFile", "the Parquet footer is missing; was the file cut short?", uri)
