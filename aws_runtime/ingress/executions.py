"""Executions of state machines: their names, their inputs, and how they ended.

In: an arrival or a batch. Out: a name and an input that are the same each time, so that a repeated
`StartExecution` is the same execution and `ExecutionAlreadyExists` is success.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aws_runtime.ingress.notifications import Arrival

#: Names of executions hold at most 80 characters; a digest of 16 and `-r999` must fit.
READABLE_CHARACTERS = 58
_UNREADABLE = re.compile(r"[^A-Za-z0-9_.=+@-]+")
#: Statuses of an execution that will not go on by itself.
ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})


@dataclass(frozen=True, slots=True)
class Started:
    """An execution that runs or ran.

    Args:
        arn: Its ARN.
        since: When it started; None when it had been started, and ended, before.
    """

    arn: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution stands.

    Args:
        status: As Step Functions says, or `UNKNOWN` where there is no such execution.
        error: Name of its error; empty for none.
        cause: The error's message.
        at: When it ended.
    """

    status: str
    error: str = ""
    cause: str = ""
    at: datetime | None = None


def file_execution_name(arrival: Arrival, attempt: int = 0) -> str:
    """Return `<readable part of the key>-<digest>`, and `-r<attempt>` when it is sent again."""
    readable = (
        _UNREADABLE.sub("-", arrival.key.rpartition("/")[2])[:READABLE_CHARACTERS].strip("-.") or "file"
    )
    return f"{readable}-{arrival.identity.digest}{_again(attempt)}"


def batch_execution_name(date: str, batch: int, attempt: int = 0) -> str:
    """Return `2025-01-17-batch-0001`, and `-r<attempt>` when it is sent again."""
    return f"{date}-batch-{batch:04d}{_again(attempt)}"


def _again(attempt: int) -> str:
    return f"-r{attempt}" if attempt else ""


def file_input(arrival: Arrival, pipeline: str | None) -> str:
    """Return the input of a file's execution: EventBridge's event, whatever brought the file."""
    item: dict[str, Any] = {"key": arrival.key, "size": arrival.size, "etag": arrival.etag}
    if arrival.version_id:
        item["version-id"] = arrival.version_id
    if arrival.sequencer:
        item["sequencer"] = arrival.sequencer
    detail = {"bucket": {"name": arrival.bucket}, "object": item}
    event: dict[str, Any] = {"time": arrival.event_time, "detail": detail}
    return as_json(event | ({"pipeline": pipeline} if pipeline else {}))


def input_of(item: Mapping[str, Any], arrival: Arrival) -> str:
    """Return the input that starts the run of a tracking item once more.

    A curated pipeline's item holds its input. Its first run has taken the files away from where they
    landed, so every later one resumes it (docs/curation.md).
    """
    given = item.get("input", {}).get("S")
    if given is None:
        return file_input(arrival, item.get("pipeline", {}).get("S"))
    first = item["execution_arn"]["S"].rpartition(":")[2]
    return as_json({"resume": first, **json.loads(given)})


def as_json(value: Mapping[str, Any]) -> str:
    """Return JSON whose bytes depend on the value alone."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def execution_arn(machine: str, name: str) -> str:
    """Return the ARN of an execution of a machine."""
    return f"{machine.replace(':stateMachine:', ':execution:', 1)}:{name}"


def machine_of(arn: str) -> str:
    """Return the ARN of the machine of an execution."""
    return arn.rpartition(":")[0].replace(":execution:", ":stateMachine:", 1)


def start(states: Any, machine: str, name: str, given: str) -> Started:
    """Start an execution; one of this name that runs, or ran in the last 90 days, is the same.

    Raises:
        ClientError: The machine is missing, may not be started, or AWS does not answer.
    """
    try:
        answer = states.start_execution(stateMachineArn=machine, name=name, input=given)
    except states.exceptions.ExecutionAlreadyExists:
        return Started(execution_arn(machine, name), None)
    return Started(answer["executionArn"], answer["startDate"])


def ending(states: Any, arn: str) -> Ending:
    """Ask how an execution stands.

    Raises:
        ClientError: It may not be asked, or AWS does not answer.
    """
    try:
        told = states.describe_execution(executionArn=arn)
    except states.exceptions.ExecutionDoesNotExist:
        return Ending("UNKNOWN")
    return Ending(told["status"], told.get("error", ""), told.get("cause", ""), told.get("stopDate"))
