"""The tables of files and batches -> plain items: looked up by key, or read whole for a listing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from asl.deploy.locate import Deployed
from asl.deploy.target import Target
from aws_runtime.identity import FileIdentity

Item = dict[str, Any]
#: BatchGetItem takes so many keys.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
BATCH = 100
_plain = TypeDeserializer().deserialize


def plain(item: Mapping[str, Any]) -> Item:
    """Return DynamoDB's typed values as plain ones."""
    return {name: _plain(value) for name, value in item.items()}


def file_key(deployed: Deployed, file: FileIdentity) -> dict[str, Any]:
    """Return the key of a file's item: the bucket's `workflow_status` has one of its own."""
    if deployed.trigger == "queue":
        return {"file_id": {"S": file.key}, "version": {"S": file.version}}
    return {"file_id": {"S": file.file_id}}


def files(target: Target, deployed: Deployed, asked: Sequence[FileIdentity]) -> dict[str, Item]:
    """Return the items of files that have one, by `FileIdentity.file_id`."""
    ids = {_text(file_key(deployed, file)): file.file_id for file in asked}
    found = raw_items(target, deployed.table, [file_key(deployed, file) for file in asked])
    names = ("file_id", "version") if deployed.trigger == "queue" else ("file_id",)
    return {ids[_text({name: item[name] for name in names})]: plain(item) for item in found}


def raw_items(target: Target, table: str, keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the items of distinct keys that exist, in DynamoDB's own form."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(keys), BATCH):
        asked: Any = {table: {"Keys": list(keys[start : start + BATCH])}}
        while asked:
            page = target.client("dynamodb").batch_get_item(RequestItems=asked)
            found += page["Responses"].get(table, [])
            asked = page.get("UnprocessedKeys")
    return found


def everything(target: Target, deployed: Deployed) -> Iterator[dict[str, Any]]:
    """Yield every item of the pipeline's table of runs (of batches, where there are), as DynamoDB has it.

    A scan: for a person who asks, never on the way of a file.
    """
    arguments: dict[str, Any] = {"TableName": deployed.batches or deployed.table}
    if deployed.trigger == "queue":  # the table is the bucket's
        arguments |= {
            "FilterExpression": "pipeline = :pipeline",
            "ExpressionAttributeValues": {":pipeline": {"S": deployed.pipeline}},
        }
    for page in target.client("dynamodb").get_paginator("scan").paginate(**arguments):
        yield from page["Items"]


def reason(item: Mapping[str, Any]) -> str | None:
    """Return why a file was rejected or failed, as one line."""
    given = item.get("reason") or item.get("error")
    if isinstance(given, Mapping):
        parts = [plainly(str(given[name])) for name in ("code", "message") if given.get(name)]
    else:
        parts = [plainly(str(given))] if given else []
    # Who asks names the file already.
    own = f" ({_uri(item)})"
    return ": ".join(parts).removesuffix(own) or None


def _uri(item: Mapping[str, Any]) -> str:
    if "bucket" in item and "key" in item:
        return f"s3://{item['bucket']}/{item['key']}"
    return f"s3://{str(item.get('file_id', '')).rpartition('#')[0]}"


def plainly(cause: str) -> str:
    """Return the message of what Lambda (errorMessage) and Glue (ErrorMessage) give as an error's cause."""
    try:
        given = json.loads(cause)
    except ValueError:
        return cause
    said = (given.get("errorMessage") or given.get("ErrorMessage")) if isinstance(given, dict) else None
    return str(said) if said else cause


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)
