"""Load: staged Parquet -> curated files, by write mode; staging is emptied last.

In: the run and its record. Out: the answer of the state `Load`. Names derive from the run, so a retry
overwrites its own files; `published.json` says that nothing but emptying the staging is left to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aws_runtime import storage
from aws_runtime.curation.checking import staged_files
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.job import Job

LISTED = 100
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
_UNTAGGABLE = re.compile(r"[^A-Za-z0-9 +\-=._:/@]")
_TAG_CHARACTERS = 256
_STEM = re.compile(r"part-([0-9]{8}T[0-9]{6}Z-[0-9a-f]{16})[-.]")


@dataclass(frozen=True, slots=True)
class Curated:
    """One curated file: where it is, its rows, and its partition's values and folder."""

    uri: str
    staged: str
    rows: int
    partition: dict[str, str]
    folder: str


def publish(job: Job, record: str) -> dict[str, Any]:
    """Publish what a run staged.

    Raises:
        RunRecordError: There is nothing to publish by.
    """
    done: dict[str, Any] | None = storage.get_json(f"{job.runs}published.json")
    if done is None:
        _, entries = staged_files(job, record)
        files = [_curated(job, entry) for entry in entries]
        if files:
            storage.each(lambda file: _copy(job, file), files)
        if job.config.write_mode is WriteMode.OVERWRITE_PARTITIONS:
            _replace(files)
        done = _answer(files)
        storage.put_json(f"{job.runs}published.json", done)
    _empty(job.staging)
    return done


def _curated(job: Job, entry: dict[str, Any]) -> Curated:
    below = entry["uri"].removeprefix(f"{job.staging}output/")
    folder = below.rpartition("/")[0]
    return Curated(
        f"{job.curated}{below}",
        entry["uri"],
        entry["rows"],
        entry["partition"],
        f"{job.curated}{folder}/" if folder else job.curated,
    )


def _copy(job: Job, file: Curated) -> None:
    bucket, key = storage.parse_uri(file.uri)
    source, staged = storage.parse_uri(file.staged)
    tags = {"job_id": job.id, "source": f"s3://{job.config.source_bucket}/{job.declared.source_prefix}"}
    tagging = urlencode(
        {n: _UNTAGGABLE.sub("_", v)[:_TAG_CHARACTERS] for n, v in (*tags.items(), ("status", "curated"))}
    )
    # The managed copy takes files beyond 5 GB in parts.
    extra = {"TaggingDirective": "REPLACE", "Tagging": tagging}
    storage.s3().copy({"Bucket": source, "Key": staged}, bucket, key, ExtraArgs=extra)


def _replace(files: list[Curated]) -> None:
    """Leave in each partition of the run the files of the newest run alone, whichever ends first.

    Names begin with the run's time, so any two runs agree which one is newer, and no lock is needed.
    """
    ours = {file.uri for file in files}
    for folder in sorted({file.folder for file in files}):
        mine = max(_stem(file.uri) for file in files if file.folder == folder)
        bucket, prefix = storage.parse_uri(folder)
        there = [f"s3://{bucket}/{key}" for key in _keys(bucket, prefix, "/")]
        newer = any(_stem(uri) > mine for uri in there if uri not in ours)
        gone = [uri for uri in there if (uri in ours if newer else uri not in ours)]
        storage.delete_all(uri for uri in gone if not uri.endswith("/"))


def _stem(uri: str) -> str:
    """Return the run's name in a file's name; a file of another origin is older than any run."""
    found = _STEM.match(uri.rpartition("/")[2])
    return found.group(1) if found else ""


def _keys(bucket: str, prefix: str, delimiter: str = "") -> list[str]:
    pages = storage.s3().get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter)
    return [entry["Key"] for page in found for entry in page.get("Contents", ())]


def _empty(prefix: str) -> None:
    bucket, key = storage.parse_uri(prefix)
    found = [f"s3://{bucket}/{each}" for each in _keys(bucket, key)]
    if found:
        storage.delete_all(found)


def _answer(files: list[Curated]) -> dict[str, Any]:
    partitions = sorted({"/".join(f"{n}={v}" for n, v in file.partition.items()) for file in files} - {""})
    return {
        "status": "loaded",
        "outputs": sorted(file.uri for file in files)[:LISTED],
        "output_count": len(files),
        "rows": sum(file.rows for file in files),
        "partitions": partitions[:LISTED],
    }
