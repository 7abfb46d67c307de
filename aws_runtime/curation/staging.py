"""Validate: files that landed -> staged ones and a manifest; the others to `rejected/` with a reason.

In: a `Job` and the object that started it. Out: the answer of the state `Validate` (docs/curation.md).
A file is copied, the copy is verified, and only then the exact version that was read is deleted. The
run's journal names these versions before the first is touched, so a retry finds each one where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from aws_runtime import storage
from aws_runtime.codec import decode, encode
from aws_runtime.curation import delta_run
from aws_runtime.curation import job as jobs
from aws_runtime.curation.arrival import GONE, Taken, disown, known_owner, owner, taken
from aws_runtime.curation.config import TableFormat
from aws_runtime.curation.job import Job
from aws_runtime.curation.judging import judge_landed, landed_partition
from aws_runtime.errors import RejectedFile
from aws_runtime.events import S3Object
from aws_runtime.identity import stem
from aws_runtime.partitions import partition_folder

_BASENAME_BYTES = 200
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_KEY_BYTES = 1024
_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})


class CopyNotVerifiedError(Exception):
    """A copy is not what was copied; the original is untouched, and a retry copies again."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What became of one file: its copy, and its partition; or why it was rejected."""

    item: S3Object
    partition: Mapping[str, str]
    error: RejectedFile | None = None


def validate(job: Job, arrived: S3Object | None) -> dict[str, Any]:
    """Stage the good files of a run and reject the others.

    Args:
        job: The run.
        arrived: The object of its event, a file or a marker; None takes all files below the source's prefix.

    Raises:
        TooManyFilesError: Nothing was touched.
        CopyNotVerifiedError: A retry copies again.
    """
    journal = storage.get_json(f"{job.runs}journal.json")
    if journal is None:
        found = taken(job, arrived)
        objects, lost = list(found.files), _lost(job, found)
        journal = {
            **jobs.document(job),
            "files": encode(objects),
            "lost": [[encode(each.item), each.error.code, each.error.reason] for each in lost if each.error],
        }
        storage.put_json(f"{job.runs}journal.json", journal)
    else:
        # A parameter that changed meanwhile does not change what this run is told; but a run that failed
        # by its configuration is resumed with another one. Its time stays, because names derive from it.
        config = job.config if job.resumed else decode(type(job.config), journal["config"])
        job = replace(job, event_time=datetime.fromisoformat(journal["event_time"]), config=config)
        objects = [decode(S3Object, each) for each in journal["files"]]
        lost = [_told(decode(S3Object, item), code, reason) for item, code, reason in journal["lost"]]
    mine = [each for each in storage.each(lambda item: _moved(job, item), objects) if each] if objects else []
    outcomes = [*lost, *_without_refused(job, mine)]
    storage.put_json(f"{job.runs}config.json", jobs.document(job))
    good = [each for each in outcomes if each.error is None]
    storage.put_json(f"{job.runs}manifest.json", _manifest(job, good))
    if objects:
        storage.each(lambda item: disown(job, item), objects)
    return _answer(job, outcomes, good)


def _without_refused(job: Job, outcomes: list[Staged]) -> list[Staged]:
    """Leave out of a resumed run the files that its transform could not read; it has kept them already."""
    if not job.resumed:
        return outcomes
    bucket, prefix = storage.parse_uri(f"{job.staging}refused/")
    pages = storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    notes = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    said = {PurePosixPath(key).stem: storage.get_json(f"s3://{bucket}/{key}") for key in notes}
    return [
        _told(each.item, note["code"], note["message"])
        if each.error is None and (note := said.get(each.item.identity.digest))
        else each
        for each in outcomes
    ]


def _lost(job: Job, found: Taken) -> list[Staged]:
    """Return the event's file that was gone, unless another run has it: events come more than once."""
    if found.lost is None or known_owner(job, found.lost[0]) is not None:
        return []
    return [Staged(found.lost[0], {}, found.lost[1])]


def _told(item: S3Object, code: str, reason: str) -> Staged:
    return Staged(item, {}, RejectedFile(code, reason, item.identity.uri))


