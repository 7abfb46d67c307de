"""Files -> their executions: upload to the landing bucket, then follow each to its end.

An execution is found through the tracking table, not by listing executions: the id that a file
is tracked by is known as soon as it is uploaded (bucket, key and version), one BatchGetItem tells
of a hundred files, and the item names the execution, or the batch. Only executions that failed
before they could write their item are looked for by listing, and recognized by their input.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from asl.deploy import batch_runs, tracking
from asl.deploy.files import LocalFile
from asl.deploy.locate import Deployed
from asl.deploy.run import FAILED, NOT_STARTED, PENDING, QUEUED, RUNNING, SUCCEEDED, Run
from asl.deploy.target import Target
from aws_runtime.identity import FileIdentity

__all__ = ["FAILED", "NOT_STARTED", "PENDING", "QUEUED", "RUNNING", "SUCCEEDED", "Run", "follow", "upload"]

#: Above this a file is sent in parts, and its version asked for afterwards.
SINGLE_PUT_BYTES = 64 * 1024 * 1024
UPLOADS = 8
#: DescribeExecution is throttled by account (15 a second), so a look asks few.
#: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
ASKED_IN_TURN = 4
#: An upload's clock and the account's may differ.
CLOCK_SKEW = timedelta(minutes=5)


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
    flush: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[Run, ...]]:
    """Yield the state of all files after each look, until nothing more happens or `timeout` seconds passed.

    Files whose event started no execution end as NOT_STARTED, those still running stay RUNNING, and
    those of a batch that waits for more files stay PENDING: nothing more happens to them for now.

    Args:
        target: The account.
        deployed: The pipeline.
        files: As `upload` returned them.
        since: A time before their upload.
        timeout: Seconds.
        flush: Start batches that wait for more files, once all files are in batches.
        clock: Monotonic seconds.
        sleep: Waits.
    """
    runs = {file.file_id: Run(file) for file in files}
    deadline = clock() + timeout
    pause = _first_pause(target)
    for turn in count():
        before = dict(runs)
        _look(target, deployed, runs, since, turn)
        yield tuple(runs.values())
        statuses = {run.status for run in runs.values() if not run.ended}
        if not statuses or (statuses == {PENDING} and not flush):
            return
        if clock() >= deadline:
            break
        if flush and PENDING in statuses and QUEUED not in statuses:
            batch_runs.flush(target, deployed)
        # Quick while things move, slower while nothing does: an account's API calls are shared.
        pause = _first_pause(target) if runs != before else min(pause * 1.5, 10 * _first_pause(target))
        sleep(min(pause, max(0.0, deadline - clock())))
    yield tuple(_overdue(run, timeout) for run in runs.values())


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
    if deployed.trigger == "batches":
        batch_runs.look(target, deployed, runs, since)
    else:
        _look_at_files(target, deployed, runs)
    _check_silent(target, deployed, runs, since, turn)
    if deployed.trigger != "batches" and any(run.status == QUEUED for run in runs.values()):
        _find_untracked(target, deployed, runs, since)


def _look_at_files(target: Target, deployed: Deployed, runs: dict[str, Run]) -> None:
    waiting = [run.file for run in runs.values() if not run.ended]
    for file_id, item in tracking.files(target, deployed, waiting).items():
        status = str(item.get("status"))
        run = replace(runs[file_id], status=RUNNING, item=item, execution=str(item.get("execution_arn", "")))
        runs[file_id] = _ended(target, run) if status != "started" else run


def _check_silent(
    target: Target, deployed: Deployed, runs: dict[str, Run], since: datetime, turn: int
) -> None:
    """Ask a few running executions themselves, in turn: one may have ended without tracking it."""
    running = sorted({run.execution for run in runs.values() if run.status == RUNNING and run.execution})
    for arn in _slice(running, turn * ASKED_IN_TURN):
        found = target.client("stepfunctions").describe_execution(executionArn=arn)
        if found["status"] == "RUNNING":
            continue
        # It may also have tracked its end after it was looked up, so what it tracked is read again.
        if deployed.trigger == "batches":
            batch_runs.look(target, deployed, runs, since)
        else:
            _look_at_files(target, deployed, runs)
        for file_id, run in runs.items():
            if run.status == RUNNING and run.execution == arn and found["status"] != SUCCEEDED:
                runs[file_id] = replace(run, status=found["status"], error=_error(found, run.item))


def _slice(names: Sequence[str], start: int) -> list[str]:
    """Return the few names from `start` on, wrapping around."""
    return [names[(start + index) % len(names)] for index in range(min(ASKED_IN_TURN, len(names)))]


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
    said = tracking.reason(item or {})
    return (
        said
        or ": ".join(tracking.plainly(part) for part in (found.get("error"), found.get("cause")) if part)
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
