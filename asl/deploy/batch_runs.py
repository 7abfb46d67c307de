"""Files of an `S3Batches` pipeline -> what became of them, which is what became of their batches.

In: runs of files. Out: the same runs, brought up to date. A file is first in the map of an open batch
(pending), then it has an item that names its batch; the batch's item has the state (docs/ingress.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from asl.deploy import tracking
from asl.deploy.errors import OperationError
from asl.deploy.locate import Deployed
from asl.deploy.run import FAILED, PENDING, REJECTED, RUNNING, SUCCEEDED, Run, Waiting
from asl.deploy.target import Target
from aws_runtime.identity import FileIdentity
from aws_runtime.ingress.aws import moment
from aws_runtime.ingress.batches import date_of
from aws_runtime.ingress.notifications import Arrival

ROWS = ("rows_in", "rows_out", "rows_quarantined")
Runs = dict[str, Run]


def look(target: Target, deployed: Deployed, runs: Runs, since: datetime) -> None:
    """Bring the runs that have not ended up to date.

    Args:
        target: The account.
        deployed: The pipeline.
        runs: By `FileIdentity.file_id`; changed in place.
        since: When the files were sent, for the date of those whose keys have none.
    """
    waiting = [run for run in runs.values() if not run.ended]
    _place(target, deployed, runs, [run.file for run in waiting if run.batch is None], since)
    placed = [run for run in runs.values() if run.batch and not run.ended]
    names = sorted({run.batch for run in placed if run.batch})
    for (date, number), item in _batches(target, deployed, names).items():
        mine = [run for run in placed if run.batch == (date, number)]
        for run in _states(target, deployed, mine, item):
            runs[run.file.file_id] = run


def flush(target: Target, deployed: Deployed) -> None:
    """Have the sweeper start every open batch of the pipeline now, however few files it has.

    Raises:
        OperationError: ASL422 when the sweeper fails.
    """
    answer = target.client("lambda").invoke(
        FunctionName=deployed.sweeper, Payload=json.dumps({"max_wait_seconds": 0}).encode()
    )
    if answer.get("FunctionError"):
        said = tracking.plainly(answer["Payload"].read().decode("utf-8", "replace"))
        raise OperationError(
            "ASL422", f"the sweeper of {deployed.pipeline} failed: {said}", "Its log has the reason"
        )


def open_files(target: Target, deployed: Deployed) -> tuple[FileIdentity, ...]:
    """Return the files that wait in open batches."""
    pages = (
        target.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=deployed.batches,
            IndexName="live",
            KeyConditionExpression="#live = :open",
            ExpressionAttributeNames={"#live": "live"},
            ExpressionAttributeValues={":open": {"S": "open"}},
        )
    )
    keys = [{name: item[name] for name in ("date", "batch")} for page in pages for item in page["Items"]]
    items = map(tracking.plain, tracking.raw_items(target, deployed.batches, keys))
    return tuple(
        identity
        for item in items
        if item["status"] == "open"
        for identity in identities(deployed.bucket, item)
    )


def identities(bucket: str, item: Mapping[str, Any]) -> list[FileIdentity]:
    """Return the files that a batch's item holds; none once it is processed."""
    return [
        FileIdentity.of(bucket, entry["k"], entry.get("v"), entry.get("e"))
        for entry in (item.get("files") or {}).values()
    ]


def _place(
    target: Target, deployed: Deployed, runs: Runs, files: Sequence[FileIdentity], since: datetime
) -> None:
    """Find the batches of files: in their items, or else in the last batch of their date."""
    for file_id, item in tracking.files(target, deployed, files).items():
        runs[file_id] = replace(runs[file_id], batch=(str(item["date"]), int(item["batch"])))
    left = {file.digest: file for file in files if runs[file.file_id].batch is None}
    for date in sorted({date for file in left.values() for date in _dates(deployed, file, since)}):
        page = target.client("dynamodb").query(
            TableName=deployed.batches,
            KeyConditionExpression="#date = :date",
            ExpressionAttributeNames={"#date": "date"},
            ExpressionAttributeValues={":date": {"S": date}},
            ScanIndexForward=False,
            Limit=1,
        )
        for item in map(tracking.plain, page["Items"]):
            for digest in set(left) & set(item.get("files") or {}):
                file = left.pop(digest)
                runs[file.file_id] = replace(runs[file.file_id], batch=(date, int(item["batch"])))


def _dates(deployed: Deployed, file: FileIdentity, since: datetime) -> set[str]:
    """Return the date of a file: its key's, or else that of its arrival, which may be the next day."""
    times = (since - timedelta(minutes=5), datetime.now(UTC))
    arrivals = (Arrival(file.bucket, file.key, moment(time), 0, "", None, "") for time in times)
    return {date_of(arrival, deployed.prefix) for arrival in arrivals}


def _batches(
    target: Target, deployed: Deployed, names: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], tracking.Item]:
    keys = [{"date": {"S": date}, "batch": {"N": str(number)}} for date, number in names]
    found = map(tracking.plain, tracking.raw_items(target, deployed.batches, keys))
    return {(str(item["date"]), int(item["batch"])): item for item in found}


