"""Files -> their executions: upload to the landing bucket, then follow each to its end.

An execution is found through the tracking table, not by listing executions: the id that a file
is tracked by is known as soon as it is uploaded (bucket, key and version), one BatchGetItem tells
of a hundred files, and the item names the execution. Only executions that failed before they
could write their item are looked for by listing, and recognized by their input.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from asl.deploy.files import LocalFile
from asl.deploy.locate import Deployed
from asl.deploy.target import Target
from aws_runtime.identity import FileIdentity

QUEUED, RUNNING, SUCCEEDED, FAILED = "QUEUED", "RUNNING", "SUCCEEDED", "FAILED"
NOT_STARTED = "NOT_STARTED"
#: Above this a file is sent in parts, and its version asked for afterwards.
SINGLE_PUT_BYTES = 64 * 1024 * 1024
#: BatchGetItem takes so many keys.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
BATCH = 100
UPLOADS = 8
#: DescribeExecution is throttled by account (15 a second), so a look asks few.
#: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
ASKED_IN_TURN = 4
#: An upload's clock and the account's may differ.
CLOCK_SKEW = timedelta(minutes=5)
_plain = TypeDeserializer().deserialize


@dataclass(frozen=True, slots=True)
class Run:
    """One uploaded file and what became of it.

    Args:
        file: Who it is.
        status: QUEUED (no execution seen), RUNNING, NOT_STARTED (none until the timeout), or the
            execution's own final status.
        execution: ARN, once known.
        item: The tracking table's item, as plain values.
        error: Why it failed.
    """

    file: FileIdentity
    status: str = QUEUED
    execution: str = ""
    item: Mapping[str, Any] | None = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status not in (QUEUED, RUNNING)

    def rows(self, name: str) -> int:
        """Return `rows_in`, `rows_out` or `rows_quarantined`; 0 until known."""
        return int((self.item or {}).get(name) or 0)

    def to_json(self) -> dict[str, Any]:
        """Return what `asl run --json` prints of it."""
        item = self.item or {}
        return {
            "name": self.execution.rpartition(":")[2] or None,
            "file": self.file.uri,
            "status": self.status,
            "rows_in": self.rows("rows_in"),
            "rows_out": self.rows("rows_out"),
            "rows_quarantined": self.rows("rows_quarantined"),
            "outputs": list(item.get("outputs") or []),
            "quarantine": list(item.get("quarantine") or []),
            "error": self.error,
        }


def upload(
    target: Target,
    deployed: Deployed,
    files: Sequence[LocalFile],
    done: Callable[[int], None] = lambda _: None,
) -> tuple[FileIdentity, ...]:
    """Put files into the landing bucket and return who they are there; `done` is told the count."""
    api = target.client("s3")

    def send(file: LocalFile) -> FileIdentity:
        key = deployed.prefix + file.relative_key
        if file.path.stat().st_size > SINGLE_PUT_BYTES:
            api.upload_file(str(file.path), deployed.bucket, key)
            answer = api.head_object(Bucket=deployed.bucket, Key=key)
        else:
            with file.path.open("rb") as body:
                answer = api.put_object(Bucket=deployed.bucket, Key=key, Body=body)
        return FileIdentity(deployed.bucket, key, answer.get("VersionId") or answer["ETag"].strip('"'))

    sent: list[FileIdentity] = []
    with ThreadPoolExecutor(UPLOADS) as pool:
        for identity in pool.map(send, files):
            sent.append(identity)
            done(len(sent))
    return tuple(sent)


def follow(
    target: Target,
    deployed: Deployed,
    files: Sequence[FileIdentity],
    *,
    since: datetime,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[Run, ...]]:
    """Yield the state of all files after each look, until all have ended or `timeout` seconds passed.

    Files whose event started no execution end as NOT_STARTED, those still running stay RUNNING.
    """
    runs = {file.file_id: Run(file) for file in files}
    deadline = clock() + timeout
    pause = _first_pause(target)
    for turn in count():
        before = dict(runs)
        _look(target, deployed, runs, since, turn)
        yield tuple(runs.values())
        if all(run.ended for run in runs.values()):
            return
        if clock() >= deadline:
            break
        # Quick while things move, slower while nothing does: an account's API calls are shared.
        pause = _first_pause(target) if runs != before else min(pause * 1.5, 10 * _first_pause(target))
        sleep(min(pause, max(0.0, deadline - clock())))
    yield tuple(_overdue(run, timeout) for run in runs.values())


def tracked(target: Target, deployed: Deployed) -> Iterator[Mapping[str, Any]]:
    """Yield every item of the tracking table, as plain values."""
    for page in target.client("dynamodb").get_paginator("scan").paginate(TableName=deployed.table):
        for item in page["Items"]:
            yield _item(item)


def reason(item: Mapping[str, Any]) -> str | None:
    """Return why a tracked file was rejected or failed, as one line."""
    given = item.get("reason") or item.get("error")
    if isinstance(given, Mapping):
        parts = [_plainly(str(given[name])) for name in ("code", "message") if given.get(name)]
    else:
        parts = [_plainly(str(given))] if given else []
    # Who asks names the file already.
    own = f" (s3://{str(item.get('file_id', '')).rpartition('#')[0]})"
    return ": ".join(parts).removesuffix(own) or None


def _plainly(cause: str) -> str:
    """Return the message of what Lambda (errorMessage) and Glue (ErrorMessage) give as an error's cause."""
    try:
        given = json.loads(cause)
    except ValueError:
        return cause
    said = (given.get("errorMessage") or given.get("ErrorMessage")) if isinstance(given, dict) else None
    return str(said) if said else cause


