"""gzip and zstd: streamed, member after member, cut and broken streams told apart from whole ones."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.errors import RejectedFile
from aws_runtime.formats.compression import blocks, compression, plain_copy

PACK = {"gzip": lambda data: gzip.compress(data, mtime=0), "zstd": zstandard.compress}
kinds = pytest.mark.parametrize("kind", PACK)


@kinds
@settings(max_examples=40)
@given(parts=st.lists(st.binary(max_size=2_000), min_size=1, max_size=4))
def test_members_that_follow_each_other_are_one_stream(kind: str, parts: list[bytes]) -> None:
    packed = b"".join(PACK[kind](part) for part in parts)
    assert compression(packed[:4]) == kind
    assert b"".join(blocks(io.BytesIO(packed), kind, "uri")) == b"".join(parts)


@kinds
@pytest.mark.parametrize("cut", [1, 4, 9, 30])
def test_a_cut_stream_is_corrupt(kind: str, cut: int) -> None:
    packed = PACK[kind](bytes(range(256)) * 50)
    with pytest.raises(RejectedFile) as caught:
        list(blocks(io.BytesIO(packed[:-cut]), kind, "s3://b/k"))
    assert (caught.value.code, caught.value.uri) == ("CorruptFile", "s3://b/k")
    assert kind in caught.value.reason


@kinds
def test_a_broken_stream_is_corrupt(kind: str) -> None:
    packed = PACK[kind](bytes(range(256)) * 50)
    with pytest.raises(RejectedFile, match="CorruptFile"):
        list(blocks(io.BytesIO(packed[:12] + b"x" * 60), kind, "uri"))


@kinds
def test_a_stream_is_never_held_whole(kind: str) -> None:
    packed = PACK[kind](b"\0" * 64 * 1024 * 1024)
    sizes = [len(block) for block in blocks(io.BytesIO(packed), kind, "uri")]
    assert sum(sizes) == 64 * 1024 * 1024
    assert kind == "zstd" or max(sizes) <= 1024 * 1024


def test_a_plain_file_stays_where_it_is(tmp_path: Path) -> None:
    path, target = tmp_path / "rows.csv", tmp_path / "copy"
    path.write_bytes(b"a,b\n")
    assert plain_copy(str(path), "uri", allowed="none", target=target) == str(path)
    assert not target.exists()


@kinds
def test_compression_that_is_not_declared_is_refused(kind: str, tmp_path: Path) -> None:
    path, target = tmp_path / "rows.csv", tmp_path / "copy"
    path.write_bytes(PACK[kind](b"a,b\n"))
    with pytest.raises(RejectedFile, match="CompressedFile"):
        plain_copy(str(path), "uri", allowed="none", target=target)
    assert Path(plain_copy(str(path), "uri", allowed="auto", target=target)).read_bytes() == b"a,b\n"
