"""What brings events and alerts: queues, rules, schedules, topics. In: nothing. Out: dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Queue:
    """An SQS queue of a bucket's events.

    Args:
        id: Logical id.
        dead_letters: Logical id of the queue of messages that could not be handled.
        bucket: Physical name of the bucket that may write to it, a template.
        visibility_seconds: How long a message that is being handled is hidden.
        pipeline: For the tags.
    """

    id: str
    dead_letters: str
    bucket: str
    visibility_seconds: int
    pipeline: str


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """An SQS queue of events that could not start an execution.

    Args:
        id: Logical id.
        pipeline: For the tags.
        rule: Logical id of the rule that may write to it; empty where SQS itself does.
    """

    id: str
    pipeline: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class QueueConsumer:
    """What feeds a queue's messages to a function, ten at a time; the function answers for each.

    Args:
        id: Logical id.
        queue: Logical id.
        function: Logical id.
        concurrency: The most invocations at a time (2 to 1,000).
        window_seconds: How long messages are gathered for one invocation.
        pipeline: For the tags.
    """

    id: str
    queue: str
    function: str
    concurrency: int
    window_seconds: int
    pipeline: str


@dataclass(frozen=True, slots=True)
class EventRule:
    """An EventBridge rule that starts one execution for each event that it matches.

    Args:
        id: Logical id.
        each: What it starts an execution for, in words.
        pattern: In EventBridge's syntax, its texts templates.
        machine: Logical id of the state machine.
        role: Logical id of the role that starts it.
        dead_letters: Logical id of the queue.
        pipeline: For the description.
    """

    id: str
    each: str
    pattern: Mapping[str, Any]
    machine: str
    role: str
    dead_letters: str
    pipeline: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """An EventBridge rule that invokes a function every so many minutes.

    Args:
        id: Logical id.
        function: Logical id.
        minutes: Between two invocations.
        pipeline: For the description.
    """

    id: str
    function: str
    minutes: int
    pipeline: str


@dataclass(frozen=True, slots=True)
class AlertKey:
    """The KMS key of the alert topics, where no key is given: CloudWatch cannot use AWS's own."""

    id: str


@dataclass(frozen=True, slots=True)
class Topic:
    """The SNS topic of a pipeline's alerts.

    Args:
        id: Logical id.
        email: Address to subscribe, or None.
        pipeline: For the tags.
    """

    id: str
    email: str | None
    pipeline: str
