"""One run into a Delta table, what its two writers share: the table is held, written, and told of, once.

In: what the run wants (`DeltaRun`, which `Validate` says and the state machine hands on) and a function that
writes. Out: `delta.json` beside the run's documents, which names the version that holds the run.

Spark's Delta commits to S3 without a condition, and overwrites the commit of another writer that was faster
(https://docs.delta.io/3.3.2/delta-storage.html#single-cluster-setup-default). So every writer holds the
table's lease while it writes: one run at a time, in a function or in a job.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aws_runtime import storage
from aws_runtime.codec import decode, encode
from aws_runtime.curation import delta_log, leases
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.delta_sql import DeltaWriteError, transaction_id
from aws_runtime.curation.leases import Lease

if TYPE_CHECKING:
    from aws_runtime.curation.job import Job  # the writers' zips hold less

#: Until another run has ended, this long at a time.
PAUSE_SECONDS = 5.0
#: A lease is valid for twenty minutes; a job that writes for longer renews it.
RENEWAL_SECONDS = 300.0


class RunDocumentError(Exception):
    """The run record, or the list of its files, is missing or is not that of this run."""


@dataclass(frozen=True, slots=True)
class DeltaRun:
    """What a run wants of a table.

    Args:
        job_id: The run.
        event_time: ISO 8601; since when its rows are true, for scd2.
        table: URI of the table, ending in `/`.
        runs: Prefix of the run's documents.
        staging: Prefix of the files that the run staged.
        locks: Prefix below which leases are, one for all datasets of the pipeline.
        mode: How rows meet those that are there.
        keys: Of merge and scd2.
        record: URI of the transform's run record.
    """

    job_id: str
    event_time: str
    table: str
    runs: str
    staging: str
    locks: str
    mode: WriteMode
    keys: tuple[str, ...] = ()
    record: str = ""

    @property
    def moment(self) -> datetime:
        """`event_time`."""
        return datetime.fromisoformat(self.event_time)


@dataclass(frozen=True, slots=True)
class Written:
    """`delta.json`.

    Args:
        job_id: The run.
        version: Of the table, that holds the run.
        changed: Whether that version was made for the run; a run that finds nothing to change may make none.
    """

    job_id: str
    version: int
    changed: bool = True


#: Writes; is given a function to call once the table is ready, right before the one statement that writes rows.
Write = Callable[[Callable[[], None]], None]


def of(job: Job) -> DeltaRun:
    """Return what a run wants of its table: `Validate` answers it, and the machine hands it to the writer."""
    return DeltaRun(
        job_id=job.id,
        event_time=job.event_time.isoformat(),
        table=job.curated,
        runs=job.runs,
        staging=f"{job.staging}output/",
        locks=f"s3://{job.config.target_bucket}/_runs/{job.declared.pipeline}/",
        mode=job.config.write_mode,
        keys=job.config.keys,
    )


def asked(event: Mapping[str, Any]) -> DeltaRun:
    """Read `event.load` of the function and of the job.

    Raises:
        ValueError: It is not as agreed, naming the key.
    """
    return decode(DeltaRun, event["load"], "load")


@dataclass(frozen=True, slots=True)
class Staged:
    """What a run staged.

    Args:
        files: Their URIs.
        rows: Of all.
        alone: Whether nothing else lies in the staging: an earlier attempt may have left other files.
    """

    files: tuple[str, ...]
    rows: int
    alone: bool


def staged(run: DeltaRun) -> Staged:
    """Return what the run staged.

    Raises:
        RunDocumentError: There are no such documents, or a file lies outside of the run's staging.
    """
    record = storage.get_json(run.record)
    files = storage.get_json(record["files"]) if record else None
    if files is None:
        raise RunDocumentError(f"{run.record}: there is no such run record, or no list of its files")
    uris = tuple(entry["uri"] for entry in files["outputs"])
    for uri in uris:
        if not uri.startswith(run.staging):
            raise RunDocumentError(f"{uri} lies outside of the staging of {run.job_id}")
    bucket, prefix = storage.parse_uri(run.staging)
    pages = storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    there = {f"s3://{bucket}/{entry['Key']}" for page in pages for entry in page.get("Contents", ())}
    return Staged(uris, sum(entry["rows"] for entry in files["outputs"]), there == set(uris))


def told(run: DeltaRun) -> Written | None:
    """Return what is known of the run's writing; None before it."""
    found = storage.get_json(f"{run.runs}delta.json")
    return None if found is None else decode(Written, found)