def _moved(job: Job, item: S3Object) -> Staged | None:
    """Judge a file and move it; of one that is gone, find where an earlier attempt has put it.

    Returns:
        None for a file that is another run's.
    """
    if owner(job, item) != job.id:
        return None
    try:
        partition = _judged(job, item)
    except RejectedFile as error:
        if error.code in GONE:
            # Where content is all that tells versions apart, another run has taken it and is done.
            unknown = None if item.version_id in (None, "null") else Staged(item, {}, error)
            return _found_again(job, item) or unknown
        # One that its path condemns is rejected without being read, so it may be gone, too.
        return _rejected_before(job, item) or _rejected(job, item, error)
    return _staged(job, item, partition)


def _judged(job: Job, item: S3Object) -> dict[str, str]:
    def read(start: int, length: int) -> bytes:
        return storage.read_range(item, start, length)

    uri = item.identity.uri
    partition = judge_landed(job.declared, job.config, item.key, uri, size=item.size or 0, read=read)
    key = storage.parse_uri(_staged_uri(job, item, partition))[1]
    if len(key.encode()) > _KEY_BYTES:
        raise RejectedFile("PathTooLong", f"its folders leave no room for a key of {_KEY_BYTES:,} bytes", uri)
    return partition


def _name(item: S3Object) -> str:
    name = PurePosixPath(item.key).name or "object"
    return name.encode("utf-8", "surrogatepass")[-_BASENAME_BYTES:].decode("utf-8", "ignore")


def _staged_uri(job: Job, item: S3Object, partition: Mapping[str, str]) -> str:
    # The digest keeps apart two files of one name from folders that are no partitions.
    name = f"{item.identity.digest}-{_name(item).removesuffix('.parquet')}.parquet"
    return f"{job.staging}input/{partition_folder(partition)}{name}"


def _rejected_folder(job: Job, item: S3Object) -> str:
    return f"{job.rejected}{stem(job.event_time, item.identity.digest)}/"


def _staged(job: Job, item: S3Object, partition: Mapping[str, str]) -> Staged:
    copied = _copied(job, item, _staged_uri(job, item, partition))
    _removed(item)
    return Staged(copied, partition)


def _rejected(job: Job, item: S3Object, error: RejectedFile) -> Staged:
    folder, name = _rejected_folder(job, item), _name(item)
    name = f"1-{name}" if name == "reason.json" else name
    there = error.code != "ObjectArchived"  # an archived object can be neither read nor copied: it stays
    if there:
        _copied(job, item, folder + name)
    reason = {
        "code": error.code,
        "message": error.reason,
        "uri": error.uri,
        "pipeline": job.declared.pipeline,
        "asset": job.declared.asset,
        "execution": job.id,
        "event_time": job.event_time.isoformat(),
        "files": [
            {
                "bucket": item.bucket,
                "key": item.key,
                "version": item.identity.version,
                "copy": folder + name if there else None,
            }
        ],
    }
    storage.put_json(f"{folder}reason.json", reason)
    if there:
        _removed(item)
    return Staged(item, {}, error)


def _rejected_before(job: Job, item: S3Object) -> Staged | None:
    reason = storage.get_json(f"{_rejected_folder(job, item)}reason.json")
    if reason is None or reason["execution"] != job.id:
        return None
    if reason["files"][0]["copy"]:  # the run may have ended between the reason and this
        _removed(item)
    return Staged(item, {}, RejectedFile(reason["code"], reason["message"], reason["uri"]))


def _found_again(job: Job, item: S3Object) -> Staged | None:
    if (rejected := _rejected_before(job, item)) is not None:
        return rejected
    try:
        partition = landed_partition(job.declared, job.config, item.key, item.identity.uri)
    except RejectedFile:
        return None
    copied = _verified(item, _staged_uri(job, item, partition))
    return Staged(copied, partition) if copied else None


