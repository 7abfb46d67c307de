"""A file that cannot be ingested: kept under the quarantine's `rejected/`, with the reason beside it.

In: the files of a unit and why. Out: copies in S3; the originals stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from aws_runtime import storage
from aws_runtime.errors import RejectedFile
from aws_runtime.events import MaterializeEvent, S3Object
from aws_runtime.plan import AssetPlan
from aws_runtime.records import Places

_REASON = "reason.json"
#: Reasons that the other files of a unit have no part in.
_OF_ONE_FILE = frozenset(
    {
        "CorruptFile",
        "EncryptedFile",
        "InexactNumbers",
        "NotParquet",
        "PartitionContradicted",
        "UnknownLogicalType",
    }
)
_BASENAME_BYTES = 200


def keep(
    error: RejectedFile,
    sources: Sequence[S3Object],
    plan: AssetPlan,
    event: MaterializeEvent,
    at: Places,
    *,
    stem: str,
    event_time: str,
) -> list[str]:
    """Copy the rejected files of a unit and return the copies' URIs; each call repeats without harm.

    Args:
        error: The reason.
        sources: What the unit read from sources; the file that `error` names, or else all, are kept.
        plan: The asset.
        event: Of the execution.
        at: Where rejected files go.
        stem: Names the folder.
        event_time: When the file arrived.
    """
    chosen = [item for item in sources if item.identity.uri == error.uri] or sources
    folder = f"{at.rejected}{stem}/"
    taken = {_REASON}
    kept: list[dict[str, Any]] = []
    for item in chosen:
        name = _basename(item.key)
        if name in taken:
            name = f"{len(taken)}-{name}"
        taken.add(name)
        there = not _unreadable(error, item) and storage.copy(item, folder + name)
        kept.append(
            {
                "bucket": item.bucket,
                "key": item.key,
                "version": item.identity.version,
                "copy": folder + name if there else None,
            }
        )
    reason = {
        "code": error.code,
        "message": error.reason,
        "uri": error.uri,
        "pipeline": plan.pipeline,
        "asset": plan.asset,
        "execution": event.execution,
        "event_time": event_time,
        "files": kept,
    }
    storage.put_json(folder + _REASON, reason)
    return [entry["copy"] for entry in kept if entry["copy"]]


def refuse(error: RejectedFile, sources: Sequence[S3Object], staging: str) -> None:
    """Note beside a curated run's staged files that one of them cannot be read.

    The run fails with it, since its files are one unit; resumed, it goes on without that file
    (`aws_runtime.curation.staging`).

    Args:
        error: The reason; noted where it is of one file alone.
        sources: What the unit read.
        staging: S3 prefix of everything that the run stages, ending in `/`.
    """
    for item in sources:
        if item.identity.uri == error.uri and error.code in _OF_ONE_FILE:
            said = {"code": error.code, "message": error.reason}
            storage.put_json(f"{staging}refused/{item.identity.digest}.json", said)


def _unreadable(error: RejectedFile, item: S3Object) -> bool:
    if error.code == "ObjectReplaced":
        return not item.version_id
    return error.code in {"ObjectDeleted", "ObjectArchived"}


def _basename(key: str) -> str:
    """Return the last part of a key, cut at its front where the copy's key would become too long."""
    name = PurePosixPath(key).name or "object"
    return name.encode("utf-8", "surrogatepass")[-_BASENAME_BYTES:].decode("utf-8", "ignore")
