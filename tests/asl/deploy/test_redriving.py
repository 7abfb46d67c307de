"""Failed files and dead letters, sent again; the commands' usage errors."""

from __future__ import annotations

import json
import uuid
from urllib.parse import quote_plus

import pytest
from click.testing import CliRunner

from asl.cli import cli
from asl.commands import redrive as command
from asl.commands import status as status_command
from asl.deploy import locate, redriving, status
from asl.deploy.locate import Deployed
from asl.deploy.target import Target

pytestmark = pytest.mark.local_aws


@pytest.fixture
def target(local_aws):
    return Target.local(local_aws.endpoint)


@pytest.fixture(params=["event", "queue"])
def place(target, request):
    """A pipeline of single files: a table with the index `live`, queues, and a machine that succeeds."""
    name, keys = f"r-{uuid.uuid4().hex[:8]}", {"file_id": "HASH"}
    if request.param == "queue":
        keys["version"] = "RANGE"
    sqs = target.client("sqs")
    queues = [sqs.create_queue(QueueName=f"{name}-{each}")["QueueUrl"] for each in ("arrivals", "dead")]
    live = [{"AttributeName": "live", "KeyType": "HASH"}, {"AttributeName": "live_since", "KeyType": "RANGE"}]
    target.client("dynamodb").create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in (*keys, "live", "live_since")],
        GlobalSecondaryIndexes=[{"IndexName": "live", "KeySchema": live, "Projection": {"ProjectionType": "KEYS_ONLY"}}],
    )  # fmt: skip
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = target.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    machine = target.client("stepfunctions").create_state_machine(
        name=name, definition=definition, roleArn=role
    )["stateMachineArn"]
    return Deployed(
        "p", name, "in/", name, machine, trigger=request.param,
        queue=queues[0] if request.param == "queue" else "", dead_letters=queues[1],
    )  # fmt: skip


def put(target, place, key, state, pipeline="p"):
    """The item of a file, as the machine leaves it."""
    version, finished = f"v-{key}", "finish_time" if place.trigger == "queue" else "finished_at"
    item = {
        "file_id": f"in/{key}" if place.trigger == "queue" else f"{place.bucket}/in/{key}#{version}",
        "bucket": place.bucket, "key": f"in/{key}", "version": version, "etag": "e", "sequencer": "01",
        "event_time": "2025-01-17T10:00:00.000Z", "status": state, "pipeline": pipeline,
        finished: f"2025-01-17T1{len(key)}:00:00.000Z",
    }  # fmt: skip
    item |= {"live": "failed", "live_since": "2025-01-17T11:00:00.000Z"} if state == "failed" else {}
    given = {name: {"S": value} for name, value in item.items()} | {"size": {"N": "5"}}
    given["reason"] = {
        "M": {"code": {"S": "Boom"}, "message": {"S": f"no memory (s3://{place.bucket}/in/{key})"}}
    }
    target.client("dynamodb").put_item(TableName=place.table, Item=given)


def test_failed_files_are_sent_again_once(target, place):
    for key, state in (("a b+c", "failed"), ("bb", "failed"), ("c", "rejected"), ("d", "completed")):
        put(target, place, key, state)
    again = list(redriving.redrive(target, place, "failed"))
    assert sorted(each.what for each in again) == [f"s3://{place.bucket}/in/{key}" for key in ("a b+c", "bb")]
    assert {each.attempt for each in again} == {1}
    sfn = target.client("stepfunctions")
    started = {
        e["name"]: e["executionArn"] for e in sfn.list_executions(stateMachineArn=place.machine)["executions"]
    }
    assert set(started) == {each.execution for each in again}
    event = json.loads(sfn.describe_execution(executionArn=started[again[0].execution])["input"])
    assert event["detail"]["object"]["key"] in ("in/a b+c", "in/bb")
    assert list(redriving.redrive(target, place, "failed")) == []
    (rejected,) = redriving.redrive(target, place, "rejected", files=["c"])
    assert rejected.what.endswith("in/c")


def test_files_of_other_pipelines_in_a_shared_table_are_left_alone(target, place):
    put(target, place, "a", "failed", pipeline="other")
    expected = [] if place.trigger == "queue" else ["a"]  # the table of events is the pipeline's own
    assert [each.what[-1] for each in redriving.redrive(target, place, "failed")] == expected


def test_states_are_counted_and_listed_newest_first(target, place):
    well = "done" if place.trigger == "queue" else "completed"
    for key, state in (("a", "failed"), ("ccc", "rejected"), ("bb", "failed"), ("dddd", well)):
        put(target, place, key, state)
    found = status.report(target, place)
    files = list(found.files)
    assert found.counts == {"failed": 2, "rejected": 1, well: 1}
    assert [file.file.key for file in files] == ["in/ccc", "in/bb", "in/a"]
    assert {file.reason for file in files} == {"Boom: no memory"}
    assert [file.file.key for file in status.report(target, place, well).files] == ["in/dddd"]


