"""Staged Parquet -> CSV or JSON lines, batch by batch: neither file is held in memory or on disk.

In: one staged file. Out: one object, which appears whole or not at all. How values are spelled is said
in docs/curation.md; reading a file back by its contract gives the same rows. One conversion takes up to
600 MB, whatever the file's size, most of them buffers of columns: large ones go one after another.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aws_runtime import storage
from aws_runtime.contract import Contract
from aws_runtime.curation.config import OutputFormat
from aws_runtime.events import S3Object

#: Rows and values that are held at a time.
BATCH_ROWS, BATCH_VALUES = 16_384, 200_000
#: Bytes of one part of an upload; S3 takes 10,000 parts of 5 MiB at least.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
PART_BYTES = 16 * 1024 * 1024
#: Bytes that are read of a column at a time.
_READ_BYTES = 1024 * 1024

#: As Java, and so Spark and Athena, spell what is no number.
_NOT_FINITE = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
#: Arrow spells smaller decimals as 1E-7.
_PLAIN_SCALE = 6
#: A batch of texts may hold more than the 2 GB of Arrow's small ones.
_TEXT = pa.large_string()
CONTENT_TYPES = {OutputFormat.CSV: "text/csv; charset=utf-8", OutputFormat.JSON: "application/x-ndjson"}


def convert(item: S3Object, uri: str, form: OutputFormat, contract: Contract, tags: str) -> tuple[int, Any]:
    """Convert one staged file.

    Args:
        item: The file, with size and ETag.
        uri: The object to write.
        form: CSV or JSON.
        contract: Of the rows; columns that the file has not are those of its folder.
        tags: Of the object, URL-encoded.

    Returns:
        Its size in bytes, and S3's answer with `ETag` and, in a bucket with versions, `VersionId`.
    """
    file = pq.ParquetFile(_opened(item), buffer_size=_READ_BYTES)
    there = set(file.schema_arrow.names)
    names = [column.name for column in contract.columns if column.name in there]
    bucket, key = storage.parse_uri(uri)
    place = {"Bucket": bucket, "Key": key}
    about = {"ContentType": CONTENT_TYPES[form], "Tagging": tags}
    return _upload(place, about, encoded(file, names, form))


def encoded(file: pq.ParquetFile, names: list[str], form: OutputFormat) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces."""
    if form is OutputFormat.CSV:
        yield (",".join(_quoted(name) for name in names) + "\n").encode()
    encode = _csv if form is OutputFormat.CSV else _json
    rows = max(1, min(BATCH_ROWS, BATCH_VALUES // max(1, len(names))))
    for batch in file.iter_batches(rows, columns=names):
        yield encode(batch.select(names))


def _upload(place: dict[str, str], about: dict[str, str], pieces: Iterator[bytes]) -> tuple[int, Any]:
    size, held, parts = 0, bytearray(), list[dict[str, Any]]()
    upload: dict[str, str] = {}

    def send() -> None:
        number = len(parts) + 1
        answer = storage.s3().upload_part(**place, **upload, PartNumber=number, Body=bytes(held))
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        held.clear()

    try:
        for piece in pieces:
            size += len(piece)
            held += piece
            if len(held) >= PART_BYTES:
                upload = upload or _begun(place, about)
                send()
        if not upload:
            return size, storage.s3().put_object(**place, **about, Body=bytes(held))
        if held:
            send()
        answer = storage.s3().complete_multipart_upload(**place, **upload, MultipartUpload={"Parts": parts})
    except Exception:
        if upload:
            storage.s3().abort_multipart_upload(**place, **upload)
        raise
    return size, answer


def _begun(place: dict[str, str], about: dict[str, str]) -> dict[str, str]:
    return {"UploadId": storage.s3().create_multipart_upload(**place, **about)["UploadId"]}


def _opened(item: S3Object) -> io.BufferedIOBase:
    """Open a file that is read by ranges, or, where it is small, at once."""
    size = item.size or 0
    if size <= _READ_BYTES:
        return io.BytesIO(storage.read_range(item, 0, size))
    return io.BufferedReader(_Ranges(item), _READ_BYTES)


class _Ranges(io.RawIOBase):
    """One version of an object as a file that is read by ranges."""

    def __init__(self, item: S3Object) -> None:
        super().__init__()
        self._item, self._at, self._size = item, 0, item.size or 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        buffer[:length] = storage.read_range(self._item, self._at, length)
        self._at += length
        return length


def _csv(batch: pa.RecordBatch) -> bytes:
    """Spell rows as RFC 4180 says: text in quotes, null as nothing, so that empty text is `""`."""
    return _lines([_csv_column(column) for column in batch.columns], batch.num_rows, "", ",", "\n")


def _json(batch: pa.RecordBatch) -> bytes:
    columns = [
        _joined(f"{encode_basestring(name)}:", _json_column(column))
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return _lines(columns, batch.num_rows, "{", ",", "}\n")


def _lines(columns: list[pa.Array], rows: int, before: str, between: str, after: str) -> bytes:
    """Join the texts of columns, none of them null, to the bytes of lines."""
    if not columns:
        return f"{before}{after}".encode() * rows
    pieces = [piece for column in columns for piece in (between, column)][1:]
    lines = _joined(before, *pieces, after)
    offsets = memoryview(lines.buffers()[1]).cast("q")
    start, end = offsets[lines.offset], offsets[lines.offset + rows]
    return bytes(memoryview(lines.buffers()[2])[start:end]) if rows else b""


def _joined(*pieces: str | pa.Array) -> pa.Array:
    scalars = [pa.scalar(one, _TEXT) if isinstance(one, str) else one for one in pieces]
    return pc.binary_join_element_wise(*scalars, pa.scalar("", _TEXT))


def _csv_column(column: pa.Array) -> pa.Array:
    if pa.types.is_nested(column.type):
        texts = pc.if_else(column.is_valid(), _json_column(column), pa.scalar(None, _TEXT))
    else:
        texts = spelled(column)
    if is_text(column.type):
        texts = _joined('"', pc.replace_substring(texts, '"', '""'), '"')
    return pc.fill_null(texts, pa.scalar("", _TEXT))


def _json_column(column: pa.Array) -> pa.Array:
    """Return the JSON text of each value."""
    if pa.types.is_struct(column.type):
        names = [encode_basestring(child.name) for child in column.type]
        children = [_json_column(child).to_pylist() for child in column.flatten()]
        rows = zip(*children, strict=True) if children else ((),) * len(column)
        texts = ["{" + ",".join(f"{n}:{t}" for n, t in zip(names, row, strict=True)) + "}" for row in rows]
        texts = pa.array(texts, _TEXT)
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        items, starts = _json_column(column.values).to_pylist(), column.offsets.to_pylist()
        texts = pa.array([f"[{','.join(items[start:end])}]" for start, end in pairwise(starts)], _TEXT)
    elif is_text(column.type):
        texts = _json_text(spelled(column))
    else:
        texts = spelled(column)
        if pa.types.is_floating(column.type):  # JSON has no word for what is no number
            number = pc.is_finite(column).fill_null(fill_value=True)
            texts = pc.if_else(number, texts, _joined('"', texts, '"'))
    return pc.if_else(column.is_valid(), texts, pa.scalar("null", _TEXT))


def _json_text(texts: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(texts, r"[\x00-\x1f]")).as_py():
        return pa.array([None if t is None else encode_basestring(t) for t in texts.to_pylist()], _TEXT)
    escaped = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    return _joined('"', escaped, '"')


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text in JSON and in quotes in CSV; numbers and truth values are not."""
    return not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )


def spelled(column: pa.Array) -> pa.Array:
    """Return the text of each value of a flat column; null of null.

    Dates and timestamps as ISO 8601 has them, with a space and six digits, of a zoned one the instant in
    UTC; decimals with all digits of their scale; floats with the fewest digits that give the same value.
    """
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        values = column.to_pylist()
        return pa.array([None if value is None else b64encode(value).decode() for value in values], _TEXT)
    if pa.types.is_decimal(kind) and kind.scale > _PLAIN_SCALE:
        values = column.to_pylist()
        return pa.array([None if value is None else format(value, "f") for value in values], _TEXT)
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz)).cast(pa.timestamp("us"))
    texts = column.cast(_TEXT)
    if pa.types.is_floating(kind):
        for there, java in _NOT_FINITE.items():
            texts = pc.if_else(pc.equal(texts, there), pa.scalar(java, _TEXT), texts)
    return texts


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
