"""The run record of one asset in one execution: what it did, small enough for a state machine.

In: a `StepResult` (of a batch, the sum of its files') or a `RejectedFile`. Out: the JSON that is a handler's response and
`_runs/<pipeline>/<asset>/<execution>.json`, and the full list of files beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_runtime.bounded import bounded, json_size, shortened
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
#: A batch shares the room of its URIs and violations with the reasons of its rejected files.
_BATCH_SHARE = 2
MOST_REJECTED = 50
_REJECTED_CODE_BYTES, _REJECTED_MESSAGE_BYTES = 64, 400


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
    """One file of a run.

    Args:
        uri: Where it is in S3.
        rows: How many it holds.
        partition: Its partition values by name.
        digest: Identity of the unit that it was made from.
        bytes: Its size, where this process wrote it.
    """

    uri: str
    rows: int
    partition: Mapping[str, str]
    digest: str = ""
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What only a batch has to tell.

    Args:
        files_in: Files that it had.
        superseded: Of these, older versions, which were not published.
        rejected: Of these, the rejected ones with their reasons, by digest.
    """

    files_in: int
    superseded: int
    rejected: Mapping[str, RejectedFile]


def completed(
    result: StepResult,
    plan: AssetPlan,
    at: Places,
    identity: str,
    *,
    outputs: Sequence[FileEntry],
    quarantine: Sequence[str],
    batch: Batch | None = None,
) -> dict[str, Any]:
    """Build the record of a run that ended well; under 200 KiB whatever it did.

    Args:
        result: The step's, or the sum of many (`summed`).
        plan: The asset.
        at: Where everything went.
        identity: Digest of what was read.
        outputs: Files published.
        quarantine: URIs of files of quarantined rows, and of copies of rejected files.
        batch: What a batch tells beside.

    Raises:
        RejectedFile: TooManyPartitions, when a state machine could not register them all.
    """
    share = _BATCH_SHARE if batch else 1
    record = {
        "status": "completed",
        "identity": identity,
        "records_in": dict(sorted(result.records_in.items())),
        "rows_in": result.rows_in,
        "rows_out": result.rows_out,
        "rows_quarantined": result.rows_quarantined,
        "outputs": bounded([entry.uri for entry in outputs], MOST_URIS, _OUTPUT_BYTES // share),
        "output_count": len(outputs),
        "partitions": partitions(plan, at, outputs),
        "quarantine": bounded(quarantine, MOST_URIS, _QUARANTINE_BYTES // share),
        "violations": _violations(result.violations, _VIOLATION_BYTES // share),
        "record": at.record,
        "files": at.files,
        **result.met,
    }
    if batch:
        record |= {
            "files_in": batch.files_in,
            "files_rejected": len(batch.rejected),
            "files_superseded": batch.superseded,
            "rejected": _reasons(batch.rejected),
        }
    return record


def summed(results: Iterable[StepResult], plan: AssetPlan) -> StepResult:
    """Add up steps; none at all make one of nothing."""
    given = list(results)
    records_in = Counter({one.name: 0 for one in plan.inputs})
    violations: Counter[str] = Counter()
    met: dict[str, Any] = {}  # of one step at most: rows that meet a table's are one unit
    for one in given:
        records_in.update(one.records_in)
        violations.update(one.violations)
        met.update(one.met)
    return StepResult(
        records_in=records_in,
        rows_in=sum(one.rows_in for one in given),
        rows_out=sum(one.rows_out for one in given),
        rows_quarantined=sum(one.rows_quarantined for one in given),
        files=(),
        quarantine=(),
        violations=violations,
        met=met,
    )


def _reasons(rejected_files: Mapping[str, RejectedFile]) -> dict[str, dict[str, str]]:
    """Return the first 50 reasons, each in short: a state machine hands them on."""
    return {
        digest: {
            "code": shortened(error.code, _REJECTED_CODE_BYTES),
            "message": shortened(f"{error.reason} ({error.uri})", _REJECTED_MESSAGE_BYTES),
        }
        for digest, error in list(rejected_files.items())[:MOST_REJECTED]
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
        "quarantine": bounded(kept, MOST_URIS, _QUARANTINE_BYTES),
        "violations": {},
        "reason": {
            "code": shortened(error.code, _CODE_BYTES),
            "message": shortened(f"{error.reason} ({error.uri})", _MESSAGE_BYTES),
        },
        "record": at.record,
        "files": at.files,
    }


def files_document(
    outputs: Iterable[FileEntry], quarantine: Iterable[FileEntry], units: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Build `<execution>.files.json`: every file, and the units that a downstream asset reads them by.

    Args:
        outputs: Files of rows.
        quarantine: Files of quarantined rows.
        units: What each unit is, and how it ended (`aws_runtime.units.described`).
    """

    def entries(files: Iterable[FileEntry]) -> list[dict[str, Any]]:
        return [
            {"uri": f.uri, "rows": f.rows, "partition": dict(f.partition), "digest": f.digest}
            | ({} if f.bytes is None else {"bytes": f.bytes})
            for f in sorted(files, key=lambda f: f.uri)
        ]

    return {"outputs": entries(outputs), "quarantine": entries(quarantine), "units": list(units)}


def partitions(plan: AssetPlan, at: Places, outputs: Sequence[FileEntry]) -> list[dict[str, Any]]:
    """Return chunks of `values` (a list a partition) and, in the same order, `paths` below the destination.

    Two lists and not an object a partition, because that is a third smaller, and so are the partitions
    that one run may have.

    Raises:
        RejectedFile: TooManyPartitions.
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
    if len(distinct) > MOST_PARTITIONS or json_size(chunks) > _PARTITION_BYTES:
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


def _violations(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """Return the 50 most frequent rules; what was cut is summed under `…`."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    taken: dict[str, int] = {}
    used = 64
    for rule, count in ranked[:MOST_VIOLATIONS]:
        used += json_size(rule) + 24
        if used > most:
            break
        taken[rule] = count
    rest = sum(count for _, count in ranked[len(taken) :])
    return {**taken, "…": rest} if rest else taken
