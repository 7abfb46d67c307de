"""Delta tables in Lambda: a table's place and columns -> the table, made or evolved, by deltalake.

In: where it is, the contract of its rows, its partitions. Out: the open table, and the columns that were added.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from aws_runtime.contract import Contract
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.delta_sql import DeltaWriteError, delta_field, table_columns


@dataclass(frozen=True, slots=True)
class Place:
    """A table, as it is to be.

    Args:
        uri: `s3://bucket/prefix` or a local folder, without a slash at its end.
        contract: Columns of the rows.
        mode: How rows meet those that are there; scd2 adds columns.
        partition_by: Partition columns, outermost first.
        options: Of deltalake, for storage.
    """

    uri: str
    contract: Contract
    mode: WriteMode
    partition_by: Sequence[str]
    options: Mapping[str, str]


def opened(place: Place) -> DeltaTable:
    """Open the table, or make it; two that make it at once get the same one."""
    try:
        return DeltaTable(place.uri, storage_options=dict(place.options))
    except TableNotFoundError:
        pass
    fields = [delta_field(column) for column in table_columns(place.contract, place.mode)]
    try:
        DeltaTable.create(
            place.uri,
            Schema.from_json(json.dumps({"type": "struct", "fields": fields})),
            mode="error",
            partition_by=list(place.partition_by),
            storage_options=dict(place.options),
        )
    except DeltaError:
        # Made by another writer in between: then it opens.
        return DeltaTable(place.uri, storage_options=dict(place.options))
    return DeltaTable(place.uri, storage_options=dict(place.options))


def evolved(table: DeltaTable, place: Place) -> list[str]:
    """Add columns that the table lacks, and return their names.

    Raises:
        DeltaWriteError: A column is there with another type, or differs in case, or the partitions differ.
    """
    there = {field["name"]: field["type"] for field in json.loads(table.schema().to_json())["fields"]}
    spelled = {name.lower(): name for name in there}
    new = []
    for column in table_columns(place.contract, place.mode):
        wanted = delta_field(column)
        if column.name not in there:
            if column.name.lower() in spelled:
                raise DeltaWriteError(
                    f"{place.uri} has the column {spelled[column.name.lower()]!r}; {column.name!r} differs "
                    "from it in case alone"
                )
            new.append(wanted)
        elif _plain(there[column.name]) != _plain(wanted["type"]):
            raise DeltaWriteError(
                f"{place.uri}: the column {column.name!r} is {there[column.name]} there, and "
                f"{wanted['type']} in {place.contract.name}; only added columns are taken up"
            )
    by = list(table.metadata().partition_columns)
    if by != list(place.partition_by):
        raise DeltaWriteError(
            f"{place.uri} is partitioned by {by or 'nothing'}, not by {list(place.partition_by) or 'nothing'}"
        )
    if new:
        schema = Schema.from_json(json.dumps({"type": "struct", "fields": new}))
        table.alter.add_columns(list(schema.fields))
        table.update_incremental()
    return [str(field["name"]) for field in new]


def _plain(kind: Any) -> Any:
    """Return a type without nullability and metadata, which the contract holds."""
    if not isinstance(kind, dict):
        return kind
    if kind["type"] == "array":
        return ["array", _plain(kind["elementType"])]
    if kind["type"] == "struct":
        return ["struct", *([each["name"], _plain(each["type"])] for each in kind["fields"])]
    return kind


def storage_options() -> dict[str, str]:
    """Return what deltalake does not take from the environment by itself.

    Commits are conditional puts, which S3 has since 2024, so no lock table is needed.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    options = {"aws_conditional_put": "etag"}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options |= {"aws_endpoint": endpoint, "aws_allow_http": str(endpoint.startswith("http://")).lower()}
    return options
