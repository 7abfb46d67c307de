"""S3 for a step: exact versions in, outputs out.

In: objects as events name them. Out: local files and S3 URIs. An object that is gone or does not
fit is a `RejectedFile`; a denied or failing call is an error, which is visible and can be retried.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from aws_runtime.errors import RejectedFile
from aws_runtime.events import S3Object

T = TypeVar("T")
R = TypeVar("R")

#: One range of a parallel download, and the size from which an upload is sent in parts.
PART_BYTES = 32 * 1024 * 1024
PARALLEL_CALLS = 16
#: Of the free disk, what inputs may fill; the rest is for spilling and for the outputs.
INPUT_SHARE = 0.7
#: S3 copies larger objects only in parts.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
COPY_BYTES = 5 * 1024**3

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound", "405", "MethodNotAllowed"})
_CHANGED = frozenset({"412", "PreconditionFailed"})
_DENIED = frozenset({"403", "AccessDenied", "Forbidden"})
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"})
_READ_ATTEMPTS = 3


class AccessDeniedError(Exception):
    """The role may not read an object; nothing is wrong with the file, so it is not rejected."""


@cache
def s3() -> Any:
    """Return the process's S3 client, made at its first use; its region and endpoint are the environment's."""
    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        max_pool_connections=PARALLEL_CALLS,
        connect_timeout=5,
        read_timeout=60,
    )
    return boto3.client("s3", config=config)


def parse_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` literally; the key may hold any character and may be empty."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is not s3://bucket/key")
    return bucket, key


def known(item: S3Object) -> S3Object:
    """Return `item` with its exact version and size, asking S3 only for what the event did not say."""
    exact = item.etag or (item.version_id and item.version_id != "null")
    return item if item.size is not None and exact else describe(item)


def sized(item: S3Object) -> S3Object:
    """Return `item` with its size: for files of ours, whose names tell their version."""
    return item if item.size is not None else describe(item)


def describe(item: S3Object) -> S3Object:
    """Ask S3 for the exact version, ETag and size of `item`.

    Raises:
        RejectedFile: ObjectDeleted when it is gone, ObjectReplaced when another object of the same
            key took its place (which has an event of its own), ObjectArchived.
        AccessDeniedError: The role may not read it.
    """
    with _reading(item):
        head = s3().head_object(Bucket=item.bucket, Key=item.key, **_version(item))
    etag = head["ETag"].strip('"')
    if item.etag and item.etag.strip('"') != etag:
        raise _replaced(item)
    archive = head.get("ArchiveStatus") or head.get("StorageClass")
    if archive in _ARCHIVES and 'ongoing-request="false"' not in head.get("Restore", ""):
        raise _archived(item, archive)
    version = item.version_id or head.get("VersionId")
    return replace(item, version_id=version, etag=etag, size=head["ContentLength"])


def room(folder: Path) -> int:
    """Return how many bytes of input fit the free disk below `folder`."""
    return int(shutil.disk_usage(folder).free * INPUT_SHARE)


def check_fits(items: Iterable[S3Object], bound: int) -> None:
    """Check that objects of known size are no more than `bound` bytes.

    Raises:
        RejectedFile: FileTooLarge, with the two ways out.
    """
    given = tuple(items)
    total = sum(item.size or 0 for item in given)
    if total > bound:
        largest = max(given, key=lambda item: item.size or 0)
        raise RejectedFile(
            "FileTooLarge",
            f"{total:,} bytes of input, and this function holds {bound:,}; "
            'raise Processor(storage_mb=…) (at most 10,240) or use Processor(kind="glue_pyspark")',
            largest.identity.uri,
        )


def download(item: S3Object, target: Path) -> None:
    """Copy an object of known size to `target`: in one call, or in parallel ranges of its one version.

    Raises:
        RejectedFile: ObjectDeleted, ObjectReplaced or ObjectArchived.
        AccessDeniedError: The role may not read it.
    """
    size = item.size or 0
    if size > PART_BYTES and not (item.etag or item.version_id):
        item = describe(item)  # ranges of two different objects would fit together
    with target.open("wb") as file:
        file.truncate(size)
    starts = range(0, size, PART_BYTES)
    with _reading(item):
        if len(starts) <= 1:
            _read_range(item, target, 0, size)
        else:
            each(lambda start: _read_range(item, target, start, min(start + PART_BYTES, size)), starts)


def _read_range(item: S3Object, target: Path, start: int, end: int) -> None:
    # botocore retries requests, but not a body that breaks off while it is read.
    for attempt in range(1, _READ_ATTEMPTS + 1):
        try:
            _copy_range(item, target, start, end)
        except (IncompleteReadError, HTTPClientError):
            if attempt == _READ_ATTEMPTS:
                raise
        else:
            return


def _copy_range(item: S3Object, target: Path, start: int, end: int) -> None:
    asked = {"Range": f"bytes={start}-{end - 1}"} if (start, end) != (0, item.size) else {}
    if item.etag:
        asked["IfMatch"] = f'"{item.etag.strip(chr(34))}"'
    body = s3().get_object(Bucket=item.bucket, Key=item.key, **asked, **_version(item))["Body"]
    with target.open("r+b") as file:
        file.seek(start)
        shutil.copyfileobj(body, file, 1024 * 1024)
        if file.tell() != end:
            raise IncompleteReadError(actual_bytes=file.tell() - start, expected_bytes=end - start)


def read_range(item: S3Object, start: int, length: int) -> bytes:
    """Read some bytes of an object's one version; `start` and `length` lie within it.

    Raises:
        RejectedFile: ObjectDeleted, ObjectReplaced or ObjectArchived.
        AccessDeniedError: The role may not read it.
    """
    asked = {"IfMatch": f'"{item.etag.strip(chr(34))}"'} if item.etag else {}
    place = {"Bucket": item.bucket, "Key": item.key, "Range": f"bytes={start}-{start + length - 1}"}
    for attempt in range(1, _READ_ATTEMPTS + 1):
        try:
            with _reading(item):
                body: bytes = s3().get_object(**place, **asked, **_version(item))["Body"].read()
        except (IncompleteReadError, HTTPClientError):
            if attempt == _READ_ATTEMPTS:
                raise
        else:
            return body
    raise AssertionError  # the last attempt returns or raises


def upload_all(files: Sequence[tuple[Path, str]]) -> None:
    """Upload local files to their `s3://` URIs, several at a time; each appears whole or not at all."""

    def upload(pair: tuple[Path, str]) -> None:
        path, uri = pair
        bucket, key = parse_uri(uri)
        if path.stat().st_size >= PART_BYTES:
            s3().upload_file(str(path), bucket, key)
            return
        with path.open("rb") as body:
            s3().put_object(Bucket=bucket, Key=key, Body=body)

    each(upload, files)


def delete_all(uris: Iterable[str]) -> None:
    """Delete objects; one that is already gone is no error."""

    def delete(uri: str) -> None:
        bucket, key = parse_uri(uri)
        s3().delete_object(Bucket=bucket, Key=key)

    each(delete, sorted(uris))


def put_json(uri: str, value: Any) -> None:
    """Write JSON with sorted keys, the same bytes for the same value."""
    bucket, key = parse_uri(uri)
    body = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    s3().put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def get_json(uri: str) -> Any | None:
    """Read JSON; None when there is no such object."""
    bucket, key = parse_uri(uri)
    try:
        body = s3().get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if _code(error) in {"NoSuchKey", "404"}:
            return None
        raise
    return json.loads(body)


def copy(item: S3Object, uri: str) -> bool:
    """Copy an object within S3; returns False when it is gone.

    Tags are not copied: that would ask for the right to read and write them.
    """
    bucket, key = parse_uri(uri)
    source = {"Bucket": item.bucket, "Key": item.key, **_version(item)}
    extra = {"TaggingDirective": "REPLACE"}
    if item.etag:
        extra["CopySourceIfMatch"] = f'"{item.etag.strip(chr(34))}"'
    try:
        if item.size is not None and item.size <= COPY_BYTES:
            s3().copy_object(CopySource=source, Bucket=bucket, Key=key, **extra)
        else:
            s3().copy(source, bucket, key, ExtraArgs=extra)
    except ClientError as error:
        if _code(error) in _GONE | _CHANGED:
            return False
        raise
    return True


def local_name(item: S3Object, position: int) -> str:
    """Return a safe file name that keeps the key's extensions: `0003.json.gz`."""
    suffixes = re.search(r"(\.[A-Za-z0-9]{1,10}){0,2}$", PurePosixPath(item.key).name)
    return f"{position:04d}{suffixes.group() if suffixes else ''}"


