"""`asl redrive`: what failed -> sent again; dead letters -> back to where they came from.

In: a deployed pipeline and what the user names. Out: new executions, one a file or batch. Each step is
conditional on the state that was read, so a second redrive, at once or later, changes nothing
(aws_runtime/ingress/redrive.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from asl.deploy import batch_runs, tracking
from asl.deploy.errors import OperationError
from asl.deploy.locate import Deployed
from asl.deploy.target import Target
from aws_runtime.ingress import executions
from aws_runtime.ingress.notifications import BadNotificationError, parse
from aws_runtime.ingress.redrive import redrive_batch, redrive_file

#: What may be sent again, by trigger; the first is meant when none is named.
STATES: Mapping[str, tuple[str, ...]] = {
    "event": ("failed", "rejected"),
    "queue": ("failed", "rejected"),
    "batches": ("failed", "quarantined"),
}
#: ReceiveMessage and SendMessageBatch take so many.
MESSAGES = 10
#: For how long a dead letter is ours.
HIDDEN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Again:
    """A file or batch that was sent again.

    Args:
        what: A file's URI, or `batch 2025-01-17/7`.
        execution: Name of the new execution.
        attempt: How often it was sent again; 0 for a dead letter, whose first execution it is.
    """

    what: str
    execution: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of dead letters.

    Args:
        returned: Back in the queue of arrivals.
        started: Events whose execution was started.
        left: Why messages stay where they are.
    """

    returned: int = 0
    started: tuple[Again, ...] = ()
    left: tuple[str, ...] = ()


def redrive(
    target: Target,
    deployed: Deployed,
    state: str,
    files: Sequence[str] = (),
    batches: Sequence[tuple[str, int]] = (),
) -> Iterator[Again]:
    """Send what is in `state` again, and yield each as it is done.

    Args:
        target: The account.
        deployed: The pipeline.
        state: One of `STATES` of its trigger.
        files: Only these: URIs, keys, or keys below the source's prefix. Of a pipeline of batches, the
            batches that hold them.
        batches: Only these.

    Raises:
        OperationError: ASL423 when a file or batch that was named is in no such state.
    """
    dynamodb, states = target.client("dynamodb"), target.client("stepfunctions")
    now = datetime.now(UTC)
    for item in _chosen(target, deployed, state, files, batches):
        if deployed.trigger == "batches":
            sent = redrive_batch(dynamodb, states, deployed.batches, item, machine=deployed.machine, now=now)
            what = f"batch {_name(item)[0]}/{_name(item)[1]}"
        else:
            sent = redrive_file(
                dynamodb, states, deployed.table, item, machine=deployed.machine, now=now,
                trigger="queue" if deployed.trigger == "queue" else "event",
            )  # fmt: skip
            what = f"s3://{item['bucket']['S']}/{item['key']['S']}"
        if sent is not None:  # else somebody else was quicker
            yield Again(what, sent.execution_arn.rpartition(":")[2], sent.attempt)


def _chosen(
    target: Target,
    deployed: Deployed,
    state: str,
    files: Sequence[str],
    batches: Sequence[tuple[str, int]],
) -> list[dict[str, Any]]:
    """Return the items to send again, in DynamoDB's form, and refuse names that fit none of them."""
    items = list(_in_state(target, deployed, state))
    if not files and not batches:
        return items
    chosen: dict[int, dict[str, Any]] = {}
    for name in files:
        wanted = _keys(deployed, name)
        found = [n for n, item in enumerate(items) if wanted & _held(target, deployed, item, state)]
        if not found:
            raise _absent(deployed, state, f"file {name!r}")
        chosen |= {n: items[n] for n in found}
    for date, number in batches:
        found = [n for n, item in enumerate(items) if _name(item) == (date, number)]
        if not found:
            raise _absent(deployed, state, f"batch {date}/{number}")
        chosen |= {n: items[n] for n in found}
    return [chosen[n] for n in sorted(chosen)]


def _absent(deployed: Deployed, state: str, what: str) -> OperationError:
    return OperationError(
        "ASL423",
        f"{deployed.pipeline} has no {what} that is {state}",
        f"See: asl status {deployed.pipeline} --state {state}",
    )


def _in_state(target: Target, deployed: Deployed, state: str) -> Iterator[dict[str, Any]]:
    """Yield the items of a state: failed ones by the index `live`, others by reading the table."""
    if state == "failed":
        yield from _failed(target, deployed)
        return
    for item in tracking.everything(target, deployed):
        if state == "quarantined":
            if item["status"]["S"] == "completed" and int(item.get("files_rejected", {"N": "0"})["N"]):
                yield item
        elif item["status"]["S"] == state:
            yield item


