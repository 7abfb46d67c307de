"""Failed files and batches sent again, for `asl redrive`: one conditional step, then StartExecution.

In: an item of a tracking table or of the batches table, as DynamoDB's client returns it. Out: the new
execution, or None when the item is not failed any more. A crash between the two steps leaves an item
that claims to run without an execution of its name; the sweeper starts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from aws_runtime.ingress import executions
from aws_runtime.ingress.aws import Change, moment, number, number_of, string_of, text, update
from aws_runtime.ingress.batches import Batch
from aws_runtime.ingress.launch import start_batch
from aws_runtime.ingress.notifications import Arrival

#: States that a redrive starts from. A rejected file is worth it after its contract was mended.
REDRIVABLE = frozenset({"failed", "rejected"})


@dataclass(frozen=True, slots=True)
class Redriven:
    """A file or batch that was sent again.

    Args:
        execution_arn: Of the new execution.
        attempt: How often it was sent again, from 1.
    """

    execution_arn: str
    attempt: int


def arrival_of(item: Mapping[str, Any]) -> Arrival:
    """Rebuild a file's arrival from its tracking item.

    Raises:
        KeyError: The item lacks an attribute that docs/ingress.md names.
    """
    version, etag = item["version"]["S"], string_of(item, "etag") or ""
    return Arrival(
        bucket=item["bucket"]["S"],
        key=item["key"]["S"],
        event_time=item["event_time"]["S"],
        size=number_of(item, "size"),
        etag=etag,
        # In a bucket without versions, the ETag stands for the version.
        version_id=None if version == etag else version,
        sequencer=string_of(item, "sequencer") or "",
    )


def file_key(item: Mapping[str, Any], trigger: Literal["event", "queue"]) -> dict[str, Any]:
    """Return the key of a file's item: `file_id`, and in `workflow_status` the version, too."""
    names = ("file_id", "version") if trigger == "queue" else ("file_id",)
    return {name: item[name] for name in names}


def redrive_file(
    dynamodb: Any,
    states: Any,
    table: str,
    item: Mapping[str, Any],
    *,
    trigger: Literal["event", "queue"],
    machine: str,
    now: datetime,
) -> Redriven | None:
    """Send a failed or rejected file again.

    Args:
        dynamodb: A client.
        states: A client of Step Functions.
        table: The tracking table of an `S3Event` pipeline, or `workflow_status`.
        item: The whole item, as the client returns it.
        trigger: Which of the two it is.
        machine: ARN of the state machine; its newest definition runs.
        now: The time.

    Returns:
        The new execution; None when the item is not failed (any more): somebody else was quicker.

    Raises:
        KeyError: The item lacks an attribute that the input is made of.
        ClientError: AWS refuses. After the first step, the sweeper starts the execution.
    """
    status, attempt = string_of(item, "status"), number_of(item, "attempt")
    if status not in REDRIVABLE:
        return None
    arrival = arrival_of(item)
    name = executions.file_execution_name(arrival, attempt + 1)
    given = executions.input_of(item, arrival)
    finished = "finish_time" if trigger == "queue" else "finished_at"
    change = Change(
        sets={
            "status": text("started"),
            "attempt": number(attempt + 1),
            "execution_arn": text(executions.execution_arn(machine, name)),
            "live": text("open"),
            "live_since": text(moment(now)),
            # For the sweeper, should nothing be started: the item names another execution from here on.
            **({"input": text(given)} if "input" in item else {}),
        },
        removes=("reason", finished),
        equal={"status": text(status), "attempt": number(attempt) if attempt else None},
    )
    if update(dynamodb, table, file_key(item, trigger), change) is None:
        return None
    started = executions.start(states, machine, name, given)
    return Redriven(started.arn, attempt + 1)


def redrive_batch(
    dynamodb: Any, states: Any, table: str, item: Mapping[str, Any], *, machine: str, now: datetime
) -> Redriven | None:
    """Send a batch again that failed, or that was completed without some files, which were rejected.

    Arguments, result and errors as `redrive_file`, `table` the batches table. Files that were well the
    first time give the same rows again, under the same names.
    """
    batch = Batch.from_item(item)
    if batch.status != "failed" and not (batch.status == "completed" and number_of(item, "files_rejected")):
        return None
    change = Change(
        sets={
            "status": text("manifested"),
            "attempt": number(batch.attempt + 1),
            "live": text("open"),
            "live_since": text(moment(now)),
        },
        removes=("reason", "finished_at", "execution_arn"),
        equal={"status": text(batch.status), "attempt": number(batch.attempt) if batch.attempt else None},
    )
    changed = update(dynamodb, table, batch.key, change)
    if changed is None:
        return None
    started = start_batch(states, machine, Batch.from_item(changed))
    return Redriven(started.arn, batch.attempt + 1)
