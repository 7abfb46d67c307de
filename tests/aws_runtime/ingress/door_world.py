"""An in-process account with a front door: tables, queue messages, functions, and the real machines.

State machines are the lowered ones of the two pipelines, interpreted; their DynamoDB calls are real
calls. `Materialize …` writes one row a file into a list, so that a file that ran twice shows.
"""

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from urllib.parse import quote_plus

import pytest
from moto import mock_aws
from moto.backends import get_backend

from asl.emit.state_machine import definition
from asl.lower import lower_pipeline
from aws_runtime.handlers import build_manifests, orchestrate, sweep
from aws_runtime.ingress import aws
from aws_runtime.ingress.notifications import Arrival
from ingestion_assets.pipelines.csv_to_parquet.pipeline import pipeline as csv_pipeline
from ingestion_assets.pipelines.ndjson_to_parquet.pipeline import pipeline as ndjson_pipeline
from tests.asl.interpreter import StatesError, execute

ACCOUNT, REGION = "123456789012", "eu-west-1"
#: The interpreter's name of every machine.
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:machine"
START = datetime(2025, 1, 17, 12, tzinfo=UTC)
#: By trigger: the table that has the index `live`.
LIVE_TABLES = {"queue": "status", "batches": "batches", "event": "tracking"}


class Killed(BaseException):
    """The process is gone: nothing of a handler may handle this."""


@cache
def machine_definition(trigger):
    """Return the lowered machine of a pipeline with this trigger."""
    pipeline = {"queue": csv_pipeline, "batches": ndjson_pipeline}[trigger]
    return definition(lower_pipeline(pipeline)).definition


