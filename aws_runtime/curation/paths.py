"""Hive partition folders in a key -> checked partition values.

In: a key below its prefix, the partitions that it must have, their types. Out: values by column, or
`RejectedFile` with the reason. `dt=2024-07-02/region=eu/file.parquet` has the partitions dt and region.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from urllib.parse import unquote

from aws_runtime.contract import DataType
from aws_runtime.errors import RejectedFile

#: What Hive, Spark and Athena write for null.
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"[+-]?[0-9]+")


def partition_values(
    key: str, prefix: str, required: Sequence[str], types: Mapping[str, DataType], uri: str
) -> dict[str, str]:
    """Return the values of the folders between `prefix` and the file's name, unescaped.

    Args:
        key: The object's key.
        prefix: Where the dataset begins.
        required: Partition columns, outermost first.
        types: Types of partition columns that the contract knows; others are text.
        uri: For messages.

    Raises:
        RejectedFile: MissingPartition, UnexpectedPartition, InvalidPartition or NullPartition.
    """
    folders = key.removeprefix(prefix).split("/")[:-1]
    found: list[tuple[str, str]] = []
    for folder in folders:
        name, equals, value = folder.partition("=")
        if folder in ("", ".", "..") or (not equals and required):
            raise RejectedFile(
                "InvalidPartition", f"the folder {folder!r} is no partition; name it <column>=<value>", uri
            )
        if equals:
            found.append((unquote(name), unquote(value)))
    names = [name for name, _ in found]
    wanted = "/".join(f"{name}=…" for name in required)
    for name in required:
        if name not in names:
            raise RejectedFile("MissingPartition", f"the path has no {name}=…; expected {wanted}", uri)
    if names != list(required):
        raise RejectedFile(
            "UnexpectedPartition", f"the path is partitioned by {', '.join(names)}; expected {wanted}", uri
        )
    for name, value in found:
        _check_value(name, value, types.get(name), uri)
    return dict(found)


def _check_value(name: str, value: str, kind: DataType | None, uri: str) -> None:
    if value in ("", NULL_FOLDER):
        raise RejectedFile("NullPartition", f"the partition column {name} is null in the path", uri)
    if "/" in value or value in (".", "..") or any(ord(character) < 32 for character in value):
        raise RejectedFile("InvalidPartition", f"{name}={value!r} is no partition value", uri)
    if kind is not None and not _fits(value, kind):
        raise RejectedFile("InvalidPartition", f"{name}={value} is not a {kind}", uri)


def _fits(value: str, kind: DataType) -> bool:
    try:
        match kind.name:
            case "date":
                date.fromisoformat(value)
                return len(value) == len("2024-07-02")
            case "timestamp":
                datetime.fromisoformat(value)
                return True
            case "boolean":
                return value in ("true", "false")
            case name if name.startswith(("int", "uint")):
                return _INTEGER.fullmatch(value) is not None and _in_range(int(value), name)
            case _:
                return True
    except ValueError:
        return False


def _in_range(value: int, kind: str) -> bool:
    bits = int(kind.removeprefix("u").removeprefix("int"))
    if kind.startswith("u"):
        return 0 <= value < 1 << bits
    return -(1 << (bits - 1)) <= value < 1 << (bits - 1)
