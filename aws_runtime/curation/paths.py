"""Hive partition folders in a key -> checked partition values.

In: a key below its prefix, the partitions that it must have, their types. Out: values by column, or
`RejectedFile` with the reason. `dt=2024-07-02/region=eu/file.parquet` has the partitions dt and region.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from urllib.parse import unquote_to_bytes

from aws_runtime.coercion import lexical_form
from aws_runtime.contract import DataType
from aws_runtime.errors import RejectedFile
from aws_runtime.partitions import partition_folder

#: What Hive, Spark and Athena write for null.
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
#: Of a folder's name, which engines also make on a disk.
_FOLDER_BYTES = 255


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
            found.append((_unescaped(name, uri), _unescaped(value, uri)))
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


def _unescaped(text: str, uri: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError as error:
        raise RejectedFile("InvalidPartition", f"the folder's {text!r} is no UTF-8", uri) from error


def _check_value(name: str, value: str, kind: DataType | None, uri: str) -> None:
    if value in ("", NULL_FOLDER):
        raise RejectedFile("NullPartition", f"the partition column {name} is null in the path", uri)
    odd = any(ord(character) < 32 or ord(character) == 127 for character in value)
    if "/" in value or value in (".", "..") or odd:
        raise RejectedFile("InvalidPartition", f"{name}={value!r} is no partition value", uri)
    if len(partition_folder({name: value}).encode()) > _FOLDER_BYTES:
        what = f"{name}={value[:40]}… is longer than the {_FOLDER_BYTES} bytes of a folder's name"
        raise RejectedFile("InvalidPartition", what, uri)
    if kind is not None and not fits(value, kind):
        raise RejectedFile("InvalidPartition", f"{name}={value} is not a {kind}", uri)


def fits(value: str, kind: DataType) -> bool:
    """Return whether a text is a value of a flat type, by the forms that contracts accept."""
    form = lexical_form(kind)
    if form is None:
        return True
    if re.fullmatch(form, value) is None:
        return False
    try:
        match kind.name:
            case "date":
                date.fromisoformat(value)
            case "timestamp":
                datetime.fromisoformat(value)
            case "float32" | "float64":
                return abs(float(value)) != float("inf")
            case name if name.startswith(("int", "uint")):
                return _in_range(int(value), name)
    except ValueError:
        return False
    return True


def _in_range(value: int, kind: str) -> bool:
    bits = int(kind.removeprefix("u").removeprefix("int"))
    if kind.startswith("u"):
        return 0 <= value < 1 << bits
    return -(1 << (bits - 1)) <= value < 1 << (bits - 1)