def _failed(target: Target, deployed: Deployed) -> Iterator[dict[str, Any]]:
    table = deployed.batches or deployed.table
    keys = {"event": ("file_id",), "queue": ("file_id", "version"), "batches": ("date", "batch")}
    pages = (
        target.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=table,
            IndexName="live",
            KeyConditionExpression="#live = :failed",
            ExpressionAttributeNames={"#live": "live"},
            ExpressionAttributeValues={":failed": {"S": "failed"}},
        )
    )
    for page in pages:
        asked = [{name: item[name] for name in keys[deployed.trigger]} for item in page["Items"]]
        for item in tracking.raw_items(target, table, asked):
            # The index may lag behind; and all pipelines of a bucket share workflow_status.
            ours = deployed.trigger != "queue" or item.get("pipeline") == {"S": deployed.pipeline}
            if ours and item["status"]["S"] == "failed":
                yield item


def _keys(deployed: Deployed, name: str) -> set[str]:
    """Return the keys that a user may mean."""
    key = name.removeprefix(f"s3://{deployed.bucket}/")
    return {key, deployed.prefix + key}


def _held(target: Target, deployed: Deployed, item: Mapping[str, Any], state: str) -> set[str]:
    """Return the keys that an item stands for: of a completed batch, those of its rejected files."""
    if deployed.trigger != "batches":
        return {item["key"]["S"]}
    plain = tracking.plain(item)
    files = batch_runs.identities(deployed.bucket, plain) or batch_runs.manifest_files(target, plain)
    rejected = batch_runs.rejections(target, plain) if state == "quarantined" else None
    return {file.key for file in files if rejected is None or file.digest in rejected}


def _name(item: Mapping[str, Any]) -> tuple[str, int]:
    return (item["date"]["S"], int(item["batch"]["N"])) if "batch" in item else ("", 0)


def dead_letters(target: Target, deployed: Deployed) -> Moved:
    """Put every dead letter back: into the queue of arrivals, or, where EventBridge brought it, start its execution.

    A message is deleted only after it was handed on, so a crash hands it on twice, which changes nothing.
    """
    moved = Moved()
    held: dict[str, str] = {}
    while received := _receive(target, deployed):
        if all(message["MessageId"] in held for message in received):
            break  # only those come that stay
        fresh = [message for message in received if message["MessageId"] not in held]
        done, kept = (_return if deployed.queue else _start)(target, deployed, fresh)
        held |= kept
        gone = [message for message in fresh if message["MessageId"] not in kept]
        _delete(target, deployed, gone)
        moved = Moved(moved.returned + done.returned, (*moved.started, *done.started), tuple(held.values()))
    return moved


def _receive(target: Target, deployed: Deployed) -> list[dict[str, Any]]:
    answer = target.client("sqs").receive_message(
        QueueUrl=deployed.dead_letters,
        MaxNumberOfMessages=MESSAGES,
        VisibilityTimeout=HIDDEN_SECONDS,
        WaitTimeSeconds=1,
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def _return(
    target: Target, deployed: Deployed, messages: Sequence[Mapping[str, Any]]
) -> tuple[Moved, dict[str, str]]:
    entries = [{"Id": str(n), "MessageBody": message["Body"]} for n, message in enumerate(messages)]
    answer = target.client("sqs").send_message_batch(QueueUrl=deployed.queue, Entries=entries)
    failed = {
        messages[int(entry["Id"])]["MessageId"]: f"{entry['Code']}: {entry.get('Message', '')}"
        for entry in answer.get("Failed", ())
    }
    return Moved(returned=len(messages) - len(failed)), failed


def _start(
    target: Target, deployed: Deployed, messages: Sequence[Mapping[str, Any]]
) -> tuple[Moved, dict[str, str]]:
    """Start the executions of events; what is no event of S3 or of a completed run stays where it is."""
    states = target.client("stepfunctions")
    started: list[Again] = []
    kept: dict[str, str] = {}
    for message in messages:
        if (again := _start_after(states, deployed, message["Body"])) is not None:
            started.append(again)
            continue
        try:
            arrivals, _ = parse(message["Body"])
        except BadNotificationError as error:
            kept[message["MessageId"]] = str(error)
            continue
        for arrival in arrivals:
            name = executions.file_execution_name(arrival)
            event = json.loads(message["Body"])
            executions.start(states, deployed.machine, name, executions.as_json(event))
            started.append(Again(arrival.identity.uri, name, 0))
    return Moved(started=tuple(started)), kept


def _start_after(states: Any, deployed: Deployed, body: str) -> Again | None:
    """Start the execution that follows a completed run; None for another event."""
    try:
        event = json.loads(body)
        known = event["detail-type"] == "Ingestion Completed"
        run = f"{event['detail']['pipeline']}/{event['detail']['job_id']}"
    except (ValueError, KeyError, TypeError):
        return None
    if not known:
        return None
    name = f"completed-{sha256(run.encode()).hexdigest()[:32]}"
    executions.start(states, deployed.machine, name, executions.as_json(event))
    return Again(run, name, 0)


def _delete(target: Target, deployed: Deployed, messages: Sequence[Mapping[str, Any]]) -> None:
    entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
    if entries:
        target.client("sqs").delete_message_batch(QueueUrl=deployed.dead_letters, Entries=entries)
