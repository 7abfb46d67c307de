"""The sweeper: what is not finished, and should be -> sealed, started again, or failed and told of.

In: the index `live` of one table, and how executions stand. Out: repaired items, and how many. What a
crash anywhere in the front door leaves behind, and no redelivery mends, is mended here. Decisions are
pure (`decide`); the steps are conditional on what was read, and repeat without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from aws_runtime.identity import parse_event_time
from aws_runtime.ingress import executions
from aws_runtime.ingress.aws import (
    Change,
    Clients,
    Item,
    code,
    moment,
    number,
    number_of,
    read_items,
    string_of,
    text,
    update,
)
from aws_runtime.ingress.batches import Batch
from aws_runtime.ingress.executions import Ending
from aws_runtime.ingress.launch import launch
from aws_runtime.ingress.redrive import arrival_of, file_key
from aws_runtime.ingress.settings import SweeperSettings

#: A `manifested` batch is left so long to the builder that sealed it.
LAUNCH_AFTER = timedelta(minutes=2)
#: An execution is left so long to its own state machine.
ASK_AFTER = timedelta(minutes=5)
#: Executions asked about in one run, the longest first; each call is one of 15 a second.
#: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_ASKED = 300
#: Items read in one run.
MOST_READ = 5000
MESSAGE_CHARACTERS = 2000

Step = Literal["wait", "seal", "launch", "ask"]


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the sweeper."""

    clients: Clients
    settings: SweeperSettings
    now: datetime


@dataclass
class Swept:
    """What one run did.

    Args:
        read: How many unfinished items it looked at.
        steps: How many times it did what.
        failed: What it could not do, by item.
    """

    read: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)

    def count(self, step: str) -> None:
        """Count one step."""
        self.steps[step] = self.steps.get(step, 0) + 1


def sweep(
    clients: Clients, settings: SweeperSettings, now: datetime, more_time: Callable[[], bool] = lambda: True
) -> Swept:
    """Look at everything unfinished once, the oldest first.

    Args:
        clients: AWS.
        settings: The pipeline's.
        now: The time.
        more_time: Asked before each item; the rest is left to the next run.

    Raises:
        ClientError: The table cannot be read.
    """
    done = Swept()
    asked = 0
    for item in _unfinished(clients, settings, now):
        if not more_time():
            break
        done.read += 1
        step = decide(item, settings, now)
        asked += step == "ask"
        if asked > MOST_ASKED:
            break
        try:
            if outcome := _do(_Run(clients, settings, now), item, step):
                done.count(outcome)
        except Exception as error:  # noqa: BLE001 - one item that cannot be mended holds up no other
            done.failed[_name(item)] = error
    return done


def decide(item: Mapping[str, Any], settings: SweeperSettings, now: datetime) -> Step:
    """Return what an unfinished item needs."""
    status = item["status"]["S"]

    def older(attribute: str, than: timedelta) -> bool:
        since = string_of(item, attribute) or item["live_since"]["S"]
        return parse_event_time(since) <= now - than

    if settings.batches is not None:
        if status == "open":
            return "seal" if older("opened_at", settings.batches.bounds.wait) else "wait"
        if status == "manifested":
            # One that was sent again counts from then.
            since = "live_since" if "attempt" in item else "sealed_at"
            return "launch" if older(since, LAUNCH_AFTER) else "wait"
        return "ask" if status == "processing" and older("started_at", ASK_AFTER) else "wait"
    owner = string_of(item, "pipeline")
    if settings.trigger == "queue" and owner not in (None, settings.pipeline):
        return "wait"
    return "ask" if status == "started" and older("live_since", ASK_AFTER) else "wait"


def _unfinished(clients: Clients, settings: SweeperSettings, now: datetime) -> Iterator[Item]:
    """Yield the items that the index calls open, as the table has them now, the oldest first.

    The index holds keys alone, and may lag behind; what counts is read from the table.
    """
    youngest = ASK_AFTER
    keys: tuple[str, ...] = ("file_id",)
    if settings.batches is not None:
        youngest, keys = min(LAUNCH_AFTER, settings.batches.bounds.wait), ("date", "batch")
    elif settings.trigger == "queue":
        keys = ("file_id", "version")
    pages = clients.dynamodb.get_paginator("query").paginate(
        TableName=settings.status_table,
        IndexName="live",
        KeyConditionExpression="#live = :open AND #since <= :since",
        ExpressionAttributeNames={"#live": "live", "#since": "live_since"},
        ExpressionAttributeValues={":open": text("open"), ":since": text(moment(now - youngest))},
        PaginationConfig={"MaxItems": MOST_READ, "PageSize": 1000},
    )
    for page in pages:
        given = [{name: item[name] for name in keys} for item in page["Items"]]
        found = read_items(clients.dynamodb, settings.status_table, given)
        still = [item for item in found if string_of(item, "live") == "open"]
        yield from sorted(still, key=lambda item: item["live_since"]["S"])


def _do(run: _Run, item: Item, step: Step) -> str | None:
    if step == "wait":
        return None
    if run.settings.batches is None:
        return _ask_file(run, item)
    if step == "ask":
        batch = Batch.from_item(item)
        arn = batch.execution_arn or _batch_arn(run, batch)
        return _fail_ended(run, item, arn)
    return _seal(run, item) if step == "seal" else _launch(run, item)