def _first_pause(target: Target) -> float:
    return 0.3 if target.is_local else 2.0


def _overdue(run: Run, timeout: float) -> Run:
    if run.status == QUEUED:
        return replace(
            run, status=NOT_STARTED, error=f"no execution started within {timeout:g} s of the upload"
        )
    if run.status == RUNNING:
        return replace(run, error=f"still running after {timeout:g} s")
    return run


def _look(target: Target, deployed: Deployed, runs: dict[str, Run], since: datetime, turn: int) -> None:
    """Bring the runs that have not ended up to date."""
    waiting = [file_id for file_id, run in runs.items() if not run.ended]
    for file_id, item in _items(target, deployed.table, waiting).items():
        status = str(item.get("status"))
        run = replace(runs[file_id], status=RUNNING, item=item, execution=str(item.get("execution_arn", "")))
        runs[file_id] = _ended(target, run) if status != "started" else run
    _check_silent(target, deployed.table, runs, turn)
    if any(run.status == QUEUED for run in runs.values()):
        _find_untracked(target, deployed, runs, since)


def _check_silent(target: Target, table: str, runs: dict[str, Run], turn: int) -> None:
    """Ask a few running executions themselves, in turn: one may have ended without tracking it."""
    running = [file_id for file_id, run in runs.items() if run.status == RUNNING]
    asked = {file_id: _ended(target, runs[file_id]) for file_id in _slice(running, turn * ASKED_IN_TURN)}
    ended = {file_id: run for file_id, run in asked.items() if run.ended}
    # It may also have tracked its end after it was looked up, so what it tracked is read again.
    for file_id, item in _items(target, table, list(ended)).items():
        runs[file_id] = _ended(target, replace(ended[file_id], status=RUNNING, item=item))


def _slice(names: Sequence[str], start: int) -> list[str]:
    """Return the few names from `start` on, wrapping around."""
    return [names[(start + index) % len(names)] for index in range(min(ASKED_IN_TURN, len(names)))]


def _items(target: Target, table: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(ids), BATCH):
        asked: Any = {
            table: {"Keys": [{"file_id": {"S": file_id}} for file_id in ids[start : start + BATCH]]}
        }
        while asked:
            page = target.client("dynamodb").batch_get_item(RequestItems=asked)
            found.update({item["file_id"]["S"]: _item(item) for item in page["Responses"].get(table, [])})
            asked = page.get("UnprocessedKeys")
    return found


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in item.items()}


def _ended(target: Target, run: Run) -> Run:
    """Take over the execution's own status once it has ended; its last states follow the tracking."""
    if not run.execution:
        return run
    found = target.client("stepfunctions").describe_execution(executionArn=run.execution)
    if found["status"] == "RUNNING":
        return run
    return replace(run, status=found["status"], error=_error(found, run.item))


def _error(found: Mapping[str, Any], item: Mapping[str, Any] | None) -> str | None:
    if found["status"] == SUCCEEDED:
        return None
    said = reason(item or {})
    return (
        said
        or ": ".join(_plainly(part) for part in (found.get("error"), found.get("cause")) if part)
        or str(found["status"])
    )


def _find_untracked(target: Target, deployed: Deployed, runs: dict[str, Run], since: datetime) -> None:
    """Look through executions that failed since the upload for files that have no tracking item."""
    api = target.client("stepfunctions")
    known = {run.execution for run in runs.values()}
    pages = api.get_paginator("list_executions").paginate(
        stateMachineArn=deployed.machine, statusFilter=FAILED
    )
    for page in pages:
        for listed in page["executions"]:
            if listed["startDate"] < since - CLOCK_SKEW:
                return
            if listed["executionArn"] in known:
                continue
            found = api.describe_execution(executionArn=listed["executionArn"])
            file_id = _identity(found.get("input", "{}")).file_id
            if file_id in runs and runs[file_id].status == QUEUED:
                runs[file_id] = replace(
                    runs[file_id],
                    status=found["status"],
                    execution=found["executionArn"],
                    error=_error(found, None),
                )


def _identity(text: str) -> FileIdentity:
    """Read who a file is from an execution's input, an EventBridge event."""
    detail = json.loads(text).get("detail", {})
    thing = detail.get("object", {})
    version = thing.get("version-id") or thing.get("etag", "")
    return FileIdentity(detail.get("bucket", {}).get("name", ""), thing.get("key", ""), version)
