"""The manifest builder: arrivals -> batches of one date each, without a lock (docs/ingress.md).

In: the distinct arrivals of one invocation. Out: what became of each. The proof that a file lands in
one batch only rests on two facts, kept here:

- the batch n + 1 of a date comes into being only after the files of n have their items;
- a write depends on the last batch being as it was read, and the items were read after it.

So whoever reads the last batch, and then the items, knows every file of the date, until a condition
fails; then it reads again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aws_runtime.ingress.aws import Change, Clients, moment, number, pause, put_new, read_items, text, update
from aws_runtime.ingress.batches import (
    MAX_WEIGHT,
    MIN_RETENTION_DAYS,
    Addition,
    Batch,
    date_of,
    entry,
    expiry,
    fill,
    in_order,
    manifest_uri,
    weight,
)
from aws_runtime.ingress.launch import launch, settle
from aws_runtime.ingress.notifications import Arrival
from aws_runtime.ingress.settings import BatchSettings

#: So often a builder reads a date again because others were quicker; then its messages come back.
ATTEMPTS = 40


class CrowdedError(Exception):
    """Other builders were quicker, time after time; the messages come back."""


@dataclass(frozen=True, slots=True)
class Built:
    """What became of an invocation's files.

    Args:
        placed: How many were put into batches.
        known: How many were in batches before.
        sealed: Batches that this invocation filled: date and number.
        failed: By `file_id`, what kept a file from its batch, or its batch from its execution.
    """

    placed: int = 0
    known: int = 0
    sealed: tuple[tuple[str, int], ...] = ()
    failed: Mapping[str, Exception] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Job:
    """One date in one invocation."""

    clients: Clients
    settings: BatchSettings
    day: str
    now: datetime


@dataclass(frozen=True, slots=True)
class _View:
    """A date as it was read: its last batch, and then the batches of files that have items."""

    last: Batch | None
    batches: Mapping[str, tuple[str, int]]

    def knows(self, arrival: Arrival) -> bool:
        return arrival.identity.file_id in self.batches or self.holds(arrival)

    def holds(self, arrival: Arrival) -> bool:
        return self.last is not None and arrival.identity.digest in (self.last.files or {})


def build(clients: Clients, settings: BatchSettings, arrivals: Iterable[Arrival], now: datetime) -> Built:
    """Put every new file into a batch, and see to the executions of those that are full.

    A date whose calls fail keeps no other date from its batches.

    Args:
        clients: AWS.
        settings: The pipeline's.
        arrivals: Distinct, below the source's prefix.
        now: The time.

    Raises:
        ClientError: The tables cannot be read.
    """
    dates: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        dates.setdefault(date_of(arrival, settings.prefix), []).append(arrival)
    views = _look(clients, settings, dates)
    done = [_date(_Job(clients, settings, day, now), given, views[day]) for day, given in dates.items()]
    return Built(
        placed=sum(each.placed for each in done),
        known=sum(each.known for each in done),
        sealed=tuple(batch for each in done for batch in each.sealed),
        failed={file: error for each in done for file, error in each.failed.items()},
    )


def _look(
    clients: Clients, settings: BatchSettings, dates: Mapping[str, Sequence[Arrival]]
) -> dict[str, _View]:
    """Read the last batch of each date, and after that the items of all files."""
    last = {day: _last_batch(clients, settings, day) for day in dates}
    keys = [
        {"file_id": text(file_id)}
        for file_id in {a.identity.file_id: None for given in dates.values() for a in given}
    ]
    items = read_items(clients.dynamodb, settings.tracking_table, keys, only=("file_id", "date", "batch"))
    found = {item["file_id"]["S"]: (item["date"]["S"], int(item["batch"]["N"])) for item in items}
    return {
        day: _View(last[day], {i: found[i] for a in given if (i := a.identity.file_id) in found})
        for day, given in dates.items()
    }


def _last_batch(clients: Clients, settings: BatchSettings, day: str) -> Batch | None:
    items = clients.dynamodb.query(
        TableName=settings.batches_table,
        KeyConditionExpression="#date = :date",
        ExpressionAttributeNames={"#date": "date"},
        ExpressionAttributeValues={":date": text(day)},
        ScanIndexForward=False,
        Limit=1,
        ConsistentRead=True,
    )["Items"]
    return Batch.from_item(items[0]) if items else None


def _date(job: _Job, arrivals: Sequence[Arrival], view: _View) -> Built:
    try:
        return _place(job, arrivals, view)
    except Exception as error:  # noqa: BLE001 - whatever it is, the messages of this date come back
        return Built(failed={arrival.identity.file_id: error for arrival in arrivals})


def _place(job: _Job, arrivals: Sequence[Arrival], view: _View) -> Built:
    clients, settings, day = job.clients, job.settings, job.day
    sealed: list[tuple[str, int]] = []
    met: dict[tuple[str, int], None] = {}
    last, settled, lost, placed = view.last, False, 0, 0
    waiting = _new(view, in_order(arrivals), met)
    while waiting:
        if last is not None and last.status != "open" and not settled:
            settle(clients, settings, last)
        changed, taken = _put_next(job, last, waiting)
        if changed is None:
            lost += 1
            if lost == ATTEMPTS:
                raise CrowdedError(f"{day}: {lost} conditions failed, {len(waiting)} files wait")
            pause(min(0.01 * 2**lost, 1))
            view = _look(clients, settings, {day: waiting})[day]
            last, settled = view.last, False
            waiting = _new(view, waiting, met)
            continue
        placed += taken
        last, settled, waiting = changed, False, waiting[taken:]
        if last.status == "open":
            # Others may have put the same files into it meanwhile.
            waiting = _new(_View(last, {}), waiting, met)
        else:
            launch(clients, settings, last)
            sealed.append((day, last.number))
            met.pop((day, last.number), None)
            settled = True
    _resume(clients, settings, [batch for batch in met if batch not in sealed])
    return Built(placed, len(arrivals) - placed, tuple(sealed))


def _new(view: _View, waiting: Iterable[Arrival], met: dict[tuple[str, int], None]) -> list[Arrival]:
    """Return the files that are in no batch; the sealed batches of the others are added to `met`."""
    new: list[Arrival] = []
    for arrival in waiting:
        if (batch := view.batches.get(arrival.identity.file_id)) is not None:
            met[batch] = None
        elif view.last is not None and view.holds(arrival):
            if view.last.status == "manifested":
                met[view.last.date, view.last.number] = None
        else:
            new.append(arrival)
    return new


def _resume(clients: Clients, settings: BatchSettings, batches: Sequence[tuple[str, int]]) -> None:
    """Do step 4 again for batches that our files are in, and that no execution has taken up yet.

    A builder that died after sealing leaves such a batch, and its messages come back to this.
    """
    keys = [{"date": text(day), "batch": number(batch)} for day, batch in batches]
    for item in read_items(clients.dynamodb, settings.batches_table, keys) if keys else ():
        batch = Batch.from_item(item)
        if batch.status == "manifested":
            launch(clients, settings, batch, again=True)


def _put_next(job: _Job, last: Batch | None, waiting: Sequence[Arrival]) -> tuple[Batch | None, int]:
    """Put the next files into the open batch or a new one: the batch (None: a condition failed), how many."""
    dynamodb, settings, now = job.clients.dynamodb, job.settings, job.now
    grows = last is not None and last.status == "open"
    added = fill(last if grows else None, waiting, settings.bounds, now)
    if last is not None and grows:
        item = update(dynamodb, settings.batches_table, last.key, growth(last, added, settings, now))
        return (Batch.from_item(item) if item else None), len(added.files)
    batch = _opened(settings, job.day, last.number + 1 if last else 1, added, now)
    made = put_new(dynamodb, settings.batches_table, new_item(batch, settings, now), "date")
    return (batch if made else None), len(added.files)


def _opened(settings: BatchSettings, day: str, count: int, added: Addition, now: datetime) -> Batch:
    return Batch(
        date=day,
        number=count,
        bucket=settings.bucket,
        status="manifested" if added.full else "open",
        count=added.count,
        bytes=added.bytes,
        weight=added.weight,
        opened_at=moment(now),
        manifest=manifest_uri(settings.manifests, day, count),
        sealed_at=moment(now) if added.full else None,
        files={arrival.identity.digest: arrival for arrival in added.files},
    )


def new_item(batch: Batch, settings: BatchSettings, now: datetime) -> dict[str, object]:
    """Return the item of a batch that comes into being."""
    item = {
        **batch.key,
        "status": text(batch.status),
        "files": {"M": {digest: entry(arrival) for digest, arrival in (batch.files or {}).items()}},
        "file_count": number(batch.count),
        "bytes": number(batch.bytes),
        "weight": number(batch.weight),
        "opened_at": text(batch.opened_at),
        "manifest": text(batch.manifest),
        "live": text("open"),
        "live_since": text(batch.opened_at),
        "expires_at": expiry(now, max(settings.retention_days, MIN_RETENTION_DAYS)),
    }
    return item | ({"sealed_at": text(batch.sealed_at)} if batch.sealed_at else {})


def growth(last: Batch, added: Addition, settings: BatchSettings, now: datetime) -> Change:
    """Return the update that puts files into an open batch.

    The one that fills the batch depends on the number of files that was read, so that the list is the
    one that was read, and these. Others depend on their own files and on room alone: builders that
    bring different files do not hinder each other.
    """
    entries = {f"files.{arrival.identity.digest}": entry(arrival) for arrival in added.files}
    adds = {
        "file_count": len(added.files),
        "bytes": sum(arrival.size for arrival in added.files),
        "weight": sum(weight(arrival) for arrival in added.files),
    }
    if added.full:
        sets = {**entries, "status": text("manifested"), "sealed_at": text(moment(now))}
        seen = {"status": text("open"), "file_count": number(last.count)}
        return Change(sets=sets, adds=adds, equal=seen)
    bounds = settings.bounds
    below = {"file_count": bounds.files - adds["file_count"], "weight": MAX_WEIGHT - adds["weight"]}
    if bounds.bytes is not None:
        below["bytes"] = bounds.bytes - adds["bytes"]
    return Change(
        sets=entries, adds=adds, equal={"status": text("open"), **dict.fromkeys(entries)}, below=below
    )
