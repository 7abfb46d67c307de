"""Load, for a Delta table: the version that a run's writer told of -> the published files, tagged.

In: a run, whose `delta.json` its writer has left. Out: `Curated` files of that version, as the log has them.
The table's files are where they are to be: nothing is copied.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from botocore.exceptions import ClientError

from aws_runtime import storage
from aws_runtime.codec import decode
from aws_runtime.curation import delta_log
from aws_runtime.curation.checking import RunRecordError
from aws_runtime.curation.delta_log import AddedFile
from aws_runtime.curation.delta_run import Written
from aws_runtime.curation.files import Curated, tagging
from aws_runtime.curation.job import Job
from aws_runtime.partitions import HIVE_NULL

_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


def published(job: Job) -> list[Curated]:
    """Tag the files that the run has added to its table, and return them.

    Files that a later run has replaced, and that were vacuumed since, are left out.

    Raises:
        RunRecordError: Nobody has written the run.
    """
    document = storage.get_json(f"{job.runs}delta.json")
    if document is None:
        raise RunRecordError(f"{job.runs}delta.json: the run has not been written into {job.curated}")
    done = decode(Written, document)
    commit = delta_log.read(job.curated, done.version) if done.changed else None
    if commit is None or not commit.added:
        return []
    found = storage.each(lambda file: _tagged(job, file), list(commit.added))
    return [file for file in found if file is not None]


def _tagged(job: Job, file: AddedFile) -> Curated | None:
    bucket, key = storage.parse_uri(file.uri)
    tags = [{"Key": name, "Value": value} for name, value in parse_qsl(tagging(job))]
    try:
        storage.s3().put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": tags})
        head = storage.s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    version = head.get("VersionId")
    # The log's values are in no order.
    values = {name: file.partition.get(name) for name in job.partitions}
    return Curated(
        uri=file.uri,
        staged="",
        rows=file.rows or 0,
        partition={name: HIVE_NULL if value is None else value for name, value in values.items()},
        folder=f"{file.uri.rpartition('/')[0]}/",
        size=file.size,
        etag=head["ETag"].strip('"'),
        version_id=None if version == "null" else version,
    )
