"""Partition projection: a table's properties by which Athena computes its partitions.

In: the partition keys, the properties so far, and a run's values. Out: the properties after it, which
cover what was ever published: ranges and lists grow with the runs, and begin with the folders that are there.
https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from aws_runtime import storage
from aws_runtime.partitions import HIVE_NULL, partition_folder

#: Athena asks for the folder of each value that a query does not exclude.
MOST_VALUES = 1_000
_INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})


class ProjectionNotPossible(Exception):  # noqa: N818 - says what is wrong
    """A partition's value cannot be computed from a table's properties."""


def enabled(parameters: Mapping[str, str]) -> bool:
    """Whether a table's parameters switch projection on."""
    return parameters.get("projection.enabled", "").lower() == "true"


def listed(prefix: str, names: Sequence[str]) -> list[dict[str, str]]:
    """Return the values of the partitions that have folders below a prefix; other folders are none.

    Args:
        prefix: URI of the table, ending in `/`.
        names: Partition columns, outermost first. One call for each folder above the last of them, at least.
    """
    found: list[tuple[str, dict[str, str]]] = [(prefix, {})]
    for name in names:
        below = storage.each(lambda one: _below(*one), found) if found else []
        found = [
            (uri, {**values, name: unquote(value)})
            for folders in below
            for uri, values, column, value in folders
            if unquote(column) == name
        ]
    return [values for _, values in found]


def _below(uri: str, values: dict[str, str]) -> list[tuple[str, dict[str, str], str, str]]:
    bucket, prefix = storage.parse_uri(uri)
    pages = (
        storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    )
    folders = [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", ())]
    split = [(folder, folder[len(prefix) : -1].partition("=")) for folder in folders]
    return [(f"s3://{bucket}/{folder}", values, name, value) for folder, (name, _, value) in split if value]


def properties(
    keys: Sequence[Mapping[str, str]],
    there: Mapping[str, str],
    partitions: Sequence[Mapping[str, str]],
) -> dict[str, str]:
    """Return the properties that cover the known partitions and these.

    Args:
        keys: Name and Hive type of each partition column.
        there: The table's parameters.
        partitions: Values of a run's partitions, by column.

    Raises:
        ProjectionNotPossible: Naming the column and the value.
    """
    if not partitions:  # a run that publishes nothing: what there is stays, and a range begins with a value
        return {}
    found = {"projection.enabled": "true"}
    for key in keys:
        values = sorted({partition[key["Name"]] for partition in partitions})
        for value in values:
            _check(key["Name"], key["Type"], value)
        found |= _of_column(f"projection.{key['Name']}", key, there, values)
    return found


def _check(name: str, kind: str, value: str) -> None:
    if value == HIVE_NULL and (kind == "date" or kind in _INTEGERS):
        raise ProjectionNotPossible(f"{name} is null; partition_projection has no null of a {kind}")
    if "," in value or (value != HIVE_NULL and partition_folder({name: value}) != f"{name}={value}/"):
        raise ProjectionNotPossible(
            f"{name}={value!r} holds a character that partition_projection cannot spell; "
            'set "partition_projection": false'
        )


def _of_column(
    prefix: str, key: Mapping[str, str], there: Mapping[str, str], values: Sequence[str]
) -> dict[str, str]:
    if key["Type"] == "date" or key["Type"] in _INTEGERS:
        order = str if key["Type"] == "date" else int
        known = [text for text in there.get(f"{prefix}.range", "").split(",") if text]
        ordered = sorted((*known, *values), key=order)
        found = {f"{prefix}.range": f"{ordered[0]},{ordered[-1]}"}
        if key["Type"] == "date":
            return {
                f"{prefix}.type": "date",
                f"{prefix}.format": "yyyy-MM-dd",
                f"{prefix}.interval": "1",
                f"{prefix}.interval.unit": "DAYS",
                **found,
            }
        return {f"{prefix}.type": "integer", **found}
    known = [text for text in there.get(f"{prefix}.values", "").split(",") if text]
    listed = sorted({*known, *values})
    if len(listed) > MOST_VALUES:
        raise ProjectionNotPossible(
            f"{key['Name']} has {len(listed):,} values, and partition_projection lists {MOST_VALUES:,} at most; "
            'set "partition_projection": false'
        )
    return {f"{prefix}.type": "enum", f"{prefix}.values": ",".join(listed)}
