"""Following files to the end of their executions, whatever the executions did."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime

import pytest

from asl.deploy import runs, tracking
from asl.deploy.files import LocalFile
from asl.deploy.locate import Deployed
from asl.deploy.target import Target
from aws_runtime.identity import FileIdentity

pytestmark = pytest.mark.local_aws


@pytest.fixture
def target(local_aws):
    return Target.local(local_aws.endpoint)


@pytest.fixture
def place(target, aws):
    """A landing bucket, a table and a machine that ends as its input says; nothing connects them."""
    name = f"r-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=name)
    aws("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    aws("dynamodb").create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "file_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "file_id", "AttributeType": "S"}],
    )  # fmt: skip
    states = {
        "A": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $exists($states.input.fail) %}", "Next": "F"}],
            "Default": "S",
        },
        "F": {"Type": "Fail", "Error": "RunFailed", "Cause": "the cause"},
        "S": {"Type": "Succeed"},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "A", "States": states})
    machine = aws("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=role)[
        "stateMachineArn"
    ]
    return Deployed("p", name, "in/", name, machine)


def start(aws, place, file, **more):
    detail = {"bucket": {"name": file.bucket}, "object": {"key": file.key, "version-id": file.version}}
    text = json.dumps({"detail": detail, **more})
    arn = aws("stepfunctions").start_execution(stateMachineArn=place.machine, input=text)["executionArn"]
    while aws("stepfunctions").describe_execution(executionArn=arn)["status"] == "RUNNING":
        time.sleep(0.02)
    return arn


def track(aws, place, file, status, arn="", **numbers):
    item = {"file_id": {"S": file.file_id}, "status": {"S": status}}
    item |= {"execution_arn": {"S": arn}} if arn else {}
    aws("dynamodb").put_item(
        TableName=place.table, Item=item | {k: {"N": str(v)} for k, v in numbers.items()}
    )


def follow(target, place, files, **given):
    """Follow with a clock that runs as it is slept on."""
    now = [0.0]
    states = runs.follow(
        target, place, files, since=datetime.now(UTC), timeout=given.pop("timeout", 5), clock=lambda: now[0],
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds), **given,
    )  # fmt: skip
    return list(states)[-1]


@pytest.mark.parametrize("key", ["a.json", "a b+c.json", "d%2F=é🎉/x.json"])
def test_an_uploaded_file_is_known_by_its_version(target, place, aws, tmp_path, key):
    path = tmp_path / "f"
    path.write_text("{}")
    sent = runs.upload(target, place, [LocalFile(path, key)])
    head = aws("s3").head_object(Bucket=place.bucket, Key=f"in/{key}")
    assert sent == (FileIdentity(place.bucket, f"in/{key}", head["VersionId"]),)


def test_files_of_many_batches_are_followed(target, place, aws):
    files = [FileIdentity(place.bucket, f"in/{n}", "v") for n in range(230)]
    arn = start(aws, place, files[0])
    for file in files:
        track(aws, place, file, "completed", arn, rows_in=3, rows_out=2, rows_quarantined=1)
    ended = follow(target, place, files)
    assert {run.status for run in ended} == {"SUCCEEDED"}
    assert sum(run.rows("rows_out") for run in ended) == 460
    first = ended[0].to_json()
    assert first["name"] == arn.rpartition(":")[2]
    assert (first["rows_in"], first["rows_out"], first["rows_quarantined"], first["error"]) == (3, 2, 1, None)


def test_a_file_whose_event_started_nothing_is_reported(target, place):
    file = FileIdentity(place.bucket, "in/a", "v")
    run = follow(target, place, [file], timeout=5)[0]
    assert (run.status, run.error) == ("NOT_STARTED", "no execution started within 5 s of the upload")


def test_an_execution_that_failed_before_it_could_track_is_found_by_its_input(target, place, aws):
    files = [FileIdentity(place.bucket, "in/a b", "v1"), FileIdentity(place.bucket, "in/a b", "v2")]
    start(aws, place, files[1], fail=True)
    first, second = follow(target, place, files)
    assert first.status == "NOT_STARTED"
    assert (second.status, second.error) == ("FAILED", "RunFailed: the cause")


def test_an_execution_that_died_without_tracking_its_end_is_noticed(target, place, aws):
    files = [FileIdentity(place.bucket, f"in/{n}", "v") for n in range(11)]
    for file in files:
        track(aws, place, file, "started", start(aws, place, file, fail=True))
    assert {run.status for run in follow(target, place, files)} == {"FAILED"}


def test_a_rejection_is_told_with_its_reason(target, place, aws):
    file = FileIdentity(place.bucket, "in/a", "v")
    arn = start(aws, place, file, fail=True)
    track(aws, place, file, "rejected", arn)
    given = {"M": {"code": {"S": "MalformedJson"}, "message": {"S": "at byte 7"}}}
    aws("dynamodb").update_item(
        TableName=place.table, Key={"file_id": {"S": file.file_id}}, UpdateExpression="SET #r = :r",
        ExpressionAttributeNames={"#r": "reason"}, ExpressionAttributeValues={":r": given},
    )  # fmt: skip
    assert follow(target, place, [file])[0].error == "MalformedJson: at byte 7"


@pytest.mark.parametrize(
    ("tracked", "told"),
    [
        (
            {"code": "KeyError", "message": '{"errorMessage": "a: \'b\'", "stackTrace": ["…"]}'},
            "KeyError: a: 'b'",
        ),
        (
            {"code": "States.TaskFailed", "message": '{"JobName": "j", "ErrorMessage": "no disk"}'},
            "States.TaskFailed: no disk",
        ),
        ({"code": "Odd", "message": '{"other": 1}'}, 'Odd: {"other": 1}'),
        ({"code": "EmptyFile", "message": "0 bytes (s3://landing/a#b.json)"}, "EmptyFile: 0 bytes"),
        (None, None),
    ],
)
def test_a_reason_is_one_line_for_a_person(tracked, told):
    assert tracking.reason({"file_id": "landing/a#b.json#v1", "reason": tracked}) == told