def _states(
    target: Target, deployed: Deployed, runs: Sequence[Run], item: Mapping[str, Any]
) -> Iterable[Run]:
    status, execution = item["status"], str(item.get("execution_arn") or "")
    if status == "open":
        waiting = waiting_of(deployed, item)
        return [replace(run, status=PENDING, waiting=waiting) for run in runs]
    if status in ("manifested", "processing"):
        return [replace(run, status=RUNNING, execution=execution, waiting=None) for run in runs]
    if status == "failed":
        why = tracking.reason(item) or "the batch failed"
        return [
            replace(
                run, status=FAILED, execution=execution, waiting=None, error=why, item={**item, **_NO_ROWS}
            )
            for run in runs
        ]
    results = outcomes(target, item)
    return [
        _ended(replace(run, execution=execution, waiting=None), results.get(run.file.digest), item)
        for run in runs
    ]


_NO_ROWS = dict.fromkeys(ROWS, 0)


def waiting_of(deployed: Deployed, item: Mapping[str, Any]) -> Waiting:
    """Return what an open batch waits for."""
    opened = datetime.fromisoformat(str(item["opened_at"]))
    return Waiting(
        date=str(item["date"]),
        batch=int(item["batch"]),
        files=int(item["file_count"]),
        wanted=deployed.files_a_batch,
        until=opened + timedelta(seconds=deployed.max_wait_seconds),
    )


def _ended(run: Run, outcome: Outcome | None, batch: Mapping[str, Any]) -> Run:
    if outcome is None:
        return replace(run, status=SUCCEEDED, item=_NO_ROWS)
    item = {
        "status": outcome.status,
        **dict(zip(ROWS, (outcome.rows_out + outcome.quarantined, outcome.rows_out, outcome.quarantined), strict=True)),
        "outputs": outcome.outputs,
        "quarantine": outcome.quarantine,
    }  # fmt: skip
    if outcome.status == "rejected":
        reason = (batch.get("quarantined") or {}).get(run.file.digest)
        return replace(run, status=REJECTED, error=why(reason, run.file), item=item)
    return replace(run, status=SUCCEEDED, item=item)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a completed batch made of one file.

    Args:
        status: `completed`, `rejected`, or `superseded` by a newer version of the file.
        rows_out: Of all assets.
        quarantined: Likewise.
        outputs: URIs.
        quarantine: URIs of quarantined rows.
    """

    status: str
    rows_out: int = 0
    quarantined: int = 0
    outputs: tuple[str, ...] = ()
    quarantine: tuple[str, ...] = ()


def outcomes(target: Target, item: Mapping[str, Any]) -> dict[str, Outcome]:
    """Return what a completed batch made of its files, by digest: one object a run of an asset tells."""
    states: dict[str, str] = {}
    made: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for uri in item.get("records") or ():
        document = _json(target, str(uri).removesuffix(".json") + ".files.json")
        for unit in document.get("units", ()):
            # One asset may reject what another one took.
            if states.get(unit["digest"]) != "rejected":
                states[unit["digest"]] = unit["status"]
        for kind in ("outputs", "quarantine"):
            for entry in document.get(kind, ()):
                made.setdefault(entry["digest"], {"outputs": [], "quarantine": []})[kind].append(entry)
    found = {}
    for digest, status in states.items():
        files = made.get(digest, {"outputs": [], "quarantine": []})
        found[digest] = Outcome(
            status=status,
            rows_out=sum(entry["rows"] for entry in files["outputs"]),
            quarantined=sum(entry["rows"] for entry in files["quarantine"]),
            outputs=tuple(entry["uri"] for entry in files["outputs"]),
            quarantine=tuple(entry["uri"] for entry in files["quarantine"]),
        )
    return found


def rejections(target: Target, item: Mapping[str, Any]) -> dict[str, Mapping[str, Any] | None]:
    """Return the rejected files of a completed batch by digest, with the reasons that the batch names: fifty."""
    named: dict[str, Mapping[str, Any] | None] = dict(item.get("quarantined") or {})
    if len(named) < int(item.get("files_rejected") or 0):
        found = outcomes(target, item)
        named = {digest: named.get(digest) for digest, made in found.items() if made.status == "rejected"}
    return named


def why(reason: Mapping[str, Any] | None, file: FileIdentity) -> str:
    """Return a rejected file's reason as one line."""
    said = tracking.reason({"reason": reason, "bucket": file.bucket, "key": file.key})
    return said or "rejected; the reason is beside its copy in the quarantine"


def manifest_files(target: Target, item: Mapping[str, Any]) -> list[FileIdentity]:
    """Return the files of a sealed batch, from its manifest."""
    return [
        FileIdentity.of(given["bucket"], given["key"], given.get("version_id"), given.get("etag"))
        for given in _json(target, str(item["manifest"]))["files"]
    ]


def _json(target: Target, uri: str) -> dict[str, Any]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    document: dict[str, Any] = json.loads(body)
    return document
