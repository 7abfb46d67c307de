"""JSON documents in S3 that several writers may change: read with their ETag, written on condition of it.

In: a URI and a dataclass. Out: the document as it is there, or whether a write has won. No lock is held:
who loses reads again. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from aws_runtime import storage
from aws_runtime.codec import decode, encode

_ABSENT = frozenset({"404", "NoSuchKey"})
#: The object is another one by now, another write is under way, or what was to be written over is gone.
_LOST = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict", *_ABSENT})

Document = TypeVar("Document")


def read(kind: type[Document], uri: str) -> tuple[Document, str] | None:
    """Return a document and its ETag, or None where there is none."""
    bucket, key = storage.parse_uri(uri)
    try:
        answer = storage.s3().get_object(Bucket=bucket, Key=key)
        body = answer["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    return decode(kind, json.loads(body)), answer["ETag"]


def write(uri: str, document: Any, etag: str | None) -> str | None:
    """Write over the document with `etag`, or where there is none; returns the new ETag, None when it lost."""
    bucket, key = storage.parse_uri(uri)
    condition: dict[str, Any] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
    body = json.dumps(encode(document), sort_keys=True, separators=(",", ":")).encode()
    try:
        answer = storage.s3().put_object(
            Bucket=bucket, Key=key, Body=body, ContentType="application/json", **condition
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _LOST:
            return None
        raise
    return str(answer["ETag"])
