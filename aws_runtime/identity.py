"""Who a file is, whatever happens to its event: bucket + key + version.

In: an object's bucket, key and version id (or ETag) and the event's time. Out: the id it is
tracked by, and the stem that every file made from it carries, the same for each retry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_plus


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """One version of one S3 object.

    Args:
        bucket: Its bucket.
        key: Its key, as S3 stores it (not URL-encoded).
        version: Its version id; in a bucket without versions its ETag; empty when neither is known.
    """

    bucket: str
    key: str
    version: str = ""

    @classmethod
    def of(cls, bucket: str, key: str, version_id: str | None, etag: str | None) -> FileIdentity:
        """Tell an object from another one of its key: by its version id, or else by its ETag.

        The version `null` of a bucket without versions is overwritten in place, so it identifies nothing.
        """
        version = version_id if version_id != "null" else None
        return cls(bucket, key, version or (etag or "").strip('"'))

    @property
    def file_id(self) -> str:
        """`bucket/key#version`, the key of the tracking table (S3 keys hold at most 1,024 bytes)."""
        return f"{self.bucket}/{self.key}#{self.version}"

    @property
    def uri(self) -> str:
        """`s3://bucket/key`, the key taken literally."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of `file_id`."""
        return _digest(self.file_id)


def source_digest(bucket: str, key: str) -> str:
    """Return 16 hex digits of a bucket and key: the same for every version of a file."""
    return _digest(f"{bucket}/{key}")


def combined_digest(digests: Iterable[str]) -> str:
    """Return the digest of a set of identities: of one, its own; of several, in any order, one of all."""
    distinct = sorted(set(digests))
    if not distinct:
        raise ValueError("no identity to name outputs after")
    return distinct[0] if len(distinct) == 1 else _digest("\n".join(distinct))


def stem(event_time: datetime, digest: str) -> str:
    """Return the name of every file made from one identity: `20250117T101502Z-0123456789abcdef`."""
    if event_time.tzinfo is None:
        raise ValueError("an event's time has a zone")
    return f"{event_time.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}"


def parse_event_time(text: str) -> datetime:
    """Read an ISO 8601 time with a zone, as EventBridge writes it: `2025-01-17T10:15:02Z`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"event time {text!r} has no zone")
    return moment


def decode_notification_key(key: str) -> str:
    """Decode the key of an S3 notification to SQS, SNS or Lambda; EventBridge keys are not encoded.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    return unquote_plus(key)


def _digest(text: str) -> str:
    # "surrogatepass": a key decoded from odd bytes must still have an identity.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