def once(
    run: DeltaRun, write: Write, *, patience: float, sleep: Callable[[float], None] = time.sleep
) -> Written:
    """Write a run into its table, unless it is there.

    Args:
        run: The run.
        write: Writes it; may be called again by a retry only where nothing of the run is in the table.
        patience: Seconds to wait for another run that is writing.
        sleep: For tests.

    Raises:
        PartitionsBusy: Another run is writing still; a retry waits again.
        DeltaWriteError: Plain files lie where the table is to be; nothing was written.
        Exception: Whatever `write` raises.
    """
    known = told(run)
    if known is not None:
        return known
    with _held(run, patience, sleep):
        _settle(run)
        known = told(run)
        if known is not None:
            return known
        _check_place(run)
        began: list[int] = []

        def begin() -> None:
            version = delta_log.newest(run.table)
            began.append(-1 if version is None else version)
            note = {"run": encode(run), "version": began[-1]}
            storage.put_json(_note(run), note)

        write(begin)
        done = _found(run, began[-1]) if began else told(run) or _remembered(run)
        done = done or Written(run.job_id, began[-1] if began else -1, changed=False)
        _tell(run, done)
        storage.delete_all([_note(run)])
    return done


def _check_place(run: DeltaRun) -> None:
    if delta_log.newest(run.table) is None and (found := delta_log.plain_file(run.table)):
        raise DeltaWriteError(
            f"{run.table} holds plain files ({found}), which would be no rows of a Delta table there; move "
            'them, or leave "table_format": "files"'
        )


def _settle(run: DeltaRun) -> None:
    """Tell of a run that died between its commit and its document; nobody has written since."""
    note = storage.get_json(_note(run))
    if note is None:
        return
    dead = decode(DeltaRun, note["run"])
    found = _found(dead, note["version"])
    if found is not None and told(dead) is None:
        _tell(dead, found)
    storage.delete_all([_note(run)])


def _found(run: DeltaRun, version: int) -> Written | None:
    """Return the commit of a run, which alone has written since `version`."""
    for commit in delta_log.after(run.table, version):
        if commit.changes or transaction_id(run.job_id) in commit.transactions:
            return Written(run.job_id, commit.version)
    return None


def _remembered(run: DeltaRun) -> Written | None:
    """Return the commit that the table remembers: another attempt of the same run made it meanwhile."""
    for commit in delta_log.after(run.table, -1):
        if transaction_id(run.job_id) in commit.transactions:
            return Written(run.job_id, commit.version)
    return None


def _tell(run: DeltaRun, done: Written) -> None:
    storage.put_json(f"{run.runs}delta.json", encode(done))


def _note(run: DeltaRun) -> str:
    """Return where the run is noted that is writing: one place for each table."""
    digest = hashlib.sha256(run.table.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{run.locks}_delta/{digest}.json"


@contextmanager
def _held(run: DeltaRun, patience: float, sleep: Callable[[float], None]) -> Iterator[None]:
    """Hold the table's lease, and renew it while it is held."""
    held = [_take(run, patience, sleep)]
    ended = threading.Event()
    lost: list[Exception] = []

    def renew() -> None:
        while not ended.wait(RENEWAL_SECONDS):
            try:
                held[0] = _lease(run)
            except Exception as error:  # noqa: BLE001 - told at the end: a lease outlives three failed renewals
                lost[:] = [error]
            else:
                lost.clear()

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        leases.release(held[0])
    if lost and isinstance(lost[0], leases.PartitionsBusy):
        raise lost[0]


def _take(run: DeltaRun, patience: float, sleep: Callable[[float], None]) -> Lease:
    until = time.monotonic() + patience
    while True:
        try:
            return _lease(run)
        except leases.PartitionsBusy:
            if time.monotonic() >= until:
                raise
            sleep(PAUSE_SECONDS)


def _lease(run: DeltaRun) -> Lease:
    # Files of a dead run need no deleting: no version of the table names them.
    return leases.take(run.locks, run.job_id, f"{run.runs}committed.json", {run.table: ()})[run.table]
