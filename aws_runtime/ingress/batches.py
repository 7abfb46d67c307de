"""A batch of files of one date: its item, what fits into it, its manifest. Pure.

In: items of the batches table, arrivals. Out: `Batch` values, items of files, the manifest's bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aws_runtime.identity import parse_event_time
from aws_runtime.ingress.aws import Item, moment, number, number_of, string_of, text
from aws_runtime.ingress.executions import as_json
from aws_runtime.ingress.notifications import Arrival

#: An item of DynamoDB holds 400 KB; an open batch of this weight is full, whatever its bounds say, and
#: the one entry that goes beyond weighs 3 KB at most.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_WEIGHT = 350_000
#: Names, types and digest of an entry, rounded up.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
ENTRY_OVERHEAD = 60
#: An expression holds 4 KB.
FILES_AN_UPDATE = 50
#: A name stands for one execution for 90 days, so a batch's number must not come back before.
MIN_RETENTION_DAYS = 100

_DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a batch is full.

    Args:
        files: So many files …
        bytes: … or so many bytes; None for no such bound …
        wait: … or when its first file has waited so long.
    """

    files: int
    bytes: int | None = None
    wait: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the batches table has it.

    Args:
        date: ISO date of its files.
        number: From 1, for each date.
        bucket: The source bucket.
        status: `open`, `manifested`, `processing`, `completed` or `failed`.
        count: Of files.
        bytes: Of all files.
        weight: Of all entries of `files`, for the limit of an item.
        opened_at: When its first file came.
        manifest: S3 URI.
        sealed_at: When it was full; None while open.
        attempt: How often it was sent again.
        files: By digest, while it is open or manifested for the first time; None afterwards.
        execution_arn: Of the execution that processes it.
    """

    date: str
    number: int
    bucket: str
    status: str
    count: int
    bytes: int
    weight: int
    opened_at: str
    manifest: str
    sealed_at: str | None = None
    attempt: int = 0
    files: Mapping[str, Arrival] | None = field(default=None, hash=False)
    execution_arn: str | None = None

    @property
    def key(self) -> Item:
        """Its key in the batches table."""
        return {"date": text(self.date), "batch": number(self.number)}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Batch:
        """Read an item of the batches table."""
        bucket = item["manifest"]["S"].removeprefix("s3://").partition("/")[0]
        entries = item["files"]["M"] if "files" in item else None
        return cls(
            date=item["date"]["S"],
            number=number_of(item, "batch"),
            bucket=bucket,
            status=item["status"]["S"],
            count=number_of(item, "file_count"),
            bytes=number_of(item, "bytes"),
            weight=number_of(item, "weight"),
            opened_at=item["opened_at"]["S"],
            manifest=item["manifest"]["S"],
            sealed_at=string_of(item, "sealed_at"),
            attempt=number_of(item, "attempt"),
            files=None if entries is None else {d: _arrival(e["M"], bucket) for d, e in entries.items()},
            execution_arn=string_of(item, "execution_arn"),
        )


def date_of(arrival: Arrival, prefix: str) -> str:
    """Return the first ISO date in the key below `prefix`, or else the day (UTC) that the file arrived."""
    for found in _DATE.finditer(arrival.key.removeprefix(prefix)):
        try:
            return date.fromisoformat(found[0]).isoformat()
        except ValueError:
            continue
    return parse_event_time(arrival.event_time).astimezone(UTC).date().isoformat()


def entry(arrival: Arrival) -> Item:
    """Return a file as a batch holds it: short names, since they are written with every change."""
    given = {
        "k": text(arrival.key),
        "t": text(arrival.event_time),
        "s": number(arrival.size),
        "v": text(arrival.version_id) if arrival.version_id else None,
        "e": text(arrival.etag) if arrival.etag else None,
        "q": text(arrival.sequencer) if arrival.sequencer else None,
    }
    return {"M": {name: value for name, value in given.items() if value}}


def _arrival(given: Mapping[str, Any], bucket: str) -> Arrival:
    return Arrival(
        bucket=bucket,
        key=given["k"]["S"],
        event_time=given["t"]["S"],
        size=number_of(given, "s"),
        etag=string_of(given, "e") or "",
        version_id=string_of(given, "v"),
        sequencer=string_of(given, "q") or "",
    )


def weight(arrival: Arrival) -> int:
    """Return an upper bound of an entry's bytes in its item."""
    texts = (arrival.key, arrival.event_time, arrival.version_id or "", arrival.etag, arrival.sequencer)
    return ENTRY_OVERHEAD + sum(len(given.encode("utf-8", "surrogatepass")) for given in texts)