def _copied(job: Job, item: S3Object, uri: str) -> S3Object:
    """Copy one version with the run's metadata, and return the copy once S3 says that it is whole."""
    bucket, key = storage.parse_uri(uri)
    source = {"Bucket": item.bucket, "Key": item.key}
    if item.version_id:
        source["VersionId"] = item.version_id
    extra: dict[str, Any] = {
        "MetadataDirective": "REPLACE",
        "TaggingDirective": "REPLACE",
        "CopySourceIfMatch": f'"{item.etag}"',
        "Metadata": {
            "job_id": quote(job.id),
            "source": quote(item.identity.uri, safe="/:"),
            "version": quote(item.identity.version),
            "ingested_at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    if (item.size or 0) <= storage.COPY_BYTES:
        storage.s3().copy_object(CopySource=source, Bucket=bucket, Key=key, **extra)
    else:
        storage.s3().copy(source, bucket, key, ExtraArgs=extra)
    copied = _verified(item, uri)
    if copied is None:
        raise CopyNotVerifiedError(f"{uri} is not {item.identity.uri}; the original is untouched")
    return copied


def _verified(item: S3Object, uri: str) -> S3Object | None:
    """Return the copy of exactly this version, or None: S3 copies whole or not at all, and says of what."""
    bucket, key = storage.parse_uri(uri)
    try:
        head = storage.s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    told = head.get("Metadata", {})
    if told.get("version") != quote(item.identity.version) or head["ContentLength"] != item.size:
        return None
    return S3Object(bucket, key, head.get("VersionId"), head["ETag"].strip('"'), head["ContentLength"])


def _removed(item: S3Object) -> None:
    """Delete the exact version that was read; another object that took its place stays.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
    """
    place = {"Bucket": item.bucket, "Key": item.key}
    exact = {"VersionId": item.version_id} if item.version_id else {"IfMatch": f'"{item.etag}"'}
    if item.version_id == "null":
        exact = {"IfMatch": f'"{item.etag}"'}
    try:
        storage.s3().delete_object(**place, **exact)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT | {"PreconditionFailed", "412"}:
            raise


def _manifest(job: Job, good: list[Staged]) -> dict[str, Any]:
    files = sorted(good, key=lambda each: each.item.key)
    return {
        "pipeline": job.declared.pipeline,
        "date": job.event_time.astimezone(UTC).date().isoformat(),
        "batch": 1,
        "bytes": sum(each.item.size or 0 for each in files),
        "together": True,
        "files": [
            {
                **encode(each.item),
                "event_time": job.event_time.isoformat(),
                "partition": dict(each.partition),
            }
            for each in files
        ],
    }


def _write(job: Job) -> dict[str, Any]:
    """Return `event.curation.write` (aws_runtime.events)."""
    return {
        "mode": job.config.write_mode.value,
        "keys": list(job.config.keys),
        "table": job.curated,
        "existing": f"{job.runs}existing.json",
    }


def _answer(job: Job, outcomes: list[Staged], good: list[Staged]) -> dict[str, Any]:
    errors = [each.error for each in outcomes if each.error is not None]
    answer = {
        "status": "valid" if good else "rejected" if errors else "empty",
        "job_id": job.id,
        "dataset": job.config.dataset,
        "processor_type": job.config.processor_type.value,
        "threshold_bytes": job.config.threshold_bytes,
        "bytes": sum(each.item.size or 0 for each in good),
        "files": len(good),
        "files_rejected": len(errors),
        "manifest": f"{job.runs}manifest.json",
        "config": f"{job.runs}config.json",
        # Handed on as it is, as the transform's `event.curation`.
        "curation": {
            "destination": f"{job.staging}output/",
            "steps": encode(job.config.steps),
            **({"write": _write(job)} if job.merges_files else {}),
        },
        "table_format": job.config.table_format.value,
    }
    if job.config.table_format is TableFormat.DELTA:
        # Handed on as it is, as `event.load` of what writes the table, which adds the record.
        answer["delta"] = encode(delta_run.of(job))
    if errors:
        answer |= {"code": errors[0].code, "message": f"{errors[0].reason} ({errors[0].uri})"[:4096]}
    return answer
