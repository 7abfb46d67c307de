"""One staged Parquet file -> one curated file: copied within S3, or converted on the way.

In: the entry of a staged file. Out: `Curated`, with the version, ETag and size that S3 gave it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from aws_runtime import storage
from aws_runtime.curation import convert
from aws_runtime.curation.checking import RunRecordError
from aws_runtime.curation.config import OutputFormat
from aws_runtime.curation.job import Job
from aws_runtime.events import S3Object

#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
_UNTAGGABLE = re.compile(r"[^A-Za-z0-9 +\-=._:/@]")
_TAG_CHARACTERS = 256
#: Files that are converted several at a time: memory bounds it.
SMALL_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Curated:
    """One curated file.

    Args:
        uri: Where it is, or will be.
        staged: The Parquet file that it is made from.
        rows: How many it holds.
        partition: Its partition's values by name.
        folder: URI of its partition, ending in `/`.
        size: Bytes, once it is there.
        etag: Without quotes, once it is there.
        version_id: In a bucket with versions.
    """

    uri: str
    staged: str
    rows: int
    partition: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    size: int = 0
    etag: str = ""
    version_id: str | None = None


def curated(job: Job, entry: Mapping[str, Any]) -> Curated:
    """Return what becomes of a staged file, as the list of the run's files tells of it."""
    below = entry["uri"].removeprefix(f"{job.staging}output/")
    folder = below.rpartition("/")[0]
    form = job.config.output_format
    if form is not OutputFormat.PARQUET:
        below = f"{below.removesuffix('.parquet').removesuffix(f'.{job.declared.compression}')}.{form}"
    return Curated(
        f"{job.curated}{below}",
        entry["uri"],
        entry["rows"],
        entry["partition"],
        f"{job.curated}{folder}/" if folder else job.curated,
    )


def publish_files(job: Job, files: Sequence[Curated]) -> list[Curated]:
    """Publish files of a run; the staging is listed once, for sizes and ETags.

    Raises:
        RunRecordError: One is not in the staging.
    """
    if not files:
        return []
    staged = _staged(job)

    def item(file: Curated) -> S3Object:
        found = staged.get(storage.parse_uri(file.staged)[1])
        if found is None:
            raise RunRecordError(f"{file.staged} is not in the staging any more; start the run again")
        return found

    pairs = [(file, item(file)) for file in files]
    if job.config.output_format is OutputFormat.PARQUET:
        return storage.each(lambda pair: _copied(job, *pair), pairs)
    small = [pair for pair in pairs if (pair[1].size or 0) <= SMALL_BYTES]
    large = [pair for pair in pairs if (pair[1].size or 0) > SMALL_BYTES]
    done = storage.each(lambda pair: _converted(job, *pair), small) if small else []
    return [*done, *(_converted(job, *pair) for pair in large)]


def _staged(job: Job) -> dict[str, S3Object]:
    bucket, prefix = storage.parse_uri(f"{job.staging}output/")
    pages = storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {
        entry["Key"]: S3Object(bucket, entry["Key"], etag=entry["ETag"].strip('"'), size=entry["Size"])
        for page in pages
        for entry in page.get("Contents", ())
    }


def _converted(job: Job, file: Curated, item: S3Object) -> Curated:
    size, answer = convert.convert(
        item, file.uri, job.config.output_format, job.declared.output_contract, tagging(job)
    )
    return _told(replace(file, size=size), answer["ETag"], answer.get("VersionId"))


def tagging(job: Job) -> str:
    """Return the tags of a curated file, URL-encoded."""
    tags = {
        "job_id": job.id,
        "source": f"s3://{job.config.source_bucket}/{job.declared.source_prefix}",
        "status": "curated",
    }
    return urlencode({name: _UNTAGGABLE.sub("_", value)[:_TAG_CHARACTERS] for name, value in tags.items()})


def _copied(job: Job, file: Curated, item: S3Object) -> Curated:
    bucket, key = storage.parse_uri(file.uri)
    source = {"Bucket": item.bucket, "Key": item.key}
    extra = {
        "TaggingDirective": "REPLACE",
        "Tagging": tagging(job),
        "CopySourceIfMatch": f'"{item.etag}"',
    }
    file = replace(file, size=item.size or 0)
    if file.size <= storage.COPY_BYTES:
        answer = storage.s3().copy_object(CopySource=source, Bucket=bucket, Key=key, **extra)
        return _told(file, answer["CopyObjectResult"]["ETag"], answer.get("VersionId"))
    # In parts, whose answer names neither ETag nor version.
    storage.s3().copy(source, bucket, key, ExtraArgs=extra)
    head = storage.s3().head_object(Bucket=bucket, Key=key)
    return _told(file, head["ETag"], head.get("VersionId"))


def _told(file: Curated, etag: str, version: str | None) -> Curated:
    return replace(file, etag=etag.strip('"'), version_id=None if version == "null" else version)
