"""AWS as a state machine sees it, without one: answers Tasks, and remembers what was asked."""

from __future__ import annotations

import json

from asl.emit.state_machine import definition
from asl.lower import lower_pipeline
from asl.names import function_id, job_id
from ingestion_assets.pipeline import Pipeline, S3Batches
from tests.asl.interpreter import Execution, StatesError, execute

KEY = "files/a day/über+50%25.json"
EVENT = {
    "time": "2025-01-17T10:15:02Z",
    "detail": {
        "bucket": {"name": "stack-landing-123456789012"},
        "object": {
            "key": KEY,
            "size": 12,
            "etag": "e7a9",
            "version-id": "v.1",
            "sequencer": "0066F7C1D2",
        },
    },
}
FILE_ID = f"stack-landing-123456789012/{KEY}#v.1"
MANIFEST = "s3://stack-landing-123456789012/manifests/2025-01-17/batch-0003.json"
BATCH = {
    "time": "2025-01-17T10:15:02.123Z",
    "detail": {
        "manifest": MANIFEST,
        "bucket": "stack-landing-123456789012",
        "date": "2025-01-17",
        "batch": 3,
        "files": 10,
        "bytes": 120,
    },
}


class World:
    """Answers Tasks as AWS would, and remembers what was asked."""

    def __init__(
        self, pipeline: Pipeline, rejecting: str = "", failing: frozenset[str] | set[str] = frozenset()
    ) -> None:
        self.functions = {f"${{{function_id(pipeline.name, a.name)}Arn}}": a.name for a in pipeline.assets}
        self.jobs = {f"${{{job_id(pipeline.name, a.name)}}}": a.name for a in pipeline.assets}
        self.rejecting, self.failing = rejecting, failing
        self.calls: list[tuple[str, object]] = []
        self.events: dict[str, dict] = {}
        self.ran: list[str] = []
        self.completed_already = False
        self.batches = isinstance(pipeline.trigger, S3Batches)
        self.lost: dict[str, dict[str, str]] = {}

    def __call__(self, name: str, resource: str, arguments):
        action = resource.rpartition(":::")[2]
        if name in self.failing:
            raise StatesError("Service.Broken", "no luck " * 1000)
        self.calls.append((action, arguments))
        return getattr(
            self, "on_" + action.lower().replace("aws-sdk:", "").replace(":", "_").replace(".", "_")
        )(arguments)

    def record(self, asset: str) -> dict:
        self.ran.append(asset)
        rejected = asset == self.rejecting
        return self.batch_record(asset) if self.batches else self.file_record(asset, rejected=rejected)

    def batch_record(self, asset: str) -> dict:
        lost = self.lost.get(asset, {})
        return {
            **self.file_record(asset, rejected=False),
            "files_in": 10,
            "files_rejected": len(lost),
            "files_superseded": 1,
            "rejected": {digest: {"code": code, "message": "line 3"} for digest, code in lost.items()},
        }

    def file_record(self, asset: str, *, rejected: bool) -> dict:
        return {
            "status": "rejected" if rejected else "completed",
            "rows_in": 0 if rejected else 5,
            "rows_out": 0 if rejected else 3,
            "rows_quarantined": 0 if rejected else 2,
            "outputs": [] if rejected else [f"s3://lake/{asset}/day=1/x.parquet"],
            "output_count": 0 if rejected else 1,
            "quarantine": [f"s3://quarantine/{asset}.parquet"],
            "partitions": []
            if rejected
            else [
                {"values": [["2025-01-17"], ["ä/b"]], "paths": ["day=2025-01-17/", "day=ä%2Fb/"]},
                {"values": [["50%"]], "paths": ["day=50%25/"]},
            ],
            "record": f"s3://lake/_runs/{asset}/run-1.json",
            **({"reason": {"code": "MalformedJson", "message": "line 3"}} if rejected else {}),
        }

    def on_lambda_invoke(self, arguments):
        asset = self.functions[arguments["FunctionName"]]
        self.events[asset] = arguments["Payload"]
        return {"Payload": self.record(asset), "StatusCode": 200}

    def on_glue_startjobrun_sync(self, arguments):
        asset = self.jobs[arguments["JobName"]]
        self.events[asset] = json.loads(arguments["Arguments"]["--event"])
        return {"JobRunState": "SUCCEEDED"}

    def on_s3_getobject(self, arguments):
        return {"Body": json.dumps(self.record(arguments["Key"].split("/")[2]))}

    def on_glue_batchcreatepartition(self, arguments):
        existing = arguments["PartitionInputList"][0]["Values"]
        return {
            "Errors": [{"PartitionValues": existing, "ErrorDetail": {"ErrorCode": "AlreadyExistsException"}}]
        }

    def on_glue_startcrawler(self, arguments):
        return {}

    def on_events_putevents(self, arguments):
        return {"FailedEntryCount": 0}

    def on_sns_publish(self, arguments):
        return {"MessageId": "1"}

    def on_dynamodb_updateitem(self, arguments):
        if self.completed_already and "ConditionExpression" in arguments:
            raise StatesError("DynamoDB.ConditionalCheckFailedException", "The conditional request failed")
        return {}

    def tracked(self) -> list[str]:
        """Return the statuses that were written, in order."""
        updates = [arguments for action, arguments in self.calls if action == "dynamodb:updateItem"]
        return [update["ExpressionAttributeValues"][":status"]["S"] for update in updates]

    def asked(self, action: str) -> list:
        return [arguments for name, arguments in self.calls if name == action]


def input_of(pipeline: Pipeline, size: int | None = None) -> dict:
    """Return what starts an execution of a pipeline, for files of `size` bytes."""
    given = json.loads(json.dumps(BATCH if isinstance(pipeline.trigger, S3Batches) else EVENT))
    if size is not None and "object" in given["detail"]:
        given["detail"]["object"]["size"] = size
    elif size is not None:
        given["detail"]["bytes"] = size
    return given


def run(pipeline: Pipeline, size: int | None = None, **how) -> tuple[Execution, World]:
    """Execute a pipeline's machine once."""
    world = World(pipeline, **how)
    return execute(definition(lower_pipeline(pipeline)).definition, input_of(pipeline, size), world), world
