"""csv_to_parquet on the local AWS: S3 -> SQS -> orchestrator -> machine, by Lambda and by Glue."""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest

from asl.deploy import runs
from ingestion_assets.pipelines.csv_to_parquet.sample_data import write_sales
from tests.e2e.helpers import here, there, until

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]

NAME = "csv_to_parquet"
HEADER = "Order ID;Order Date;Sold At;Branch;Country;Product;Units;Unit Price;Discount %;Remarks"
BUCKET, QUEUE, DEAD = (
    f"PreWorkflowIngestion{each}" for each in ("Bucket", "BucketArrivals", "BucketDeadLetters")
)
METADATA = "PreWorkflowIngestionWorkflowMetadata"


def sales(path, *numbers, product="Lamp"):
    """A good export of one line a number."""
    lines = [f"S-{n:07d};17.01.2025;17.01.2025 10:00:00;Berlin;DE;{product};2;1.249,50;10;" for n in numbers]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return path


def status(stack, key, version):
    """A file's row of `workflow_status`, in DynamoDB's own form."""
    where = {"file_id": {"S": key}, "version": {"S": version}}
    return stack.client("dynamodb").get_item(TableName=stack.pipeline(NAME).table, Key=where).get("Item")


def send(stack, tmp_path, key, *numbers, **given):
    """Upload one export and follow it to its end."""
    from asl.deploy.files import LocalFile  # noqa: PLC0415 - beside its one use

    place, since = stack.pipeline(NAME), datetime.now(UTC)
    file = LocalFile(sales(tmp_path / uuid.uuid4().hex, *numbers, **given), key)
    sent = runs.upload(stack.target, place, [file])
    *_, ended = runs.follow(stack.target, place, sent, since=since, timeout=given.get("timeout", 120))
    return ended[0]