def body(place, key):
    """A dead letter about a file: EventBridge's event, or S3's own notification."""
    if place.trigger == "event":
        item = {"key": f"in/{key}", "size": 1, "etag": "e", "version-id": "v", "sequencer": "01"}
        detail = {"bucket": {"name": place.bucket}, "object": item}
        return json.dumps({"detail-type": "Object Created", "time": "2025-01-17T10:00:00Z", "detail": detail})
    item = {"key": quote_plus(f"in/{key}"), "size": 1, "eTag": "e", "versionId": "v", "sequencer": "01"}
    s3 = {"bucket": {"name": place.bucket}, "object": item}
    record = {"eventName": "ObjectCreated:Put", "eventTime": "2025-01-17T10:00:00.000Z", "s3": s3}
    return json.dumps({"Records": [record]})


def test_dead_letters_go_back_to_where_they_came_from(target, place):
    sqs = target.client("sqs")
    letters = [body(place, f"{n} é") for n in range(12)]
    for letter in (*letters, letters[0]):
        sqs.send_message(QueueUrl=place.dead_letters, MessageBody=letter)
    assert status.depths(target, place).dead == 13
    moved = redriving.dead_letters(target, place)
    assert moved.left == ()
    if place.trigger == "queue":
        assert (moved.returned, moved.started) == (13, ())
        assert status.depths(target, place) == status.Depths(13, 0, 0)
        returned = [m["Body"] for _ in range(2) for m in receive(sqs, place.queue)]
        assert sorted(returned) == sorted([*letters, letters[0]])
    else:
        assert (moved.returned, len(moved.started)) == (0, 13)
        listed = target.client("stepfunctions").list_executions(stateMachineArn=place.machine)
        assert len(listed["executions"]) == 12  # a duplicate is the same execution
        assert status.depths(target, place) == status.Depths(None, None, 0)


def receive(sqs, url):
    return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])


def test_a_dead_letter_that_is_no_event_stays(target, place):
    sqs = target.client("sqs")
    for letter in ("garbage", body(place, "good")):
        sqs.send_message(QueueUrl=place.dead_letters, MessageBody=letter)
    moved = redriving.dead_letters(target, place)
    if place.trigger == "queue":  # its consumer judges it again
        assert (moved.returned, moved.left) == (2, ())
    else:
        assert (len(moved.started), moved.left) == (1, ("the body is not JSON",))
        assert status.depths(target, place).dead == 1


@pytest.mark.parametrize("place", ["event"], indirect=True)
def test_the_event_of_a_completed_run_is_started_once_more(target, place):
    letter = {
        "detail-type": "Ingestion Completed",
        "detail": {"pipeline": "first", "job_id": "job-1", "manifest": "s3://b/outputs.json"},
    }
    sqs, sfn = target.client("sqs"), target.client("stepfunctions")
    for _ in range(2):
        sqs.send_message(QueueUrl=place.dead_letters, MessageBody=json.dumps(letter))
    moved = redriving.dead_letters(target, place)
    assert {each.what for each in moved.started} == {"first/job-1"}
    (execution,) = sfn.list_executions(stateMachineArn=place.machine)["executions"]
    given = sfn.describe_execution(executionArn=execution["executionArn"])["input"]
    assert json.loads(given) == letter
    assert status.depths(target, place).dead == 0


@pytest.fixture
def found(monkeypatch):
    """Commands find a pipeline of single files, and nothing answers."""
    monkeypatch.setattr(locate, "locate", lambda *_: Deployed("p", "b", "in/", "t", "arn:machine"))
    monkeypatch.setattr(Target, "named", classmethod(lambda cls, name: cls.local("http://127.0.0.1:9")))


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["redrive", "orders_etl", "--state", "completed"], "orders_etl sends again what is failed or rejected, not 'completed'"),
        (["redrive", "orders_etl", "--batch", "2025-01-17"], "--batch '2025-01-17' is not DATE/N, such as 2025-01-17/7"),
        (["redrive", "orders_etl", "--batch", "2025-01-17/7"], "--batch: orders_etl starts an execution for each file, so it has no batches"),
        (["status", "orders_etl", "--state", "pending"], "never 'pending'"),
        (["run", "orders_etl", "--flush"], "--flush: orders_etl starts an execution for each file, so nothing waits"),
        (["run", "orders_etl"], "Missing argument 'FILES...'"),
        (["run", "order_totals", "x"], "order_totals starts when a run of parquet_ingestion completes; run that"),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_line(words, said):
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert said in result.stderr


def test_batches_are_named_by_date_and_number():
    assert command.numbered(["2025-01-17/7", "2025-01-18/10"]) == (("2025-01-17", 7), ("2025-01-18", 10))


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (7_199, "1 h"), (86_400 * 3 + 1, "3 d")]
)
def test_ages_are_told_in_their_largest_unit(seconds, text):
    assert status_command._age(seconds) == text
