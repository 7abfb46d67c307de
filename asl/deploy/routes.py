"""`routes.json` -> rows of `workflow_metadata`: which state machine the files below a prefix start.

In: an export and its stack. Out: what changed. Rows of this stack follow the declarations; a row that
somebody added by hand is never touched, even where a declaration wants its prefix (docs/ingress.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import ClientError

from asl.deploy import stack
from asl.deploy.artifacts import MANIFEST
from asl.deploy.target import Target

#: Whose row it is: a stack's name; rows without it were added by hand.
OWNER = "managed_by"
#: Logical ids of tables of routes end so (asl/names.py).
TABLES = "WorkflowMetadata"
#: The row of a source without a prefix: a key of DynamoDB cannot be empty.
EVERY_KEY = "*"
#: What the rows may name.
NAMED = ("AWS::DynamoDB::Table", "AWS::StepFunctions::StateMachine")
Item = dict[str, Any]
Action = Literal["create", "update", "delete", "respect", "keep"]


@dataclass(frozen=True, slots=True)
class RouteChange:
    """What happens to one row.

    Args:
        action: `respect` leaves a row that was added by hand as it is, `keep` one that is right.
        table: Logical id of the table.
        prefix: Its key.
        machine: Logical id of the declared state machine, or the ARN that the row has.
        item: The row to write; empty for the other actions.
    """

    action: Action
    table: str
    prefix: str
    machine: str
    item: Mapping[str, Any]

    def to_json(self) -> dict[str, str]:
        """Return what `asl deploy --json` prints of it."""
        return {"action": self.action, "table": self.table, "prefix": self.prefix, "machine": self.machine}


def declared(build: Path) -> list[dict[str, Any]]:
    """Return the routes of an export; none before an export knew of routes."""
    manifest = json.loads((build / MANIFEST).read_text(encoding="utf-8"))
    if "routes" not in manifest:
        return []
    routes: list[dict[str, Any]] = json.loads((build / manifest["routes"]).read_text(encoding="utf-8"))
    return routes


def plan(target: Target, name: str, build: Path) -> tuple[RouteChange, ...]:
    """Return what `apply` would do, by table and prefix, with resources as the stack has them now.

    Args:
        target: Where the stack is.
        name: Of the stack; also what marks its rows.
        build: An exported folder.
    """
    physical = _resources(target, name)
    # A table whose last declared route is gone may still have rows of ours.
    wanted: dict[str, dict[str, dict[str, Any]]] = {
        logical: {} for logical in physical if logical.endswith(TABLES)
    }
    for route in declared(build):
        wanted.setdefault(route["table"], {})[route["prefix"] or EVERY_KEY] = route
    return tuple(
        change for table in sorted(wanted) for change in _table(target, name, table, wanted[table], physical)
    )


def apply(target: Target, name: str, build: Path) -> tuple[RouteChange, ...]:
    """Write the declared routes, delete those that are declared no longer, and return what was done.

    A row that somebody changes meanwhile is left to them and told as `respect`.
    """
    physical, done = _resources(target, name), []
    for change in plan(target, name, build):
        held = change.action in ("create", "update", "delete") and not _write(
            target, physical[change.table], name, change
        )
        done.append(
            RouteChange("respect", change.table, change.prefix, change.machine, {}) if held else change
        )
    return tuple(done)


def _resources(target: Target, name: str) -> dict[str, str]:
    if stack.describe(target, name) is None:
        return {}
    return {
        logical: found for logical, (kind, found) in stack.resources(target, name).items() if kind in NAMED
    }


def _table(
    target: Target,
    name: str,
    table: str,
    wanted: Mapping[str, Mapping[str, Any]],
    physical: Mapping[str, str],
) -> Iterable[RouteChange]:
    there = _rows(target, physical[table]) if table in physical else {}
    for prefix in sorted(set(wanted) | set(there)):
        row = there.get(prefix)
        ours = row is not None and row.get(OWNER) == {"S": name}
        if prefix not in wanted:
            if row is not None and ours:
                yield RouteChange("delete", table, prefix, row["step_function"]["S"], {})
            continue
        route = wanted[prefix]
        item = _item(name, route, physical)
        if row is None:
            action: Action = "create"
        elif not ours:
            action = "respect"
        else:
            action = "keep" if row == item else "update"
        machine = row["step_function"]["S"] if row is not None and action == "respect" else route["machine"]
        yield RouteChange(action, table, prefix, machine, item if action in ("create", "update") else {})


def _item(name: str, route: Mapping[str, Any], physical: Mapping[str, str]) -> Item:
    """Return a row; before its machine is deployed, the machine's logical id stands for the ARN."""
    item: Item = {
        "prefix": {"S": route["prefix"] or EVERY_KEY},
        "step_function": {"S": physical.get(route["machine"], route["machine"])},
        "pipeline": {"S": route["pipeline"]},
        OWNER: {"S": name},
    }
    if route["suffixes"]:
        item["suffixes"] = {"L": [{"S": suffix} for suffix in route["suffixes"]]}
    return item


def _rows(target: Target, table: str) -> dict[str, Item]:
    """Return every row by prefix: there are as many as routes, so reading them all is one call."""
    pages = target.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {item["prefix"]["S"]: item for page in pages for item in page["Items"]}


def _write(target: Target, table: str, name: str, change: RouteChange) -> bool:
    """Put or delete a row unless it is somebody else's by now; tell whether it was done."""
    api = target.client("dynamodb")
    ours: dict[str, Any] = {
        "TableName": table,
        "ExpressionAttributeNames": {"#owner": OWNER},
        "ExpressionAttributeValues": {":owner": {"S": name}},
    }
    try:
        if change.action == "delete":
            api.delete_item(
                Key={"prefix": {"S": change.prefix}}, ConditionExpression="#owner = :owner", **ours
            )
        else:
            ours["ExpressionAttributeNames"] |= {"#prefix": "prefix"}
            condition = "attribute_not_exists(#prefix) OR #owner = :owner"
            api.put_item(Item=dict(change.item), ConditionExpression=condition, **ours)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True
