"""The orchestrator: arrivals -> executions of the machines that their key prefixes lead to.

In: the distinct arrivals of one invocation, and the rows of `workflow_metadata`. Out: what became of
each. The order, start and then the status row, lets redelivery repair a crash between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_runtime.ingress import executions
from aws_runtime.ingress.aws import Clients, Item, moment, number, put_new, read_items, string_of, text
from aws_runtime.ingress.batches import expiry
from aws_runtime.ingress.notifications import Arrival, matches
from aws_runtime.ingress.settings import OrchestratorSettings

#: The row of every key; a key of DynamoDB cannot be empty.
EVERY_KEY = "*"


class UnroutedError(Exception):
    """No row of `workflow_metadata` has a prefix of the key."""


@dataclass(frozen=True, slots=True)
class Route:
    """A row of `workflow_metadata`.

    Args:
        prefix: Key prefix, ending in `/`, or `*` for every key.
        machine: ARN of the state machine; empty for files that nothing is to be started for.
        pipeline: Of a declared one; None in rows that were added by hand.
        suffixes: Only keys that end so; empty for any.
    """

    prefix: str
    machine: str
    pipeline: str | None = None
    suffixes: tuple[str, ...] = ()

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Route:
        """Read a row; a list or a set of suffixes, as people write them."""
        given = item.get("suffixes", {})
        listed = [value["S"] for value in given.get("L", ())] + list(given.get("SS", ()))
        return cls(
            item["prefix"]["S"],
            string_of(item, "step_function") or "",
            string_of(item, "pipeline"),
            tuple(listed),
        )


@dataclass(frozen=True, slots=True)
class Orchestrated:
    """What became of an invocation's files.

    Args:
        started: How many executions started or had been started before.
        ignored: By `file_id`, why nothing is started for a file.
        failed: By `file_id`, why a file's message comes back.
    """

    started: int = 0
    ignored: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, Exception] = field(default_factory=dict)


def prefixes(key: str) -> list[str]:
    """Return every prefix that may lead a key, the longest first."""
    ends = [place + 1 for place, character in enumerate(key) if character == "/"]
    return [key[:end] for end in reversed(ends)] + [EVERY_KEY]


def read_routes(dynamodb: Any, table: str, keys: Iterable[str]) -> dict[str, Route]:
    """Return the rows of all prefixes of all keys, by prefix: one call for up to a hundred prefixes."""
    wanted = {prefix: None for key in keys for prefix in prefixes(key)}
    rows = read_items(dynamodb, table, [{"prefix": text(prefix)} for prefix in wanted])
    return {route.prefix: route for route in map(Route.from_item, rows)}


def route_of(key: str, routes: Mapping[str, Route]) -> Route:
    """Return the row with the longest prefix of a key.

    Raises:
        UnroutedError: There is none.
    """
    for prefix in prefixes(key):
        if prefix in routes:
            return routes[prefix]
    raise UnroutedError(f"workflow_metadata has no prefix of {key}")


def orchestrate(
    clients: Clients, settings: OrchestratorSettings, arrivals: Sequence[Arrival], now: datetime
) -> Orchestrated:
    """Start the machine of every file, and write its status row.

    A file whose machine cannot be started holds up no other.

    Args:
        clients: AWS.
        settings: The bucket's.
        arrivals: Distinct.
        now: The time.

    Raises:
        ClientError: `workflow_metadata` cannot be read.
    """
    routes = read_routes(clients.dynamodb, settings.metadata_table, [arrival.key for arrival in arrivals])
    started = 0
    ignored: dict[str, str] = {}
    failed: dict[str, Exception] = {}
    for arrival in arrivals:
        file_id = arrival.identity.file_id
        try:
            route = route_of(arrival.key, routes)
            if reason := _unwanted(arrival, route):
                ignored[file_id] = reason
                continue
            _start(clients, settings, arrival, route, now)
            started += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, this message comes back
            failed[file_id] = error
    return Orchestrated(started, ignored, failed)


def _unwanted(arrival: Arrival, route: Route) -> str | None:
    if not route.machine:
        return f"the row of {route.prefix} names no state machine"
    if not matches(arrival.key, route.suffixes):
        return f"the row of {route.prefix} wants {', '.join(route.suffixes)}"
    return None


def _start(
    clients: Clients, settings: OrchestratorSettings, arrival: Arrival, route: Route, now: datetime
) -> None:
    name = executions.file_execution_name(arrival)
    given = executions.file_input(arrival, route.pipeline)
    execution = executions.start(clients.states, route.machine, name, given)
    # A machine that was quicker has written its own row, and a repeated event finds the first one's.
    put_new(
        clients.dynamodb,
        settings.status_table,
        status_row(arrival, route, execution, settings.retention_days, now),
        "file_id",
    )


def status_row(
    arrival: Arrival, route: Route, execution: executions.Started, retention_days: int, now: datetime
) -> Item:
    """Return the row of a file whose execution has started."""
    since = text(moment(execution.since or now))
    item = {
        "file_id": text(arrival.key),
        "version": text(arrival.identity.version),
        "status": text("started"),
        "start_time": since,
        "bucket": text(arrival.bucket),
        "key": text(arrival.key),
        "etag": text(arrival.etag),
        "size": number(arrival.size),
        "event_time": text(arrival.event_time),
        "sequencer": text(arrival.sequencer),
        "execution_arn": text(execution.arn),
        "live": text("open"),
        "live_since": since,
        "expires_at": expiry(now, retention_days),
    }
    return item | ({"pipeline": text(route.pipeline)} if route.pipeline else {})
