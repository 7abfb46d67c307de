"""One run at a time replaces a partition: leases by conditional writes, and what a dead run left mended.

In: a run, its partitions and the files that it will write. Out: leases held, in partitions that hold
nothing of a run that died. `_runs/<pipeline>/_partitions/<digest of the folder>.json` says who holds a
partition, which files it may have written, and which run was the last to replace it.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_runtime import documents, storage
from aws_runtime.codec import decode

#: A function ends after fifteen minutes, so the holder of an older lease is dead; five are for clocks.
#: https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
LEASE = timedelta(minutes=20)
#: A conditional write fails only because another one succeeded, so this many in a row is a fault.
ATTEMPTS = 100


class PartitionsBusy(Exception):  # noqa: N818 - the state machine retries by this name
    """Another run is replacing one of the partitions; a retry takes it once that has ended."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a partition.

    Args:
        job_id: The run.
        until: ISO 8601; after this the run is dead.
        files: URIs of what it may have written there.
        committed: URI of the document that is there once all its files are.
    """

    job_id: str
    until: str
    files: tuple[str, ...]
    committed: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one partition.

    Args:
        folder: Its URI.
        holder: Who replaces it now.
        unsettled: Runs that died in it, which nobody has cleaned up after yet.
        newest: Rank of the newest run that replaced it; empty before the first.
    """

    folder: str
    holder: Holder | None = None
    unsettled: tuple[Holder, ...] = ()
    newest: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """A partition held by this run."""

    uri: str
    record: Record
    etag: str


@dataclass(frozen=True, slots=True)
class Committed:
    """A run's commit: what it published, and what that replaces.

    Args:
        files: Published files, JSON values.
        gone: URI of a partition's folder -> files that are to be deleted.
        rank: Of the run: a greater one is newer.
        superseded: Partitions in which a newer run was first; nothing is published there.
    """

    files: tuple[Mapping[str, Any], ...]
    gone: Mapping[str, tuple[str, ...]]
    rank: str = ""
    superseded: tuple[str, ...] = ()


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def place(runs: str, folder: str) -> str:
    """Return the URI of a partition's record.

    Args:
        runs: `s3://<bucket>/_runs/<pipeline>/`.
        folder: URI of the partition's folder.
    """
    digest = hashlib.sha256(folder.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{runs}_partitions/{digest}.json"


def take(runs: str, job_id: str, committed: str, files: Mapping[str, tuple[str, ...]]) -> dict[str, Lease]:
    """Take the leases of all partitions, or none; then nothing of dead runs is left in them.

    Args:
        runs: `s3://<bucket>/_runs/<pipeline>/`.
        job_id: The run; what an earlier attempt of it holds is its own.
        committed: URI of the run's commit.
        files: URI of a partition's folder -> URIs that the run will write there.

    Raises:
        PartitionsBusy: Another run holds one of them.
    """
    until = (now() + LEASE).isoformat()

    def claim(folder: str) -> Lease | PartitionsBusy:
        return _claim(place(runs, folder), folder, Holder(job_id, until, files[folder], committed))

    claimed = storage.each(claim, sorted(files))
    held = {one.record.folder: one for one in claimed if isinstance(one, Lease)}
    busy = [one for one in claimed if isinstance(one, PartitionsBusy)]
    if busy:
        storage.each(release, list(held.values()))
        raise busy[0]
    settled = storage.each(_settled, list(held.values()))
    return {lease.record.folder: lease for lease in settled}


def held(runs: str, job_id: str, folders: list[str]) -> dict[str, Lease]:
    """Return the leases that an earlier attempt of a run still holds."""

    def read(folder: str) -> Lease | None:
        uri = place(runs, folder)
        found = documents.read(Record, uri)
        mine = found is not None and found[0].holder is not None and found[0].holder.job_id == job_id
        return Lease(uri, *found) if found is not None and mine else None

    found = storage.each(read, folders) if folders else []
    return {lease.record.folder: lease for lease in found if lease is not None}


def release(lease: Lease, *, rank: str = "", died: bool = False) -> None:
    """Let others replace the partition; does nothing where another run has taken it over.

    Args:
        lease: The partition.
        rank: Of the run, where it has replaced the partition.
        died: Whether the next holder is to look after this run: a call that failed may still take effect.
    """
    record = lease.record
    left = (*record.unsettled, record.holder) if died and record.holder else record.unsettled
    documents.write(
        lease.uri, replace(record, holder=None, unsettled=left, newest=max(record.newest, rank)), lease.etag
    )


def hidden(runs: str, folder: str) -> tuple[str, frozenset[str]]:
    """Return files of a partition that are no rows of its table: not committed yet, or replaced already.

    Args:
        runs: `s3://<bucket>/_runs/<pipeline>/`.
        folder: URI of the partition's folder.

    Returns:
        What names the state of the record, and the URIs; some may not be there.
    """
    found = documents.read(Record, place(runs, folder))
    if found is None:
        return "", frozenset()
    record, etag = found
    files: set[str] = set()
    for one in (*record.unsettled, *((record.holder,) if record.holder else ())):
        commit = read_commit(one.committed)
        files.update(one.files if commit is None else commit.gone.get(folder, ()))
    return etag, frozenset(files)


def read_commit(uri: str) -> Committed | None:
    """Read a run's commit; None before it."""
    found = storage.get_json(uri)
    return None if found is None else decode(Committed, found)


def _claim(uri: str, folder: str, mine: Holder) -> Lease | PartitionsBusy:
    for _ in range(ATTEMPTS):
        record, etag = documents.read(Record, uri) or (Record(folder), None)
        other = record.holder if record.holder and record.holder.job_id != mine.job_id else None
        if other and datetime.fromisoformat(other.until) > now():
            return PartitionsBusy(
                f"{folder} is being replaced by {other.job_id}, until {other.until} at most"
            )
        left = (*record.unsettled, *((other,) if other else ()))
        taken = replace(record, holder=mine, unsettled=left)
        written = documents.write(uri, taken, etag)
        if written is not None:
            return Lease(uri, taken, written)
    return PartitionsBusy(f"{uri} was changed by others {ATTEMPTS} times in a row")


def _settled(lease: Lease) -> Lease:
    """Complete what dead runs committed, and take back what they did not."""
    record = lease.record
    mine = set(record.holder.files) if record.holder else set()
    newest = record.newest
    for dead in record.unsettled:
        commit = read_commit(dead.committed)
        if commit is None:
            storage.delete_all(set(dead.files) - mine)
        elif record.folder in commit.gone:
            storage.delete_all(commit.gone[record.folder])
            newest = max(newest, commit.rank)
    return replace(lease, record=replace(record, newest=newest, unsettled=()))