def _seal(run: _Run, item: Item) -> str | None:
    batch = Batch.from_item(item)
    change = Change(
        sets={"status": text("manifested"), "sealed_at": text(moment(run.now))},
        equal={"status": text("open"), "file_count": number(batch.count)},
    )
    sealed = update(run.clients.dynamodb, run.settings.status_table, batch.key, change)
    if sealed is None or run.settings.batches is None:
        return None  # it grew, or is sealed: the builder goes on, or the next run does
    launch(run.clients, run.settings.batches, Batch.from_item(sealed))
    return "sealed"


def _launch(run: _Run, item: Item) -> str | None:
    batch = Batch.from_item(item)
    if run.settings.batches is None:
        return None
    started = launch(run.clients, run.settings.batches, batch, again=True)
    if started.since is not None and started.since > run.now - ASK_AFTER:
        return "launched"
    # It had started before, and its machine has not taken the batch up: has it died?
    return _fail_ended(run, item, started.arn)


def _batch_arn(run: _Run, batch: Batch) -> str:
    name = executions.batch_execution_name(batch.date, batch.number, batch.attempt)
    return executions.execution_arn(run.settings.state_machine, name)


def _ask_file(run: _Run, item: Item) -> str | None:
    arn, attempt = item["execution_arn"]["S"], number_of(item, "attempt")
    try:
        told = executions.ending(run.clients.states, arn)
    except ClientError as error:
        if code(error) != "AccessDeniedException" or executions.machine_of(arn) == run.settings.state_machine:
            raise
        return "foreign"  # a machine that was routed to by hand, which this function may not ask about
    if told.status == "UNKNOWN" and attempt:
        # A redrive that died before its second step.
        arrival = arrival_of(item)
        name = executions.file_execution_name(arrival, attempt)
        given = executions.input_of(item, arrival)
        executions.start(run.clients.states, executions.machine_of(arn), name, given)
        return "launched"
    if told.status == "SUCCEEDED" and run.settings.trigger == "queue":
        # A machine of somebody else's, which does not write the table.
        ended = {"status": text("done"), "finish_time": text(moment(told.at or run.now))}
        return "done" if _end(run, item, ended, removes=("live", "live_since")) else None
    return _failed(run, item, told, arn)


def _fail_ended(run: _Run, item: Item, arn: str) -> str | None:
    return _failed(run, item, executions.ending(run.clients.states, arn), arn)


def _failed(run: _Run, item: Item, told: Ending, arn: str) -> str | None:
    """Tell the topic, and then fail the item, unless its execution goes on.

    In this order a crash between the two tells twice, and never not at all.
    """
    if told.status not in executions.ENDED and told.status != "UNKNOWN":
        return None
    reason = _reason(told)
    _tell(run, item, reason, arn)
    finished = "finish_time" if run.settings.trigger == "queue" else "finished_at"
    ended = {
        "status": text("failed"),
        finished: text(moment(told.at or run.now)),
        "reason": {"M": {name: text(value) for name, value in reason.items()}},
        "live": text("failed"),
        "live_since": text(moment(run.now)),
        "execution_arn": text(arn),
    }
    return "failed" if _end(run, item, ended) else None


def _reason(told: Ending) -> dict[str, str]:
    words = {
        "FAILED": ("ExecutionFailed", "the execution failed"),
        "TIMED_OUT": ("ExecutionTimedOut", "the execution ran out of time"),
        "ABORTED": ("ExecutionAborted", "the execution was stopped"),
        "SUCCEEDED": ("ExecutionUntracked", "the execution ended without saying what became of it"),
        "UNKNOWN": ("ExecutionUnknown", "there is no such execution (any more)"),
    }
    name, sentence = words[told.status]
    return {"code": told.error or name, "message": (told.cause or sentence)[:MESSAGE_CHARACTERS]}


def _end(
    run: _Run,
    item: Item,
    ended: Mapping[str, Item],
    removes: tuple[str, ...] = (),
) -> bool:
    seen = {name: item.get(name) for name in ("status", "attempt", "execution_arn")}
    names: tuple[Literal["event", "queue"], ...] = ("event", "queue")
    trigger = names[run.settings.trigger == "queue"]
    key = Batch.from_item(item).key if run.settings.batches else file_key(item, trigger)
    change = Change(sets=ended, removes=removes, equal=seen)
    return update(run.clients.dynamodb, run.settings.status_table, key, change) is not None


def _tell(run: _Run, item: Item, reason: Mapping[str, str], arn: str) -> None:
    what = {"batch": item["manifest"]["S"]} if run.settings.batches else {"file": f"s3://{_name(item)}"}
    message = {"pipeline": run.settings.pipeline, "status": "failed", **reason, **what, "execution": arn}
    kind = "batch" if run.settings.batches else "file"
    run.clients.sns.publish(
        TopicArn=run.settings.topic,
        Subject=f"{run.settings.pipeline}: {kind} failed"[:99],
        Message=executions.as_json(message),
    )


def _name(item: Mapping[str, Any]) -> str:
    if "batch" in item and "date" in item:
        return f"{item['date']['S']}/{item['batch']['N']}"
    return f"{string_of(item, 'bucket')}/{string_of(item, 'key')}"
