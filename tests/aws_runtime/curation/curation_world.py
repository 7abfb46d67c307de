"""An in-process AWS with the two zones of a curation, and a function's environment."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.client
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from aws_runtime import storage
from aws_runtime.curation.declared import Declared
from aws_runtime.curation.job import Job, declared, open_job

LANDING, CURATED, QUARANTINE = "landing-1", "curated-1", "quarantine-1"
ENVIRONMENT = {
    "BUCKET_LANDING": LANDING,
    "BUCKET_CURATED": CURATED,
    "QUARANTINE": f"s3://{QUARANTINE}/",
}
COLUMNS = [
    {"name": "order_id", "type": {"name": "string"}},
    {"name": "amount", "type": {"name": "float64"}, "nullable": True},
    {"name": "dt", "type": {"name": "date"}},
    {"name": "region", "type": {"name": "string"}},
]
DOCUMENT: dict[str, Any] = {
    "pipeline": "shop",
    "asset": "orders",
    "contract": {"name": "Order", "columns": COLUMNS},
    "output_contract": {"name": "Order", "columns": COLUMNS},
    "defaults": {"source_bucket": "landing", "target_bucket": "curated"},
    "buckets": {"landing": "BUCKET_LANDING", "curated": "BUCKET_CURATED"},
    "source_prefix": "orders/",
    "target_prefix": "orders/",
    "partition_by": [{"name": "dt", "column": "dt"}, {"name": "region", "column": "region"}],
}
CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:f",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 900_000,
)
EVENT_TIME = "2024-07-02T10:00:00+00:00"


def told(**changes: Any) -> Declared:
    return declared(json.dumps({**DOCUMENT, **changes}))


def event(given: dict[str, Any] | None = None, execution: str = "job-1") -> dict[str, Any]:
    return {"execution": execution, "event_time": EVENT_TIME, "input": given or {}}


def opened(given: dict[str, Any] | None = None, execution: str = "job-1", **changes: Any) -> Job:
    job, _ = open_job(event(given, execution), told(**changes), ENVIRONMENT, lambda _name: None)
    return job


def orders(*ids: str, **columns: list[Any]) -> bytes:
    return parquet(pa.table({"order_id": list(ids), "amount": [1.5] * len(ids), **columns}))


def parquet(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def put(bucket: str, key: str, body: bytes) -> None:
    storage.s3().put_object(Bucket=bucket, Key=key, Body=body)


def get(bucket: str, key: str) -> bytes:
    body: bytes = storage.s3().get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def keys(bucket: str, prefix: str = "") -> list[str]:
    found = storage.s3().list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return [entry["Key"] for entry in found]


@contextmanager
def aws(monkeypatch: pytest.MonkeyPatch, *, versioned: bool = True) -> Iterator[None]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "POWERTOOLS_SERVICE_NAME": "shop",
        **ENVIRONMENT,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    storage.s3.cache_clear()
    with mock_aws():
        client = boto3.client("s3", "eu-west-1")
        for bucket in (LANDING, CURATED, QUARANTINE):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            if versioned:
                client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield
    storage.s3.cache_clear()


class KilledError(Exception):
    """The function ends here."""


@dataclass
class Killer:
    """Ends the function before or after one of its AWS calls; `calls` names those that it made."""

    at: int
    after: bool
    calls: list[str]
    dead: bool = False


@contextmanager
def killed(at: int = -1, *, after: bool = False) -> Iterator[Killer]:
    """Count AWS calls, and end the function at the given one; nothing is called from then on."""
    killer, lock = Killer(at, after, []), threading.Lock()
    original = botocore.client.BaseClient._make_api_call

    def call(self: Any, name: str, arguments: Any) -> Any:
        if killer.dead:
            raise KilledError
        with lock:
            number = len(killer.calls)
            killer.calls.append(name)
        if number == at and not after:
            killer.dead = True
            raise KilledError
        try:
            return original(self, name, arguments)
        finally:
            if number == at:
                killer.dead = True
                raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        yield killer
