"""What a run's bookkeeping writes -> the arguments of DynamoDB's UpdateItem, with JSONata in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.lowering.expressions import FAILURE, NOW, expression
from ingestion_assets.pipeline import Pipeline

#: The execution's own ARN, and when it started.
ARN = "$states.context.Execution.Id"
STARTED_AT = "$states.context.Execution.StartTime"
#: Attributes of the sparse index of what is not finished; their absence is what it is sparse by.
LIVE = ("live", "live_since")

Sets = Mapping[str, tuple[str, Any]]


def update(sets: Sets, remove: tuple[str, ...] = (), once: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the update of attributes.

    Args:
        sets: The type and the value, by name.
        remove: Names.
        once: Which of `sets` keep the value that they have.
    """
    # Every name has a placeholder, so that none is ever one of DynamoDB's reserved words.
    assigned = [f"#{n} = if_not_exists(#{n}, :{n})" if n in once else f"#{n} = :{n}" for n in sets]
    expressions = "SET " + ", ".join(assigned)
    if remove:
        expressions += " REMOVE " + ", ".join(f"#{name}" for name in remove)
    return {
        "UpdateExpression": expressions,
        "ExpressionAttributeNames": {f"#{name}": name for name in (*sets, *remove)},
        "ExpressionAttributeValues": {f":{name}": {kind: value} for name, (kind, value) in sets.items()},
    }


def conditional(changed: dict[str, Any], condition: str, **values: str) -> dict[str, Any]:
    """Return an update that DynamoDB refuses unless `condition` holds; `values` are its texts."""
    texts = {f":{name}": {"S": text} for name, text in values.items()}
    return {
        **changed,
        "ExpressionAttributeValues": {**changed["ExpressionAttributeValues"], **texts},
        "ConditionExpression": condition,
    }


def text(of: str) -> tuple[str, str]:
    """Return a text attribute of a JSONata expression."""
    return "S", expression(of)


def number(of: str) -> tuple[str, str]:
    """Return a number attribute of a JSONata expression."""
    return "N", expression(f"$string({of})")


def texts(of: str) -> tuple[str, str]:
    """Return a list of texts of a JSONata expression that yields an array."""
    return "L", expression(f"[$map({of}, function($uri) {{ {{'S': $uri}} }})]")


def expiry(pipeline: Pipeline) -> tuple[str, str]:
    """Return when an item expires, in seconds of Unix time."""
    return number(f"$floor($toMillis({NOW}) / 1000) + {pipeline.tracking.retention_days * 86_400}")


def reason() -> tuple[str, dict[str, Any]]:
    """Return the failure as a map."""
    return "M", {
        "code": {"S": expression(f"{FAILURE}.code")},
        "message": {"S": expression(f"{FAILURE}.message")},
    }


def alive(state: str) -> dict[str, tuple[str, str]]:
    """Return the attributes that put an item into the index `live`."""
    return {"live": ("S", state), "live_since": text(NOW)}
