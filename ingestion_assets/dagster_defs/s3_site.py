"""Where data lies: the deployed buckets on S3, reached from this machine.

In: objects below a source's prefix. Out: the same files and run records that the Lambda function
writes, because it is the same code (`aws_runtime.materialize`), under execution names of Dagster's.
The rows of a file that an execution already ingested are replaced, not doubled.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import boto3

from aws_runtime import storage
from aws_runtime.engines import Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.events import InputEvent, MaterializeEvent, S3Object
from aws_runtime.materialize import materialize
from aws_runtime.records import Places, places
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.dagster_defs.sites import STEP_MEMORY_BYTES, LandedFile, Task, UpstreamMissingError
from ingestion_assets.pipeline import Pipeline


@cache
def _account() -> str:
    account: str = boto3.client("sts").get_caller_identity()["Account"]
    return account


@dataclass(frozen=True, slots=True)
class S3Site:
    """`s3://<stack>-<bucket>-<account>/<key>`.

    Args:
        client: An S3 client that lists the landing bucket.
        stack: Name of the CloudFormation stack that owns the buckets.
        threads: Of one step.
    """

    client: Any
    stack: str
    threads: int = 1

    def uri(self, bucket: str, prefix: str) -> str:
        """Return the `s3://` prefix."""
        return f"s3://{self._physical(bucket)}/{prefix}"

    def open(self, uri: str) -> BinaryIO:
        """Read one object."""
        bucket, key = storage.parse_uri(uri)
        return io.BytesIO(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def files(self, source: str, bucket: str, prefix: str) -> list[LandedFile]:
        """Return every object below the prefix, by key; a folder's marker is no file."""
        physical = self._physical(bucket)
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=physical, Prefix=prefix)
        return [
            LandedFile(
                source=source,
                bucket=physical,
                key=item["Key"],
                version=item["ETag"].strip('"'),
                modified=item["LastModified"],
                uri=f"s3://{physical}/{item['Key']}",
            )
            for page in pages
            for item in page.get("Contents", ())
            if not item["Key"].endswith("/")
        ]

    def row_count(self, pipeline: Pipeline, asset: IngestionAsset) -> int | None:  # noqa: ARG002 - see below
        """Return None: counting a whole table on S3 would read every record ever written."""
        return None

    def materialize(self, task: Task) -> dict[str, Any]:
        """Run the step as the Lambda function does, and return its record with every file listed."""
        inputs = {}
        assets = {asset.name: asset for asset in task.pipeline.assets}
        for parameter, name in task.asset.inputs.items():
            if name in assets:
                uri = self._places(task, assets[name]).record
                upstream: dict[str, Any] | None = storage.get_json(uri)
                if upstream is None:
                    raise UpstreamMissingError(task, assets[name])
                if upstream["status"] == "rejected":
                    return upstream  # its own record keeps the copy of the file
                inputs[parameter] = InputEvent(record=uri)
            else:
                landed = [task.file] if name == task.file.source else task.beside[name]
                inputs[parameter] = InputEvent(objects=_objects(landed))
        event = MaterializeEvent(_execution(task.file), task.file.modified, inputs)
        record = materialize(task.plan, event, self._places(task, task.asset), limits=self._limits)
        if record["status"] == "rejected":
            return record
        files = storage.get_json(record["files"]) or {}
        return {
            **record,
            **{kind: [entry["uri"] for entry in files.get(kind, ())] for kind in ("outputs", "quarantine")},
        }

    def _physical(self, bucket: str) -> str:
        return f"{self.stack}-{bucket}-{_account()}"

    def _places(self, task: Task, asset: IngestionAsset) -> Places:
        to = asset.destination
        return places(
            self.uri(to.bucket.name, to.prefix),
            self.uri(task.pipeline.quarantine.name, ""),
            task.plan if asset is task.asset else task.plan_of(asset),
            _execution(task.file),
        )

    def _limits(self, folder: Path) -> Limits:
        spill = folder / "spill"
        spill.mkdir(exist_ok=True)
        return Limits(STEP_MEMORY_BYTES, self.threads, str(spill))


def _execution(file: LandedFile) -> str:
    """Name an execution after the object's key and content, as the state machine does after its event."""
    return f"dagster-{file.identity.digest}-{file.version[:16]}"


def _objects(files: Sequence[LandedFile]) -> tuple[S3Object, ...]:
    """Name objects as S3's events do, version included: what an execution wrote is then replaced."""
    return tuple(
        _described(S3Object(file.bucket, file.key, etag=file.version, partition=file.partition))
        for given in files
        for file in given.files
    )


def _described(item: S3Object) -> S3Object:
    try:
        return storage.describe(item)
    except RejectedFile:
        return item  # gone since it was listed: the step meets the same and keeps the reason
