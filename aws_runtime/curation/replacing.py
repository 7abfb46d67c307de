"""Publish by replacing partitions: copy beside the old files, commit, delete the old ones, under leases.

In: a run's files. Out: its commit. Partitions that hold nothing but whole runs are left behind by every
run that ends, whichever ends first; a run that dies leaves them to its retry or to the next one.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aws_runtime import storage
from aws_runtime.codec import encode
from aws_runtime.curation import leases
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.files import Curated
from aws_runtime.curation.job import Job
from aws_runtime.curation.leases import Committed, Lease
from aws_runtime.errors import TableChanged

_STEM = re.compile(r"part-([0-9]{8}T[0-9]{6}Z-[0-9a-f]{16})[-.]")

#: Publishes files, and returns them as the commit tells of them.
Copy = Callable[[list[Curated]], tuple[dict[str, Any], ...]]


def check_read(job: Job, record: Mapping[str, Any]) -> None:
    """Check that a run record and `existing.json` are of one attempt of the transform.

    Raises:
        TableChanged: Another attempt has written the document, and not come to its end.
    """
    told = (storage.get_json(f"{job.runs}existing.json") or {}).get("digest")
    if job.merges_files and told != record.get("existing"):
        raise TableChanged(
            f"{job.runs}existing.json is of another attempt than the run's files; start the run again"
        )


def replace(job: Job, files: list[Curated], at: str, copy: Copy) -> Committed:
    """Replace the partitions of `files` by them.

    Args:
        job: The run.
        files: All of one run; those of partitions that a newer run has replaced are left out.
        at: URI of the commit.
        copy: Publishes.

    Raises:
        TableChanged: Of `merge` and `scd2`; nothing was published.
        PartitionsBusy: Another run is replacing one of the partitions; nothing was published.
    """
    wanted = defaultdict(list)
    for file in files:
        wanted[file.folder].append(file)
    if not wanted:
        commit = Committed((), {})
        storage.put_json(at, encode(commit))
        return commit
    rank = max(_stem(file.uri) for file in files)
    claims = {folder: tuple(sorted(file.uri for file in mine)) for folder, mine in wanted.items()}
    held = leases.take(_runs(job), job.id, at, claims)
    try:
        gone, superseded = _replaced(job, held, claims, rank)
        published = copy([file for folder in gone for file in wanted[folder]])
    except Exception:
        # What cannot be taken back now is taken back by whoever comes next.
        with contextlib.suppress(Exception):
            _withdraw(held, claims)
        raise
    commit = Committed(published, gone, rank, tuple(sorted(superseded)))
    storage.put_json(at, encode(commit))
    _finish(commit, held)
    return commit


def resume(job: Job, commit: Committed) -> None:
    """Complete what a commit says; harmless where that was done."""
    folders = sorted({*commit.gone, *commit.superseded})
    _finish(commit, leases.held(_runs(job), job.id, folders))


def leave(job: Job, folders: Iterable[str]) -> None:
    """Free partitions that an earlier attempt of the run has held and this one does not bring."""
    for lease in leases.held(_runs(job), job.id, sorted(folders)).values():
        leases.release(lease)


def _runs(job: Job) -> str:
    # Not below the dataset: datasets of one pipeline share their table.
    return f"s3://{job.config.target_bucket}/_runs/{job.declared.pipeline}/"


def _replaced(
    job: Job, held: Mapping[str, Lease], claims: Mapping[str, Iterable[str]], rank: str
) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """Return by folder the files to delete, and the folders in which a newer run was first."""
    if job.config.write_mode is WriteMode.OVERWRITE_PARTITIONS:
        superseded = {folder for folder, lease in held.items() if lease.record.newest > rank}
        folders = sorted(set(held) - superseded)
        found = dict(zip(folders, storage.each(_listed, folders), strict=True)) if folders else {}
        # Newer files are of runs that append: whatever replaced the partition is named by its record.
        return {
            folder: tuple(uri for uri in there if uri not in claims[folder] and _stem(uri) <= rank)
            for folder, there in found.items()
        }, superseded
    folders = sorted(held)
    found = dict(zip(folders, storage.each(_listed, folders), strict=True))
    read = _existing(job)
    for folder, there in found.items():
        others = {uri: etag for uri, etag in there.items() if uri not in claims[folder]}
        if others != read[folder]:
            raise TableChanged(_difference(folder, others, read[folder]))
    return {folder: tuple(sorted(read[folder])) for folder in folders}, set()


def _existing(job: Job) -> Mapping[str, dict[str, str]]:
    """Return by folder the files that the transform has read, with their ETags."""
    read: dict[str, dict[str, str]] = defaultdict(dict)
    for file in (storage.get_json(f"{job.runs}existing.json") or {"files": []})["files"]:
        uri = f"s3://{file['bucket']}/{file['key']}"
        read[f"{uri.rpartition('/')[0]}/"][uri] = str(file["etag"]).strip('"')
    return read


def _difference(folder: str, there: Mapping[str, str], read: Mapping[str, str]) -> str:
    names = sorted({*there.items()} ^ {*read.items()})
    first = names[0][0].rpartition("/")[2]
    return (
        f"{folder} is not what the run has read ({len(read)} files then, {len(there)} now; {first} differs): "
        "another run has changed it since; start the run again"
    )


def _withdraw(held: Mapping[str, Lease], claims: Mapping[str, Iterable[str]]) -> None:
    storage.delete_all(uri for files in claims.values() for uri in files)
    storage.each(lambda lease: leases.release(lease, died=True), list(held.values()))


def _finish(commit: Committed, held: Mapping[str, Lease]) -> None:
    """Delete what was replaced, then free the partitions.

    Needs no lease: a name that a commit says is gone is written by no run again.
    """
    storage.delete_all(uri for files in commit.gone.values() for uri in files)

    def free(lease: Lease) -> None:
        leases.release(lease, rank=commit.rank if lease.record.folder in commit.gone else "")

    if held:
        storage.each(free, list(held.values()))


def _listed(folder: str) -> dict[str, str]:
    """Return the data files of one folder with their ETags; hidden ones are those of other programs."""
    bucket, prefix = storage.parse_uri(folder)
    pages = (
        storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    )
    return {
        f"s3://{bucket}/{entry['Key']}": entry["ETag"].strip('"')
        for page in pages
        for entry in page.get("Contents", ())
        if not entry["Key"].removeprefix(prefix).startswith(("_", ".")) and not entry["Key"].endswith("/")
    }


def _stem(uri: str) -> str:
    """Return the run's name in a file's name; a file of another origin is older than any run."""
    found = _STEM.match(uri.rpartition("/")[2])
    return found.group(1) if found else ""
