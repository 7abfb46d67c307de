"""The run record of one asset in one execution: what it did, small enough for a state machine.

In: a `StepResult` or a `RejectedFile`. Out: the JSON that is a handler's response and
`_runs/<pipeline>/<asset>/<execution>.json`, and the full list of files beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_runtime.errors import RejectedFile
from aws_runtime.plan import AssetPlan
from aws_runtime.step import StepResult
from aws_runtime.storage import parse_uri

#: A state's input and output hold 256 KiB; a record leaves room for what surrounds it.
#: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
RECORD_BYTES = 200 * 1024
MOST_URIS = 100
MOST_PARTITIONS = 5_000
MOST_VIOLATIONS = 50
#: BatchCreatePartition takes 100 at a time.
#: https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html
CHUNK = 100
_OUTPUT_BYTES, _QUARANTINE_BYTES, _PARTITION_BYTES, _VIOLATION_BYTES = (
    28 * 1024,
    12 * 1024,
    132 * 1024,
    16 * 1024,
)
_CODE_BYTES, _MESSAGE_BYTES = 128, 4 * 1024


@dataclass(frozen=True, slots=True)
class Places:
    """Where one asset's files go, in one execution; all are S3 URIs.

    Args:
        destination: Prefix of the Parquet files, ending in `/`.
        quarantine_rows: Prefix of the quarantined rows.
        rejected: Prefix of the rejected files.
        record: The run record.
        files: Every file that the run wrote, with rows and partition.
        published: Prefix of the manifests of published files, one for each identity.
    """

    destination: str
    quarantine_rows: str
    rejected: str
    record: str
    files: str
    published: str


def places(destination: str, quarantine: str, plan: AssetPlan, execution: str) -> Places:
    """Derive all places from the prefixes that a function or job is given."""
    for name, uri in (("destination", destination), ("quarantine", quarantine)):
        parse_uri(uri)
        if not uri.endswith("/"):
            raise ValueError(f"{name} {uri!r} must end in /")
    runs = f"s3://{parse_uri(destination)[0]}/_runs/{plan.pipeline}/{plan.asset}/"
    return Places(
        destination=destination,
        quarantine_rows=f"{quarantine}rows/{plan.pipeline}/{plan.asset}/",
        rejected=f"{quarantine}rejected/{plan.pipeline}/",
        record=f"{runs}{execution}.json",
        files=f"{runs}{execution}.files.json",
        published=f"{runs}_published/",
    )


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a run: its S3 URI, its rows and its partition values."""

    uri: str
    rows: int
    partition: Mapping[str, str]


def completed(
    result: StepResult,
    plan: AssetPlan,
    at: Places,
    identity: str,
    *,
    outputs: Sequence[FileEntry],
    quarantine: Sequence[FileEntry],
) -> dict[str, Any]:
    """Build the record of a step that ended well; under 200 KiB whatever it did.

    Raises:
        RejectedFile: TooManyPartitions, when a state machine could not register them all.
    """
    return {
        "status": "completed",
        "identity": identity,
        "records_in": dict(sorted(result.records_in.items())),
        "rows_in": result.rows_in,
        "rows_out": result.rows_out,
        "rows_quarantined": result.rows_quarantined,
        "outputs": _bounded([entry.uri for entry in outputs], _OUTPUT_BYTES),
        "output_count": len(outputs),
        "partitions": _partitions(plan, at, outputs),
        "quarantine": _bounded([entry.uri for entry in quarantine], _QUARANTINE_BYTES),
        "violations": _violations(result.violations),
        "record": at.record,
        "files": at.files,
    }


def rejected(
    error: RejectedFile, plan: AssetPlan, at: Places, identity: str, kept: Sequence[str]
) -> dict[str, Any]:
    """Build the record of a run whose file was rejected; `kept` are the copies of the file."""
    return {
        "status": "rejected",
        "identity": identity,
        "records_in": {given.name: 0 for given in plan.inputs},
        "rows_in": 0,
        "rows_out": 0,
        "rows_quarantined": 0,
        "outputs": [],
        "output_count": 0,
        "partitions": [],
        "quarantine": _bounded(kept, _QUARANTINE_BYTES),
        "violations": {},
        "reason": {
            "code": shortened(error.code, _CODE_BYTES),
            "message": shortened(f"{error.reason} ({error.uri})", _MESSAGE_BYTES),
        },
        "record": at.record,
        "files": at.files,
    }


def files_document(outputs: Iterable[FileEntry], quarantine: Iterable[FileEntry]) -> dict[str, Any]:
    """Build `<execution>.files.json`: every file, which a downstream asset reads as its input."""

    def entries(files: Iterable[FileEntry]) -> list[dict[str, Any]]:
        return [
            {"uri": f.uri, "rows": f.rows, "partition": dict(f.partition)}
            for f in sorted(files, key=lambda f: f.uri)
        ]

    return {"outputs": entries(outputs), "quarantine": entries(quarantine)}


def shortened(text: str, most: int) -> str:
    """Cut `text` so that its JSON is at most `most` bytes, and say that it was cut."""
    if _size(text) <= most:
        return text
    low, high = 0, min(len(text), most)
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[:middle] + "…") <= most:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


def _size(value: Any) -> int:
    # Escaped to ASCII, the longest form in which the runtime can send it.
    return len(json.dumps(value))


def _bounded(uris: Sequence[str], most: int) -> list[str]:
    """Return the first URIs, at most 100 and at most `most` bytes of JSON; never half of one."""
    taken: list[str] = []
    used = 2
    for uri in sorted(uris)[:MOST_URIS]:
        used += _size(uri) + 2
        if used > most:
            break
        taken.append(uri)
    return taken


def _partitions(plan: AssetPlan, at: Places, outputs: Sequence[FileEntry]) -> list[dict[str, Any]]:
    """Return chunks of `values` (a list a partition) and, in the same order, `paths` below the destination.

    Two lists and not an object a partition, because that is a third smaller, and so are the partitions
    that one run may have.
    """
    names = [by.name for by in plan.output.partition_by]
    if not names:
        return []
    distinct = sorted(
        {
            (tuple(entry.partition[name] for name in names), _folder(entry.uri, at.destination))
            for entry in outputs
        }
    )
    chunks = [
        {"values": [list(values) for values, _ in chunk], "paths": [path for _, path in chunk]}
        for chunk in (distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK))
    ]
    if len(distinct) > MOST_PARTITIONS or _size(chunks) > _PARTITION_BYTES:
        raise RejectedFile(
            "TooManyPartitions",
            f"{len(distinct):,} partitions from one file; at most {MOST_PARTITIONS:,} of {_PARTITION_BYTES:,} bytes "
            "can be registered in a run: split the file, or partition by a coarser column",
            plan.asset,
        )
    return chunks


def _folder(uri: str, destination: str) -> str:
    """Return a file's folder below `destination`, ending in `/`, as it was written."""
    return uri.removeprefix(destination).rpartition("/")[0] + "/"


def _violations(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the 50 most frequent rules; what was cut is summed under `…`."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    taken: dict[str, int] = {}
    used = 64
    for rule, count in ranked[:MOST_VIOLATIONS]:
        used += _size(rule) + 24
        if used > _VIOLATION_BYTES:
            break
        taken[rule] = count
    rest = sum(count for _, count in ranked[len(taken) :])
    return {**taken, "…": rest} if rest else taken