def each(action: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Apply `action` to all items, several at a time; raises the first error after all have ended."""
    if len(items) == 1:
        return [action(items[0])]
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        return list(pool.map(action, items))


def _version(item: S3Object) -> dict[str, str]:
    return {"VersionId": item.version_id} if item.version_id else {}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _archived(item: S3Object, where: str) -> RejectedFile:
    return RejectedFile(
        "ObjectArchived", f"the object is archived ({where}); restore it and send it again", item.identity.uri
    )


def _replaced(item: S3Object) -> RejectedFile:
    return RejectedFile(
        "ObjectReplaced",
        "another object took its place before it was read; that one has an event of its own",
        item.identity.uri,
    )


@contextlib.contextmanager
def _reading(item: S3Object) -> Iterator[None]:
    """Tell a file that is gone from a call that failed."""
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in _GONE:
            raise RejectedFile(
                "ObjectDeleted", "the object was deleted before it was read", item.identity.uri
            ) from error
        if code in _CHANGED:
            raise _replaced(item) from error
        if code == "InvalidObjectState":
            raise _archived(item, error.response["Error"].get("StorageClass", "archive")) from error
        if code in _DENIED:
            raise AccessDeniedError(
                f"{item.identity.uri}: access denied to the object or to its KMS key "
                f"({error.response.get('Error', {}).get('Message', '')})"
            ) from error
        raise
