"""A Delta table's log in S3, whoever wrote it: the newest version, and what a commit has added.

In: a table's URI. Out: versions and `Commit`s, read with S3 alone, so that every step can.
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#delta-log-entries
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from aws_runtime import storage

_ENTRY = re.compile(r"([0-9]{20})\.json")
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True)
class AddedFile:
    """One data file that a commit added.

    Args:
        uri: Where it is.
        size: Bytes.
        rows: None where the writer did not count.
        partition: Partition columns' values as the log spells them; None for null.
    """

    uri: str
    size: int
    rows: int | None
    partition: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Commit:
    """One version of a table.

    Args:
        version: Its number.
        added: Files that it added.
        changes: Whether it added or removed rows; others change columns, properties or the files' sizes.
        transactions: Application ids of the runs that it holds.
    """

    version: int
    added: tuple[AddedFile, ...]
    changes: bool
    transactions: frozenset[str]


def newest(table: str) -> int | None:
    """Return a table's newest version; None where there is no table.

    Args:
        table: URI, ending in `/`.
    """
    return max(_versions(table, 0), default=None)


def plain_file(table: str) -> str | None:
    """Return the name of a file below `table` that readers of plain files would read; None without any."""
    bucket, prefix = storage.parse_uri(table)
    pages = storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", ()):
            below = str(entry["Key"]).removeprefix(prefix)
            hidden = any(part.startswith(("_", ".")) for part in below.split("/"))
            if not hidden and not below.endswith("/") and below:
                return below
    return None


def after(table: str, version: int) -> Iterator[Commit]:
    """Yield the commits after `version`, in order."""
    for each in sorted(_versions(table, version + 1)):
        found = read(table, each)
        if found is not None:
            yield found


def read(table: str, version: int) -> Commit | None:
    """Read one commit; None where the log has been cleaned up since, or it never was."""
    bucket, prefix = storage.parse_uri(table)
    try:
        body = storage.s3().get_object(Bucket=bucket, Key=f"{prefix}_delta_log/{version:020d}.json")["Body"]
        lines = body.read().decode("utf-8").splitlines()
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    actions = [json.loads(line) for line in lines if line.strip()]
    return Commit(
        version,
        tuple(_added(table, each["add"]) for each in actions if "add" in each),
        any((each.get("add") or each.get("remove") or {}).get("dataChange", False) for each in actions),
        frozenset(each["txn"]["appId"] for each in actions if "txn" in each),
    )


def _added(table: str, action: Mapping[str, Any]) -> AddedFile:
    # A path is relative to the table, and spelled as in a URL.
    path = unquote(action["path"])
    stats = json.loads(action.get("stats") or "{}")
    return AddedFile(
        path if "://" in path else f"{table}{path}",
        action["size"],
        stats.get("numRecords"),
        action.get("partitionValues") or {},
    )


def _versions(table: str, first: int) -> Iterator[int]:
    bucket, prefix = storage.parse_uri(f"{table}_delta_log/")
    start = {"StartAfter": f"{prefix}{first - 1:020d}.json"} if first else {}
    pages = storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **start)
    for page in pages:
        for entry in page.get("Contents", ()):
            if found := _ENTRY.fullmatch(entry["Key"].removeprefix(prefix)):
                yield int(found.group(1))