def big_export(path):
    """An export of more than the threshold of `auto`: 8 MiB, most of it remarks. Return how many rows are bad."""
    rows = []
    for n in range(1, 6_001):
        units = "0" if n % 500 == 0 else "1.200"
        remark = f'"line {n};\n{"ü" * 700}"'
        rows.append(f"S-{n:07d};17.01.2025;17.01.2025 10:00:00;online;DE;Lamp;{units};1.249,50;12,5;{remark}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    assert path.stat().st_size > 8 * 2**20
    return 6_000 // 500


@pytest.mark.spark
def test_exports_give_the_rows_that_the_step_gives_here_by_lambda_and_by_glue(deployed, tmp_path):
    summary = write_sales(tmp_path / "sales", files=8, seed=5)
    bad = big_export(tmp_path / "sales" / "online.csv")
    code, found = deployed.run(NAME, tmp_path / "sales")
    assert code == 1  # three files are broken
    states = Counter(run["status"] for run in found.values())
    assert states == {"SUCCEEDED": summary.files - summary.broken_files + 1, "FAILED": summary.broken_files}
    assert found["online.csv"]["rows_quarantined"] == bad
    for number, (key, run) in enumerate(found.items()):
        if run["status"] != "SUCCEEDED":
            continue
        result, schema, rows = here(NAME, tmp_path / "sales" / key, run["file"], tmp_path / str(number))
        counted = (run["rows_in"], run["rows_out"], run["rows_quarantined"])
        assert counted == (result.rows_in, result.rows_out, result.rows_quarantined)
        assert counted[1] + counted[2] == counted[0] > 0
        written, sent = there(deployed, run["outputs"])
        assert sent == rows
        if key == "online.csv":  # Spark stores texts with small offsets
            assert [str(field).replace("large_", "") for field in schema] == list(map(str, written))
        else:
            assert written.equals(schema)
    states = {key: entered(deployed, run) for key, run in found.items()}
    by_glue = {key for key, names in states.items() if "Materialize sales on Glue" in names}
    assert by_glue == {"online.csv"}
    assert all(("Materialize sales" in names) == (key not in by_glue) for key, names in states.items())


def entered(stack, run):
    """Names of the states that an execution entered."""
    arn = stack.pipeline(NAME).machine.replace(":stateMachine:", ":execution:") + f":{run['name']}"
    pages = stack.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    events = [event for page in pages for event in page["events"]]
    return {e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e}


def test_workflow_status_tells_of_start_and_end(deployed, tmp_path):
    run = send(deployed, tmp_path, "a b+c%2F=é/one.csv", 1, 2)
    assert (run.status, run.rows("rows_out")) == ("SUCCEEDED", 2)
    row = status(deployed, "sales/a b+c%2F=é/one.csv", run.file.version)
    assert row["status"] == {"S": "done"}
    assert row["pipeline"] == {"S": NAME}
    assert (row["bucket"]["S"], row["key"]["S"]) == (run.file.bucket, run.file.key)
    assert row["execution_arn"]["S"] == run.execution
    started, finished = (datetime.fromisoformat(row[name]["S"]) for name in ("start_time", "finish_time"))
    assert started < finished
    assert "live" not in row
    assert int(row["expires_at"]["N"]) > time.time()


def test_a_newer_version_replaces_its_own_rows_only(deployed, tmp_path):
    key, other = f"{uuid.uuid4().hex}.csv", f"{uuid.uuid4().hex}.csv"
    neighbour = send(deployed, tmp_path, other, 7)
    first = send(deployed, tmp_path, key, 1, 2, 3)
    second = send(deployed, tmp_path, key, 2, 9, product="Desk")
    assert first.file.version != second.file.version
    alive = set(deployed.objects(deployed.outputs["PostWorkflowIngestionBucket"], "sales/"))
    written = [
        {uri.partition("/sales/")[2] for uri in run.to_json()["outputs"]}
        for run in (neighbour, first, second)
    ]
    left = [{uri for uri in uris if f"sales/{uri}" in alive} for uris in written]
    assert left == [written[0], set(), written[2]]


def test_duplicates_of_an_event_change_nothing(deployed, tmp_path):
    run = send(deployed, tmp_path, "twice.csv", 1)
    sqs, url = deployed.client("sqs"), queue(deployed, QUEUE)
    before = status(deployed, run.file.key, run.file.version)
    executions = count(deployed)
    body = notification(run.file)
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Event": "s3:TestEvent"}))
    until(lambda: depth(sqs, url) == 0)
    assert status(deployed, run.file.key, run.file.version) == before
    assert count(deployed) == executions


def count(stack):
    """How many executions there were."""
    sfn, machine = stack.client("stepfunctions"), stack.pipeline(NAME).machine
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=machine)
    return sum(len(page["executions"]) for page in pages)


def queue(stack, logical):
    from asl.deploy.stack import resources  # noqa: PLC0415 - beside its one use

    return resources(stack.target, stack.name)[logical][1]