def arrivals(count, day="2025-01-17", bucket="input", folder="pipeline/input/", start=0):
    """Return arrivals of files named after a day, a second apart."""
    return [
        Arrival(
            bucket=bucket,
            key=f"{folder}{day}-file{number:03d}.ndjson",
            event_time=(START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.") + "123Z",
            size=1_000_000 + number,
            etag=f"{number:032x}",
            version_id=f"{day}v{number:022d}",
            sequencer=f"0055AED6DCD9{number:06X}",
        )
        for number in range(start, start + count)
    ]


def notification(arrival):
    """Return the body of S3's notification of an object."""
    item = {"key": quote_plus(arrival.key), "size": arrival.size, "eTag": arrival.etag}
    item |= {"versionId": arrival.version_id} if arrival.version_id else {}
    item |= {"sequencer": arrival.sequencer}
    told = {"bucket": {"name": arrival.bucket}, "object": item}
    record = {"eventName": "ObjectCreated:Put", "eventTime": arrival.event_time, "s3": told}
    return json.dumps({"Records": [record]})


def queue_event(given):
    """Return what Lambda hands over: one message for each arrival (or body, as text)."""
    bodies = [item if isinstance(item, str) else notification(item) for item in given]
    return {"Records": [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}


@dataclass
class Door:
    """One account with one pipeline's front door."""

    trigger: str
    clients: aws.Clients
    now: datetime = START
    #: What the machines wrote: a file's id, once for each time that it ran.
    rows: list = field(default_factory=list)
    alerts: list = field(default_factory=list)
    #: Names of states that fail.
    broken: set = field(default_factory=set)
    calls: list = field(default_factory=list)
    kill_at: tuple | None = None
    playing: bool = False
    dated: set = field(default_factory=set)
    left_seconds: int = 240

    # --- functions

    def receive(self, given):
        """Invoke the function that the queue feeds; return the arrivals (or bodies) to send again."""
        given = list(given)
        handler = (orchestrate if self.trigger == "queue" else build_manifests).handler
        answer = handler(queue_event(given), self.context())
        return [given[int(each["itemIdentifier"][1:])] for each in answer["batchItemFailures"]]

    def sweep(self, later=timedelta()):
        self.now += later
        return sweep.handler({}, self.context())

    def context(self):
        return SimpleNamespace(
            function_name="front_door",
            memory_limit_in_mb="512",
            invoked_function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:front_door",
            aws_request_id="00000000-0000-0000-0000-000000000000",
            get_remaining_time_in_millis=lambda: self.left_seconds * 1000,
        )

    def on_call(self, when, model):
        """Count a call, or kill the process before it is sent or after it was answered."""
        if self.playing:
            return
        if when == "before":
            self.calls.append(model.name)
        if self.kill_at == (len(self.calls) - 1, when):
            raise Killed

    def on_answer(self, model, parsed):
        if model.name == "StartExecution" and "executionArn" in parsed:
            # It started at this world's time, not at that of the clock.
            (started,) = [e for e in self.executions() if e.execution_arn == parsed["executionArn"]]
            if started.execution_arn not in self.dated:
                self.dated.add(started.execution_arn)
                started.start_date = self.now
            parsed["startDate"] = started.start_date
        self.on_call("after", model)

    # --- machines

    def executions(self):
        """Return moto's executions, which have statuses of their own."""
        machines = get_backend("stepfunctions")[ACCOUNT][REGION].state_machines
        return [execution for machine in machines for execution in machine.executions]

    def play(self):
        """Run every execution that has not run yet to its end."""
        self.playing = True
        for execution in self.executions():
            if execution.status != "RUNNING":
                continue
            given = json.loads(execution.execution_input)
            done = execute(machine_definition(self.trigger), given, self._answer(given), execution.name)
            execution.status, execution.error, execution.cause = done.status, done.error, done.cause
            execution.stop_date = self.now
        self.playing = False

    def lose(self, status="TIMED_OUT"):
        """End every running execution without a word."""
        for execution in self.executions():
            if execution.status == "RUNNING":
                execution.status, execution.stop_date = status, self.now

    def _answer(self, given):
        def answer(name, resource, arguments):
            if name in self.broken:
                raise StatesError("Service.Broken", "no luck")
            action = resource.rpartition(":::")[2]
            if action == "dynamodb:updateItem":
                table = LIVE_TABLES[self.trigger]
                client = self.clients.dynamodb
                try:
                    client.update_item(**{**arguments, "TableName": table})
                except client.exceptions.ConditionalCheckFailedException as error:
                    raise StatesError("DynamoDB.ConditionalCheckFailedException", str(error)) from error
                return {}
            if action.startswith(("lambda:invoke", "glue:startJobRun")):
                files = self._files(given)
                self.rows += files
                return {"Payload": run_record(len(files)), "JobRunState": "SUCCEEDED"}
            if action == "s3:getObject" or action.endswith("s3:getObject"):
                return {"Body": json.dumps(run_record(len(self._files(given))))}
            if action == "sns:publish":
                self.alerts.append(json.loads(arguments["Message"]))
            return {"FailedEntryCount": 0, "Errors": []}

        return answer

    def _files(self, given):
        detail = given["detail"]
        if "manifest" in detail:
            return [file_id(item) for item in self.manifest(detail["manifest"])["files"]]
        item = detail["object"]
        return [f"{detail['bucket']['name']}/{item['key']}#{item.get('version-id') or item['etag']}"]

    # --- what there is

    def manifest(self, uri):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return json.loads(self.clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def manifests(self):
        """Return all manifests by key."""
        listed = self.clients.s3.list_objects_v2(Bucket="input", Prefix="manifests/").get("Contents", ())
        return {item["Key"]: self.manifest(f"s3://input/{item['Key']}") for item in listed}

    def items(self, table):
        return self.clients.dynamodb.scan(TableName=table)["Items"]

    def statuses(self):
        return Counter(item["status"]["S"] for item in self.items(LIVE_TABLES[self.trigger]))

    def live(self):
        return [item for item in self.items(LIVE_TABLES[self.trigger]) if "live" in item]


def file_id(item):
    return f"{item['bucket']}/{item['key']}#{item.get('version_id') or item['etag']}"


def run_record(files):
    return {
        "status": "completed",
        "rows_in": files * 100,
        "rows_out": files * 100,
        "rows_quarantined": 0,
        "outputs": ["s3://output/pipeline/output/year=2025/month=01/day=17/part-x.snappy.parquet"],
        "output_count": 1,
        "quarantine": [],
        "partitions": [],
        "files_in": files,
        "files_rejected": 0,
        "files_superseded": 0,
        "rejected": {},
        "record": "s3://output/_runs/ndjson_to_parquet/events/2025-01-17-batch-0001.json",
    }


@contextmanager
def front_door(trigger, **environ):
    """Give a fresh account with the functions' environment and the tables as they are deployed."""
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        clients = aws.clients(alerts=True)
        _tables(clients.dynamodb)
        place = {"LocationConstraint": REGION}
        clients.s3.create_bucket(Bucket="input", CreateBucketConfiguration=place)
        role = f"arn:aws:iam::{ACCOUNT}:role/machine"
        empty = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
        clients.states.create_state_machine(name="machine", definition=empty, roleArn=role)
        topic = clients.sns.create_topic(Name="alerts")["TopicArn"]
        door = Door(trigger, clients)
        for name, value in (_environment(trigger, topic) | environ).items():
            patch.setenv(name, value)
        for module in (orchestrate, build_manifests, sweep):
            patch.setattr(module, "datetime", SimpleNamespace(now=lambda _: door.now))
        hooks = list(_hooks(clients, door))
        for client, event, hook, first in hooks:
            (client.meta.events.register_first if first else client.meta.events.register_last)(event, hook)
        try:
            yield door
        finally:
            for client, event, hook, _ in hooks:
                client.meta.events.unregister(event, hook)


def _hooks(clients, door):
    for client in (clients.dynamodb, clients.states, clients.s3, clients.sns):
        service = client.meta.service_model.service_id.hyphenize()
        yield client, f"before-call.{service}", lambda model, **_: door.on_call("before", model), True
        yield client, f"after-call.{service}", lambda model, parsed, **_: door.on_answer(model, parsed), False
    published = f"before-parameter-build.{clients.sns.meta.service_model.service_id.hyphenize()}.Publish"
    yield clients.sns, published, lambda params, **_: door.alerts.append(json.loads(params["Message"])), False


def _environment(trigger, topic):
    return {
        "PIPELINE": {"queue": "csv_to_parquet", "batches": "ndjson_to_parquet", "event": "orders_etl"}[
            trigger
        ],
        "TRIGGER": trigger,
        "TRACKING_TABLE": "tracking",
        "BATCHES_TABLE": "batches",
        "STATUS_TABLE": LIVE_TABLES[trigger],
        "METADATA_TABLE": "metadata",
        "STATE_MACHINE": MACHINE,
        "TOPIC": topic,
        "TIMEOUT_SECONDS": "3600",
        "PREFIX": "pipeline/input/",
        "SUFFIXES": "[]",
        "MANIFESTS": "s3://input/manifests/",
        "BATCH_FILES": "10",
        "BATCH_BYTES": "",
        "MAX_WAIT_SECONDS": "900",
        "RETENTION_DAYS": "400",
    }


def _tables(dynamodb):
    kinds = {"batch": "N"}
    keys = {
        "metadata": ["prefix"],
        "status": ["file_id", "version"],
        "tracking": ["file_id"],
        "batches": ["date", "batch"],
    }
    for table, names in keys.items():
        live = ["live", "live_since"]
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=_schema(names),
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kinds.get(name, "S")} for name in names + live
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "live",
                    "KeySchema": _schema(live),
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )


def _schema(names):
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]
