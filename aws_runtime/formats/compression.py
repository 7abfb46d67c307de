"""Compressed files, told by their magic bytes -> plain ones, streaming: gzip and zstd.

In: a local file. Out: its bytes, block by block, or `RejectedFile` where the stream is cut or broken.
Members and frames that follow each other are read as one, as `cat a.gz b.gz` makes them.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from aws_runtime.errors import RejectedFile

_BLOCK = 1024 * 1024
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
#: Largest window that a zstd frame may ask for; `zstd --ultra -22` needs as much, `--long=31` more.
_WINDOW_BYTES = 128 * 1024 * 1024


def compression(head: bytes) -> str | None:
    """`gzip`, `zstd`, or None, by a file's first four bytes."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def plain_copy(path: str, uri: str, *, allowed: str, target: Path) -> str:
    """Decompress `path` into `target` where it is compressed; returns the path of the plain file.

    Args:
        path: A local file.
        uri: The file, as people know it.
        allowed: `auto`, or `none` where a compressed file is a mistake.
        target: A file to write.

    Raises:
        RejectedFile: `CompressedFile` where none is allowed; `CorruptFile`.
    """
    with Path(path).open("rb") as file:
        kind = compression(file.read(4))
    if kind is None:
        return path
    if allowed == "none":
        raise RejectedFile(
            "CompressedFile", f"the file is {kind}, and the source declares no compression", uri
        )
    with Path(path).open("rb") as packed, target.open("wb") as plain:
        for block in blocks(packed, kind, uri):
            plain.write(block)
    return str(target)


def blocks(packed: BinaryIO, kind: str, uri: str) -> Iterator[bytes]:
    """Yield the plain bytes of a `gzip` or `zstd` stream.

    Raises:
        RejectedFile: `CorruptFile`, after the blocks before the fault.
    """
    try:
        yield from (_gzip if kind == "gzip" else _zstd)(packed)
    except (EOFError, gzip.BadGzipFile, zlib.error, _BrokenZstdError) as error:
        raise RejectedFile("CorruptFile", f"the {kind} stream is broken: {error}", uri) from error


def _gzip(packed: BinaryIO) -> Iterator[bytes]:
    with gzip.open(packed) as plain:
        while block := plain.read(_BLOCK):
            yield block


class _BrokenZstdError(Exception):
    """A zstd stream that is cut, broken, or asks for more memory than is given."""


def _zstd(packed: BinaryIO) -> Iterator[bytes]:
    # Imported here: Python has a module of its own from 3.14 on, and plain files need none.
    import zstandard  # noqa: PLC0415

    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    frame = None
    try:
        # Small blocks in, because what comes out of one is held whole.
        while given := packed.read(_BLOCK // 8):
            while given:
                frame = frame or decompressor.decompressobj(write_size=_BLOCK)
                yield frame.decompress(given)
                # A frame may end within a block, and another begin.
                given = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    except zstandard.ZstdError as error:
        raise _BrokenZstdError(str(error)) from error
    if frame is not None:
        raise _BrokenZstdError("it ends before its end")
