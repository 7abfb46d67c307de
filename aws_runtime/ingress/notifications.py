"""Stage 1 of the front door: the records of an SQS event -> the objects that arrived in S3.

In: what Lambda hands over, each body a notification of S3 (keys URL-encoded) or an event of
EventBridge (keys as they are). Out: `Delivery` values, each with its arrivals, or with the reason why it
cannot be read; the answer that lets SQS send again just those messages that failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_runtime.identity import FileIdentity, decode_notification_key, parse_event_time

#: Bytes. A bucket, a key and a version together are a key of a table, which holds 2,048.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_LONGEST = {"bucket": 63, "key": 1024, "version_id": 900, "etag": 256, "sequencer": 256, "event_time": 64}


class BadNotificationError(ValueError):
    """A message that tells of no object: it is retried, and then waits in the dead-letter queue."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One object as an event tells of it.

    Args:
        bucket: Its bucket.
        key: As S3 stores it, decoded.
        event_time: ISO 8601, as the event has it.
        size: In bytes.
        etag: Without quotes; empty when the event has none.
        version_id: None in a bucket without versions.
        sequencer: Orders the events of one key; empty when the event has none.
    """

    bucket: str
    key: str
    event_time: str
    size: int = 0
    etag: str = ""
    version_id: str | None = None
    sequencer: str = ""

    @property
    def identity(self) -> FileIdentity:
        """The same as everywhere: bucket, key and version id, or else the ETag."""
        return FileIdentity.of(self.bucket, self.key, self.version_id, self.etag)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of the queue.

    Args:
        id: Its `messageId`.
        arrivals: The objects that it tells of; none for a test event or a deletion.
        ignored: What it tells of otherwise, one sentence each.
        error: Why it cannot be read; then it has no arrivals.
    """

    id: str
    arrivals: tuple[Arrival, ...] = ()
    ignored: tuple[str, ...] = ()
    error: str | None = None


def read_deliveries(event: Mapping[str, Any]) -> tuple[Delivery, ...]:
    """Read every message of an SQS event; one that cannot be read holds up no other.

    Raises:
        ValueError: This is no event of SQS.
    """
    records = event.get("Records")
    if not isinstance(records, list) or not all(
        isinstance(record, dict) and isinstance(record.get("messageId"), str) for record in records
    ):
        raise ValueError("expected an event of SQS: Records, each with a messageId and a body")
    return tuple(_delivery(record) for record in records)


def failures(deliveries: Iterable[Delivery], failed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of a function whose event source mapping has `ReportBatchItemFailures`.

    Args:
        deliveries: The messages.
        failed: By `file_id`, the objects that could not be handled.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    return {
        "batchItemFailures": [
            {"itemIdentifier": delivery.id}
            for delivery in deliveries
            if delivery.error is not None or any(a.identity.file_id in failed for a in delivery.arrivals)
        ]
    }


def distinct(deliveries: Iterable[Delivery]) -> dict[str, Arrival]:
    """Return the arrivals by `file_id`, in their order; a repeated one counts once."""
    found: dict[str, Arrival] = {}
    for delivery in deliveries:
        for arrival in delivery.arrivals:
            found.setdefault(arrival.identity.file_id, arrival)
    return found


def matches(key: str, suffixes: Sequence[str]) -> bool:
    """Tell whether a key ends in one of the suffixes; without any, every key does."""
    return not suffixes or key.endswith(tuple(suffixes))


def _delivery(record: Mapping[str, Any]) -> Delivery:
    name: str = record["messageId"]
    try:
        arrivals, ignored = parse(record.get("body"))
    except BadNotificationError as error:
        return Delivery(name, error=str(error))
    return Delivery(name, arrivals, ignored)


def parse(body: Any) -> tuple[tuple[Arrival, ...], tuple[str, ...]]:
    """Return the arrivals of a message's body, and what else it tells of.

    Raises:
        BadNotificationError: It is neither a notification of S3 nor an event of EventBridge.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    and https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    try:
        message = json.loads(body)
    except (TypeError, ValueError):
        raise BadNotificationError("the body is not JSON") from None
    try:
        if message.get("Event") == "s3:TestEvent":
            return (), ("test event of S3",)
        if "detail-type" in message:
            told = [_from_event_bus(message)]
        else:
            told = [_from_notification(record) for record in message["Records"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadNotificationError(f"not a notification of S3 ({type(error).__name__}: {error})") from None
    if not told:
        raise BadNotificationError("a notification of S3 without records")
    return (
        tuple(item for item in told if isinstance(item, Arrival)),
        tuple(item for item in told if isinstance(item, str)),
    )


def _from_notification(record: Mapping[str, Any]) -> Arrival | str:
    name, given = record["eventName"], record["s3"]
    key = decode_notification_key(given["object"]["key"])
    # Without a configuration's id of its own, S3 says ObjectCreated:Put, and EventBridge Object Created.
    if not name.removeprefix("s3:").startswith("ObjectCreated:"):
        return f"{name} of {key}"
    item = given["object"]
    return _arrival(
        given["bucket"]["name"], key, record["eventTime"], item | {"version-id": item.get("versionId")}
    )


def _from_event_bus(message: Mapping[str, Any]) -> Arrival | str:
    given = message["detail"]
    key = given["object"]["key"]
    if message["detail-type"] != "Object Created":
        return f"{message['detail-type']} of {key}"
    return _arrival(given["bucket"]["name"], key, message["time"], given["object"])


def _arrival(bucket: Any, key: Any, time: Any, item: Mapping[str, Any]) -> Arrival | str:
    if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
        raise ValueError("a bucket and a key are needed")
    if key.endswith("/"):
        return f"folder {key}"
    parse_event_time(time)
    version = item.get("version-id")
    arrival = Arrival(
        bucket=bucket,
        key=key,
        event_time=time,
        size=int(item.get("size") or 0),
        # S3 writes eTag, EventBridge etag.
        etag=str(item.get("eTag") or item.get("etag") or "").strip('"'),
        version_id=None if version in (None, "", "null") else str(version),
        sequencer=str(item.get("sequencer") or ""),
    )
    _check(arrival)
    return arrival


def _check(arrival: Arrival) -> None:
    """Refuse what no bucket sends and no table holds, before it can hold up the files beside it."""
    if not arrival.identity.version:
        raise ValueError(f"neither a version nor an ETag of {arrival.key}")
    if not 0 <= arrival.size < 2**53:
        raise ValueError(f"size {arrival.size}")
    for name, most in _LONGEST.items():
        # Half of a surrogate pair, which JSON can hold, is no text, and encoding it is an error.
        if len(str(getattr(arrival, name) or "").encode()) > most:
            raise ValueError(f"{name} of more than {most} bytes")
