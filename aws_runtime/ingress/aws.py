"""The AWS calls of the front door: clients made once, DynamoDB's batches with their leftovers.

In: items as DynamoDB's own typed values (`{"S": "…"}`). Out: the same. A condition that fails is an
answer, `False` or None, and never an error.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

T = TypeVar("T")
Item = dict[str, Any]

#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
READ_TOGETHER = 100
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
WRITE_TOGETHER = 25
#: What DynamoDB leaves of a batch is sent again so often, after 50 ms to 6.4 s with jitter.
LEFTOVER_ATTEMPTS = 8


@dataclass(frozen=True)
class Clients:
    """What the front door calls; each a low-level boto3 client."""

    dynamodb: Any
    states: Any
    s3: Any = None
    sns: Any = None


@cache
def client(service: str) -> Any:
    """Return the process's client of a service; its region and endpoint are the environment's."""
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=30)
    return boto3.client(service, config=config)


def clients(*, alerts: bool = False) -> Clients:
    """Return the process's clients.

    Args:
        alerts: Whether it publishes to SNS, too.
    """
    return Clients(
        client("dynamodb"), client("stepfunctions"), client("s3"), client("sns") if alerts else None
    )


def code(error: ClientError) -> str:
    """Return the name of an AWS error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def text(value: str) -> Item:
    """Return DynamoDB's string."""
    return {"S": value}


def number(value: int) -> Item:
    """Return DynamoDB's number."""
    return {"N": str(value)}


def string_of(item: Mapping[str, Any], name: str) -> str | None:
    """Return a string attribute, or None without it."""
    return item[name]["S"] if name in item else None


def number_of(item: Mapping[str, Any], name: str) -> int:
    """Return a number attribute, or 0 without it."""
    return int(item[name]["N"]) if name in item else 0


def moment(time: datetime) -> str:
    """Return a time as Step Functions writes it, whose order as text is its order: `2025-01-17T10:15:02.123Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `items` in runs of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def put_new(dynamodb: Any, table: str, item: Item, key: str) -> bool:
    """Put an item that is not there yet (`key` is an attribute of its key); tell whether that was so."""
    try:
        dynamodb.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": key},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


@dataclass(frozen=True)
class Change:
    """A conditional update, attributes named plainly; `files.<digest>` is one entry of a map.

    Args:
        sets: New values.
        adds: Amounts to add to numbers.
        removes: What goes.
        equal: Must have this value; None: must be absent.
        below: Must be a number less than this.
    """

    sets: Mapping[str, Item] = field(default_factory=dict)
    adds: Mapping[str, int] = field(default_factory=dict)
    removes: Sequence[str] = ()
    equal: Mapping[str, Item | None] = field(default_factory=dict)
    below: Mapping[str, int] = field(default_factory=dict)


def update(dynamodb: Any, table: str, key: Item, change: Change) -> Item | None:
    """Change an item and return all of it, or None when a condition fails.

    An item that is absent fails any condition but those of absence.
    """
    names: dict[str, str] = {}
    values: dict[str, Item] = {}

    def path(attribute: str) -> str:
        # Every name has a placeholder, so that none is ever one of DynamoDB's reserved words.
        return ".".join(names.setdefault(part, f"#n{len(names)}") for part in attribute.split("."))

    def value(given: Item) -> str:
        values[f":v{len(values)}"] = given
        return f":v{len(values) - 1}"

    parts = [
        ("SET", [f"{path(name)} = {value(given)}" for name, given in change.sets.items()]),
        ("ADD", [f"{path(name)} {value(number(given))}" for name, given in change.adds.items()]),
        ("REMOVE", [path(name) for name in change.removes]),
    ]
    conditions = [
        f"attribute_not_exists({path(name)})" if given is None else f"{path(name)} = {value(given)}"
        for name, given in change.equal.items()
    ]
    conditions += [f"{path(name)} < {value(number(most))}" for name, most in change.below.items()]
    arguments: dict[str, Any] = {"ConditionExpression": " AND ".join(conditions)} if conditions else {}
    if values:
        arguments["ExpressionAttributeValues"] = values
    try:
        answer = dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression=" ".join(f"{verb} {', '.join(given)}" for verb, given in parts if given),
            ExpressionAttributeNames={placeholder: name for name, placeholder in names.items()},
            ReturnValues="ALL_NEW",
            **arguments,
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return None
    changed: Item = answer["Attributes"]
    return changed


def read_items(
    dynamodb: Any, table: str, keys: Iterable[Item], *, only: Sequence[str] = (), consistent: bool = True
) -> list[Item]:
    """Return the items of `keys` that exist, in any order; keys are distinct.

    Args:
        dynamodb: The client.
        table: The table.
        keys: Distinct keys, any number.
        only: The attributes that are wanted; empty for all.
        consistent: Whether to see every write that was answered before.

    Raises:
        TimeoutError: DynamoDB left keys unread, time after time.
    """
    found: list[Item] = []
    names = {f"#n{place}": name for place, name in enumerate(only)}
    wanted = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names} if only else {}
    for some in chunks(list(keys), READ_TOGETHER):
        asked: dict[str, Any] = {table: {"Keys": list(some), "ConsistentRead": consistent, **wanted}}
        for _ in _attempts(f"reading {table}"):
            answer = dynamodb.batch_get_item(RequestItems=asked)
            found += answer.get("Responses", {}).get(table, [])
            asked = answer.get("UnprocessedKeys") or {}
            if not asked:
                break
    return found


def write_items(dynamodb: Any, table: str, items: Sequence[Item]) -> None:
    """Put items, whether or not they exist.

    Raises:
        TimeoutError: DynamoDB left items unwritten, time after time.
    """
    for some in chunks(items, WRITE_TOGETHER):
        asked: dict[str, Any] = {table: [{"PutRequest": {"Item": item}} for item in some]}
        for _ in _attempts(f"writing {table}"):
            asked = dynamodb.batch_write_item(RequestItems=asked).get("UnprocessedItems") or {}
            if not asked:
                break


def _attempts(what: str) -> Iterator[int]:
    """Yield attempts with longer and longer pauses: DynamoDB says what it could not do by leaving it.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    """
    for attempt in range(LEFTOVER_ATTEMPTS):
        if attempt:
            pause(0.05 * 2 ** (attempt - 1))
        yield attempt
    raise TimeoutError(f"{what}: DynamoDB left a part undone {LEFTOVER_ATTEMPTS} times")


def pause(seconds: float) -> None:
    """Wait for up to `seconds`, at random, so that those who collided do not meet again."""
    time.sleep(random.uniform(0, seconds))  # noqa: S311 - no secret
