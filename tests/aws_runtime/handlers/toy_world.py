"""A fresh in-process account with the buckets of a pipeline, and its handler over a toy engine."""

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from moto import mock_aws

from aws_runtime import storage
from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.handlers import materialize as handler_module
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan, PartitionPlan

CONTRACT = Contract(
    "Toy",
    tuple(
        Column(name, DataType(kind)) for name, kind in (("id", "string"), ("day", "string"), ("n", "int64"))
    ),
)
PLAN = AssetPlan(
    pipeline="shop",
    asset="order_lines",
    transform="toy_engine:keep",
    inputs=(InputPlan("orders", FormatPlan("json"), CONTRACT),),
    output=OutputPlan(CONTRACT, (PartitionPlan("dt", "day"),)),
    engine="toy",
)
DOWNSTREAM = replace(
    PLAN, asset="summary", inputs=(InputPlan("orders", FormatPlan("parquet"), CONTRACT, origin="asset"),)
)
ROWS = b"\n".join(
    json.dumps({"id": f"o{i}", "day": f"2025-01-{17 + i % 3}", "n": i - 1}).encode() for i in range(8)
)
CONTEXT = SimpleNamespace(
    function_name="order_lines",
    memory_limit_in_mb="2048",
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:order_lines",
    aws_request_id="00000000-0000-0000-0000-000000000000",
)


@dataclass
class World:
    """One fresh account: landing (versioned), inbox (without versions), staging and quarantine."""

    s3: object
    plan: AssetPlan = PLAN
    plans: dict = field(default_factory=dict)

    def put(self, content=ROWS, key="orders/a.json", bucket="landing"):
        """Upload an object and return it as an event names it."""
        made = self.s3.put_object(Bucket=bucket, Key=key, Body=content)
        named = {"bucket": bucket, "key": key, "etag": made["ETag"].strip('"'), "size": len(content)}
        return named | ({"version_id": made["VersionId"]} if "VersionId" in made else {})

    def event(self, *objects, execution="run-1", time="2025-01-17T10:15:02Z"):
        return {"execution": execution, "event_time": time, "inputs": {"orders": {"objects": list(objects)}}}

    def manifest(self, *files, name="batch-0001", times=()):
        """Write a manifest of uploaded objects, `times` being those of their events, and return its URI."""
        moments = times or ["2025-01-17T10:15:02.123Z"] * len(files)
        listed = [{**file, "event_time": time} for file, time in zip(files, moments, strict=True)]
        whole = {"pipeline": "shop", "date": "2025-01-17", "batch": 1, "bytes": 1, "files": listed}
        key = f"manifests/2025-01-17/{name}.json"
        self.s3.put_object(Bucket="landing", Key=key, Body=json.dumps(whole).encode())
        return f"s3://landing/{key}"

    def batch_event(self, uri, execution="2025-01-17-batch-0001"):
        time = "2025-01-17T10:20:00.000Z"
        return {"execution": execution, "event_time": time, "inputs": {"orders": {"manifest": uri}}}

    def downstream_event(self, execution="2025-01-17-batch-0001", **records):
        time = "2025-01-17T10:20:00.000Z"
        inputs = {name: {"record": uri} for name, uri in records.items()}
        return {"execution": execution, "event_time": time, "inputs": inputs}

    def published(self):
        """Return every file of rows, good or quarantined, by key."""
        lines = {key: self.read(f"s3://staging/{key}") for key in self.keys("staging", "lines/")}
        rows = {key: self.read(f"s3://quarantine/{key}") for key in self.keys("quarantine", "rows/")}
        return lines | rows

    def publications(self):
        return [
            json.loads(self.read(f"s3://staging/{key}"))
            for key in self.keys("staging", "_runs/")
            if "/_published/" in key
        ]

    def invoke(self, event, plan=None, destination="s3://staging/lines/"):
        handler_module.load_plan = lambda: plan or self.plan
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DESTINATION", destination)
            patch.setenv("QUARANTINE", "s3://quarantine/")
            return handler_module.handler(event, CONTEXT)

    def keys(self, bucket, prefix=""):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def read(self, uri):
        bucket, key = storage.parse_uri(uri)
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def everything(self):
        """Return every object that runs can write, by URI; publication records without the count of attempts."""
        uris = [f"s3://{bucket}/{key}" for bucket in ("staging", "quarantine") for key in self.keys(bucket)]
        found = {uri: self.read(uri) for uri in uris}
        for uri in uris:
            if "/_published/" in uri:
                found[uri] = json.loads(found[uri])
                found[uri]["owner"].pop("again", None)
        return found


@contextmanager
def fresh_world():
    with mock_aws():
        s3 = storage.s3()
        for bucket in ("landing", "inbox", "staging", "quarantine"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket="landing", VersioningConfiguration={"Status": "Enabled"})
        yield World(s3)


@contextmanager
def counted(world):
    """Count the calls to S3 meanwhile, by operation."""
    calls = Counter()

    def count(event_name, **_):
        calls[event_name.rpartition(".")[2]] += 1

    world.s3.meta.events.register_first("before-send.s3", count)
    try:
        yield calls
    finally:
        world.s3.meta.events.unregister("before-send.s3", count)


EVENTS = {"before": "before-send.s3", "after": "after-call.s3"}


class Killed(BaseException):
    """The process is gone: nothing of the step may handle this."""


def kill_at(world, call, when):
    """Kill the process before sending, or after the answer of, its `call`-th AWS call; None only counts.

    Whatever other threads of the process do after that is never sent.
    """
    made = []

    def count(**_):
        made.append(1)
        if call is not None and len(made) - 1 >= call:
            raise Killed

    events = world.s3.meta.events
    if when == "before":
        events.register_first(EVENTS[when], count)
    else:
        events.register_last(EVENTS[when], count)
    return made, lambda: events.unregister(EVENTS[when], count)
