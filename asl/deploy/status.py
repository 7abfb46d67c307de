"""The tables of files and batches -> a pipeline's files by state, newest first, with ages and reasons.

In: a deployed pipeline. Out: counts, what waits in its queues, and the files of the states that were
asked for. A file of an `S3Batches` pipeline is what its batch is: `pending` while that is open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asl.deploy import batch_runs, tracking
from asl.deploy.locate import Deployed
from asl.deploy.target import Target
from aws_runtime.identity import FileIdentity

#: The states of a trigger's files, in the order of their life.
STATES: Mapping[str, tuple[str, ...]] = {
    "event": ("started", "completed", "failed", "rejected"),
    "queue": ("started", "done", "failed", "rejected"),
    "batches": ("pending", "manifested", "processing", "completed", "failed", "quarantined"),
}
#: What is listed only when it is asked for.
WELL = frozenset({"completed", "done"})
#: When a batch came into its state.
SINCE = {
    "open": "opened_at",
    "manifested": "sealed_at",
    "processing": "started_at",
    "completed": "finished_at",
    "failed": "finished_at",
}


@dataclass(frozen=True, slots=True)
class FileState:
    """One file and its state.

    Args:
        file: Who it is.
        status: One of `STATES`.
        since: When it came into that state; None where nobody noted it.
        reason: Why it failed or was rejected.
        batch: Of a pipeline of batches: `2025-01-17/1`.
    """

    file: FileIdentity
    status: str
    since: datetime | None
    reason: str | None = None
    batch: str | None = None

    def to_json(self, now: datetime) -> dict[str, Any]:
        """Return what `asl status --json` prints of it."""
        return {
            "file": self.file.uri,
            "version": self.file.version,
            "status": self.status,
            "since": self.since.isoformat() if self.since else None,
            "age_seconds": int((now - self.since).total_seconds()) if self.since else None,
            "batch": self.batch,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Depths:
    """How many messages wait.

    Args:
        waiting: In the queue; None where EventBridge brings the events.
        in_flight: Handed to a function that has not answered yet.
        dead: In the dead-letter queue.
    """

    waiting: int | None
    in_flight: int | None
    dead: int


@dataclass(frozen=True, slots=True)
class Report:
    """What `asl status` tells.

    Args:
        counts: Files by state.
        batches: Batches by status; empty without batches.
        files: Of the states that were asked for, newest first; read as they are taken.
    """

    counts: Mapping[str, int]
    batches: Mapping[str, int]
    files: Iterator[FileState]


def depths(target: Target, deployed: Deployed) -> Depths:
    """Return how many messages wait in the pipeline's queues; SQS counts them approximately."""

    def count(url: str) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = target.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        first, second = (int(answer["Attributes"][name]) for name in names)
        return first, second

    dead = sum(count(deployed.dead_letters))
    waiting, in_flight = count(deployed.queue) if deployed.queue else (None, None)
    return Depths(waiting, in_flight, dead)


def report(target: Target, deployed: Deployed, state: str | None = None) -> Report:
    """Read the pipeline's table and return its files by state.

    Args:
        target: The account.
        deployed: The pipeline.
        state: List the files of this state; None for all that did not go well, or have not yet.
    """
    items = [tracking.plain(item) for item in tracking.everything(target, deployed)]
    wanted = {state} if state else set(STATES[deployed.trigger]) - WELL
    if deployed.trigger != "batches":
        files = sorted((_file(item) for item in items if item["status"] in wanted), key=_newest, reverse=True)
        return Report(Counter(str(item["status"]) for item in items), {}, iter(files))
    counts: Counter[str] = Counter()
    for item in items:
        rejected = int(item.get("files_rejected") or 0)
        counts[_state(item)] += int(item["file_count"]) - rejected
        counts["quarantined"] += rejected
    items.sort(key=lambda item: str(item.get(SINCE[item["status"]], "")), reverse=True)
    listed = (
        file for item in items for file in _of_batch(target, deployed, item, wanted) if file.status in wanted
    )
    return Report(
        {name: count for name, count in counts.items() if count},
        Counter(str(item["status"]) for item in items),
        listed,
    )


def _file(item: Mapping[str, Any]) -> FileState:
    place, _, version = str(item["file_id"]).rpartition("#")
    bucket, _, key = place.partition("/")
    if "key" in item:
        bucket, key, version = str(item["bucket"]), str(item["key"]), str(item["version"])
    times = ("started_at", "start_time") if item["status"] == "started" else ("finished_at", "finish_time")
    since = next((str(item[name]) for name in times if item.get(name)), None)
    return FileState(
        FileIdentity(bucket, key, version), str(item["status"]), _time(since), tracking.reason(item)
    )


def _newest(file: FileState) -> tuple[float, str]:
    return (file.since.timestamp() if file.since else 0.0, file.file.key)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _state(item: Mapping[str, Any]) -> str:
    return "pending" if item["status"] == "open" else str(item["status"])


def _of_batch(
    target: Target, deployed: Deployed, item: Mapping[str, Any], wanted: set[str]
) -> Iterable[FileState]:
    """Return the files of a batch, if any can be in a wanted state: its manifest is read for them."""
    state, rejected = _state(item), int(item.get("files_rejected") or 0)
    if state not in wanted and not (rejected and "quarantined" in wanted):
        return []
    files = batch_runs.identities(deployed.bucket, item) or batch_runs.manifest_files(target, item)
    since = _time(str(item.get(SINCE[item["status"]]) or "") or None)
    batch = f"{item['date']}/{item['batch']}"
    reasons = batch_runs.rejections(target, item) if rejected else {}
    failure = tracking.reason(item)
    return [
        FileState(
            file,
            "quarantined" if file.digest in reasons else state,
            since,
            batch_runs.why(reasons[file.digest], file) if file.digest in reasons else failure,
            batch,
        )
        for file in files
    ]