def depth(sqs, url):
    """Messages in a queue, being handled or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def notification(file, size=1):
    """What S3 sends to a queue."""
    from urllib.parse import quote_plus  # noqa: PLC0415 - beside its one use

    item = {
        "key": quote_plus(file.key),
        "size": size,
        "eTag": "e",
        "versionId": file.version,
        "sequencer": "01",
    }
    record = {
        "eventName": "ObjectCreated:Put", "eventTime": "2025-01-17T10:15:02.123Z",
        "s3": {"bucket": {"name": file.bucket}, "object": item},
    }  # fmt: skip
    return json.dumps({"Records": [record]})


def test_a_failed_file_is_sent_again_once_its_cause_is_gone(deployed, tmp_path, without):
    restore = without("CsvToParquetSalesFunctionRole", "s3:GetObjectVersion")
    key = f"{uuid.uuid4().hex}.csv"
    run = send(deployed, tmp_path, key, 1)
    assert run.status == "FAILED"
    assert "AccessDenied" in run.error
    row = status(deployed, run.file.key, run.file.version)
    assert (row["status"]["S"], row["live"]["S"]) == ("failed", "failed")
    code, out = deployed.asl("status", NAME, "--state", "failed", "--json")
    listed = json.loads(out)
    assert code == 0
    mine = next(file for file in listed["files"] if file["file"].endswith(key))
    assert "AccessDenied" in mine["reason"]
    assert mine["age_seconds"] >= 0
    restore()
    code, out = deployed.asl("redrive", NAME, "--file", key, "--json")
    (again,) = json.loads(out)["redriven"]
    assert (code, again["attempt"]) == (0, 1)
    row = until(
        lambda: (r := status(deployed, run.file.key, run.file.version))["status"]["S"] == "done" and r
    )
    assert row["rows_out"] == {"N": "1"}
    assert row["execution_arn"]["S"].endswith("-r1")
    assert "live" not in row
    code, out = deployed.asl("redrive", NAME, "--json")
    assert json.loads(out)["redriven"] == []


def test_a_message_that_cannot_be_handled_dies_and_comes_back(deployed, tmp_path, without):
    sqs, url, dead = deployed.client("sqs"), queue(deployed, QUEUE), queue(deployed, DEAD)
    usual = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    restore = without("PreWorkflowIngestionOrchestratorRole", "states:StartExecution")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    try:
        place, since = deployed.pipeline(NAME), datetime.now(UTC)
        sent = runs.upload(deployed.target, place, expand([sales(tmp_path / "dead.csv", 1)]))
        until(lambda: depth(sqs, dead) == 1)
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=usual)
    code, out = deployed.asl("status", NAME)
    assert code == 0
    assert "dead letters: 1; to try them again: asl redrive csv_to_parquet --dead-letters" in out
    restore()
    code, out = deployed.asl("redrive", NAME, "--dead-letters")
    assert (code, out.strip()) == (0, "1 dead letters put back")
    *_, ended = runs.follow(deployed.target, place, sent, since=since, timeout=120)
    assert ended[0].status == "SUCCEEDED"
    assert depth(sqs, dead) == 0


def expand(paths):
    from asl.deploy.files import expand as expanded  # noqa: PLC0415 - beside its one use

    return expanded([str(path) for path in paths])


def test_a_route_added_by_hand_is_respected_and_wins_by_its_length(deployed, tmp_path):
    from asl.deploy import stack as stacks  # noqa: PLC0415 - beside its one use

    sfn, dynamodb = deployed.client("stepfunctions"), deployed.client("dynamodb")
    resources = stacks.resources(deployed.target, deployed.name)
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    name = f"by-hand-{uuid.uuid4().hex[:8]}"
    role = sfn.describe_state_machine(stateMachineArn=deployed.pipeline(NAME).machine)["roleArn"]
    machine = sfn.create_state_machine(
        name=name, definition=definition, roleArn=role,
        tags=[{"key": "ingestion:orchestrated", "value": deployed.name}],
    )["stateMachineArn"]  # fmt: skip
    table, row = resources[METADATA][1], {"prefix": {"S": "sales/hand/"}, "step_function": {"S": machine}}
    dynamodb.put_item(TableName=table, Item=row)
    try:
        s3 = deployed.client("s3")
        version = s3.put_object(Bucket=deployed.pipeline(NAME).bucket, Key="sales/hand/x", Body=b"1")[
            "VersionId"
        ]
        listed = until(lambda: sfn.list_executions(stateMachineArn=machine)["executions"])
        assert len(listed) == 1
        until(lambda: status(deployed, "sales/hand/x", version))
        code, _ = deployed.asl("deploy", "--out", tmp_path / "build")
        assert code == 0
        assert dynamodb.get_item(TableName=table, Key={"prefix": row["prefix"]})["Item"] == row
    finally:
        dynamodb.delete_item(TableName=table, Key={"prefix": row["prefix"]})


def test_a_broken_file_is_rejected_with_its_reason(deployed, tmp_path):
    path = tmp_path / "cut.csv"
    path.write_bytes(gzip.compress(sales(tmp_path / "whole.csv", 1, 2).read_bytes())[:-10])
    code, found = deployed.run(NAME, path)
    assert (code, found["cut.csv"]["status"]) == (1, "FAILED")
    code, out = deployed.asl("status", NAME, "--state", "rejected")
    line = next(line for line in out.splitlines() if "sales/cut.csv" in line)
    assert line.startswith("rejected")
    assert "CorruptFile" in line