def in_order(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """Return files by the time of their event, then by key and version."""
    return sorted(arrivals, key=lambda a: (parse_event_time(a.event_time), a.key, a.identity.version))


@dataclass(frozen=True, slots=True)
class Addition:
    """What the next write puts into a batch.

    Args:
        files: The first ones of those that wait.
        count: Of the batch's files afterwards, as far as is known.
        bytes: Likewise.
        weight: Likewise.
        full: Whether the batch is to be sealed with it.
    """

    files: Sequence[Arrival]
    count: int
    bytes: int
    weight: int
    full: bool


def fill(batch: Batch | None, waiting: Sequence[Arrival], bounds: Bounds, now: datetime) -> Addition:
    """Take as many of the waiting files as fit into an open batch, or into a new one (None)."""
    count, size, heavy = (batch.count, batch.bytes, batch.weight) if batch else (0, 0, 0)
    taken = 0
    full = False
    most = FILES_AN_UPDATE if batch else bounds.files
    for arrival in waiting[:most]:
        taken, count = taken + 1, count + 1
        size, heavy = size + arrival.size, heavy + weight(arrival)
        full = (
            count >= bounds.files
            or heavy >= MAX_WEIGHT
            or (bounds.bytes is not None and size >= bounds.bytes)
        )
        if full:
            break
    opened = batch.opened_at if batch else moment(now)
    waited = opened <= moment(now - bounds.wait)
    return Addition(tuple(waiting[:taken]), count, size, heavy, full or waited)


def file_items(batch: Batch, retention_days: int) -> list[Item]:
    """Return the items of the tracking table for a sealed batch's files, the same each time.

    Raises:
        ValueError: The batch is open, or holds its files no longer.
    """
    if batch.sealed_at is None or batch.files is None:
        raise ValueError(f"batch {batch.number} of {batch.date} has no final list of files")
    expires = expiry(parse_event_time(batch.sealed_at), retention_days)
    return [
        {
            "file_id": text(arrival.identity.file_id),
            "bucket": text(arrival.bucket),
            "key": text(arrival.key),
            "version": text(arrival.identity.version),
            "size": number(arrival.size),
            "event_time": text(arrival.event_time),
            "date": text(batch.date),
            "batch": number(batch.number),
            "expires_at": expires,
        }
        for arrival in in_order(batch.files.values())
    ]


def expiry(start: datetime, days: int) -> Item:
    """Return DynamoDB's time to live: seconds since 1970."""
    return number(int((start + timedelta(days=days)).timestamp()))


def manifest_uri(manifests: str, day: str, batch: int) -> str:
    """Return `<manifests>2025-01-17/batch-0001.json`; `manifests` is an S3 URI that ends in `/`."""
    return f"{manifests}{day}/batch-{batch:04d}.json"


def manifest(batch: Batch, pipeline: str) -> bytes:
    """Return a sealed batch's manifest: the same bytes each time.

    Raises:
        ValueError: The batch holds its files no longer.
    """
    if batch.files is None:
        raise ValueError(f"batch {batch.number} of {batch.date} holds its files no longer")
    files = []
    for arrival in in_order(batch.files.values()):
        known = {
            "bucket": arrival.bucket,
            "key": arrival.key,
            "version_id": arrival.version_id,
            "etag": arrival.etag or None,
            "size": arrival.size,
            "event_time": arrival.event_time,
            "sequencer": arrival.sequencer or None,
        }
        files.append({name: value for name, value in known.items() if value is not None})
    told = {
        "pipeline": pipeline,
        "date": batch.date,
        "batch": batch.number,
        "bytes": batch.bytes,
        "files": files,
    }
    return as_json(told).encode("utf-8", "surrogatepass")
