"""What a run takes: the object that started it -> the exact versions of the files that are its own.

In: a `Job`, and the object of its event, if there is one. Out: pinned files, and why the one that was
asked for is none of them. A marker (`_SUCCESS`) stands for all files below its folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aws_runtime import documents, storage
from aws_runtime.curation.job import Job
from aws_runtime.errors import RejectedFile
from aws_runtime.events import S3Object

#: Files of one run: seven calls each, sixteen at a time, within the fifteen minutes of a function.
MOST_FILES = 10_000
#: Codes of a file that is not there to be read.
GONE = frozenset({"ObjectDeleted", "ObjectReplaced"})


class TooManyFilesError(Exception):
    """More files than one run takes; nothing was touched."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run begins with: its files, and the one of its event that was gone before, with the reason."""

    files: tuple[S3Object, ...]
    lost: tuple[S3Object, RejectedFile] | None = None


def taken(job: Job, arrived: S3Object | None) -> Taken:
    """Return the exact versions that a run takes.

    Args:
        job: The run.
        arrived: The object of its event: a file, or a marker, whose name begins with `_`, for all files
            below its folder. None takes all files below the source's prefix.

    Raises:
        TooManyFilesError: Nothing was touched.
    """
    prefix = job.declared.source_prefix
    if arrived is None:
        return Taken(_all_below(job, prefix))
    folder, _, name = arrived.key.removeprefix(prefix).rpartition("/")
    if name.startswith("_"):
        return Taken(_all_below(job, f"{prefix}{folder}/" if folder else prefix))
    if _ignored(arrived.key.removeprefix(prefix)):
        return Taken(())
    try:
        return Taken((storage.describe(arrived),))
    except RejectedFile as error:
        if error.code not in GONE:
            raise
        return Taken((), (arrived, error))


def _all_below(job: Job, folder: str) -> tuple[S3Object, ...]:
    found = list(_listed(job, folder))
    if len(found) > MOST_FILES:
        raise TooManyFilesError(
            f"more than {MOST_FILES:,} files below s3://{job.config.source_bucket}/{folder}; "
            "send them in several runs"
        )

    def pin(item: S3Object) -> S3Object | None:
        try:
            return storage.describe(item)
        except RejectedFile as error:
            if error.code in GONE:  # another run took it since the listing
                return None
            raise

    return tuple(item for item in storage.each(pin, found) if item is not None) if found else ()


def _listed(job: Job, folder: str) -> Iterator[S3Object]:
    count = 0
    pages = storage.s3().get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=job.config.source_bucket, Prefix=folder):
        for entry in page.get("Contents", ()):
            if count > MOST_FILES:
                return
            if not _ignored(entry["Key"].removeprefix(job.declared.source_prefix)):
                count += 1
                yield S3Object(job.config.source_bucket, entry["Key"], etag=entry["ETag"].strip('"'))


def _ignored(below: str) -> bool:
    """Whether a key is a folder's marker, or hidden as Hive and Spark hide: `_temporary/x`, `.part.crc`."""
    return not below or below.endswith("/") or any(part.startswith(("_", ".")) for part in below.split("/"))


def owner(job: Job, item: S3Object) -> str:
    """Return the job that a version of a file belongs to: this one, unless another was there first.

    Two runs may take the same file: an event comes twice, or a run is started by hand meanwhile. Whose
    note of it is written first has it, for good, so that its rows come once.
    """
    note = {"job_id": job.id, "uri": item.identity.uri, "version": item.identity.version}
    if documents.write(_note(job, item), note, None) is None:
        return known_owner(job, item) or owner(job, item)
    return job.id


def known_owner(job: Job, item: S3Object) -> str | None:
    """Return the job that a version of a file belongs to, or None where none has taken it."""
    note = storage.get_json(_note(job, item))
    return None if note is None else str(note["job_id"])


def disown(job: Job, item: S3Object) -> None:
    """Forget whose a file was, where its version is told by its content: it may come again."""
    if item.version_id in (None, "null"):
        storage.delete_all([_note(job, item)])


def _note(job: Job, item: S3Object) -> str:
    place = f"{job.config.target_bucket}/_runs/{job.declared.pipeline}/_taken"
    return f"s3://{place}/{item.identity.digest}.json"
