"""Staged Parquet -> CSV or JSON lines, batch by batch: neither file is held in memory or on disk.

In: one staged file. Out: one object, which appears whole or not at all. How values are spelled is said
in docs/curation.md; reading a file back by its contract gives the same rows.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aws_runtime import storage
from aws_runtime.contract import Contract
from aws_runtime.curation.config import OutputFormat
from aws_runtime.events import S3Object

#: Rows that are held at a time.
BATCH_ROWS = 16_384
#: Bytes of one part of an upload; S3 takes 10,000 parts of 5 MiB at least.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
PART_BYTES = 16 * 1024 * 1024
#: Bytes that are read of a column at a time.
_READ_BYTES = 4 * 1024 * 1024

#: As Java, and so Spark and Athena, spell what is no number; text in JSON, which has no word for it.
_NOT_FINITE = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_NO_NUMBERS = frozenset(_NOT_FINITE.values())
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
    file = pq.ParquetFile(io.BufferedReader(_Ranges(item), _READ_BYTES), buffer_size=_READ_BYTES)
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
    for batch in file.iter_batches(BATCH_ROWS, columns=names):
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
    return _lines([_csv_column(column) for column in batch.columns], batch.num_rows, "", "")


def _csv_column(column: pa.Array) -> list[str]:
    if pa.types.is_nested(column.type):
        texts = _json_column(column)
        return [_quoted(t) if v else "" for v, t in zip(column.is_valid().to_pylist(), texts, strict=True)]
    quote = _quoted if is_text(column.type) else str
    return ["" if value is None else quote(value) for value in spelled(column)]


def _json(batch: pa.RecordBatch) -> bytes:
    columns = [
        [f"{encode_basestring(name)}:{text}" for text in _json_column(column)]
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return _lines(columns, batch.num_rows, "{", "}")


def _lines(columns: list[list[str]], rows: int, before: str, after: str) -> bytes:
    found = zip(*columns, strict=True) if columns else ((),) * rows
    return "".join(f"{before}{','.join(row)}{after}\n" for row in found).encode()


def _json_column(column: pa.Array) -> list[str]:
    """Return the JSON text of each value."""
    if pa.types.is_struct(column.type):
        names = [encode_basestring(child.name) for child in column.type]
        children = [_json_column(child) for child in column.flatten()]
        rows = zip(*children, strict=True) if children else ((),) * len(column)
        texts = ["{" + ",".join(f"{n}:{t}" for n, t in zip(names, row, strict=True)) + "}" for row in rows]
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        items, starts = _json_column(column.values), column.offsets.to_pylist()
        texts = [f"[{','.join(items[start:end])}]" for start, end in pairwise(starts)]
    else:
        quoted = is_text(column.type)
        return [
            "null" if value is None else encode_basestring(value) if quoted or value in _NO_NUMBERS else value
            for value in spelled(column)
        ]
    valid = column.is_valid().to_pylist()
    return [text if there else "null" for text, there in zip(texts, valid, strict=True)]


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text in JSON and in quotes in CSV; numbers and truth values are not."""
    return not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )


def spelled(column: pa.Array) -> list[str | None]:
    """Return the text of each value of a flat column; None of null.

    Dates and timestamps as ISO 8601 has them, with a space and six digits, of a zoned one the instant in
    UTC; decimals with all digits of their scale; floats with the fewest digits that give the same value.
    """
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if value is None else b64encode(value).decode() for value in column.to_pylist()]
    if pa.types.is_decimal(kind):
        return [None if value is None else format(value, "f") for value in column.to_pylist()]
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz)).cast(pa.timestamp("us"))
    texts: list[str | None] = column.cast(pa.string()).to_pylist()
    if pa.types.is_floating(kind):
        return [None if text is None else _NOT_FINITE.get(text, text) for text in texts]
    return texts


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
