"""Files of batches: followed, listed by state, and sent again; the builder itself makes the batches."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from asl.deploy import batch_runs, redriving, runs, status
from asl.deploy.errors import OperationError
from asl.deploy.locate import Deployed
from asl.deploy.target import Target
from aws_runtime.identity import FileIdentity
from aws_runtime.ingress.aws import Clients
from aws_runtime.ingress.batches import Bounds
from aws_runtime.ingress.builder import build
from aws_runtime.ingress.notifications import Arrival
from aws_runtime.ingress.settings import BatchSettings

pytestmark = pytest.mark.local_aws

DAY = "2025-01-17"
KEY = {"date": {"S": DAY}, "batch": {"N": "1"}}


@pytest.fixture
def target(local_aws):
    return Target.local(local_aws.endpoint)


class Door:
    """A pipeline of batches of three files, whose machine does nothing."""

    def __init__(self, target):
        self.target, self.name = target, f"d-{uuid.uuid4().hex[:8]}"
        dynamodb, sfn = target.client("dynamodb"), target.client("stepfunctions")
        target.client("s3").create_bucket(Bucket=self.name)
        types = {"date": "S", "batch": "N", "live": "S", "live_since": "S"}
        keys = [[("date", "HASH"), ("batch", "RANGE")], [("live", "HASH"), ("live_since", "RANGE")]]
        table, index = ([{"AttributeName": n, "KeyType": k} for n, k in each] for each in keys)
        live = {"IndexName": "live", "KeySchema": index, "Projection": {"ProjectionType": "KEYS_ONLY"}}
        dynamodb.create_table(
            TableName=f"{self.name}-b", BillingMode="PAY_PER_REQUEST", KeySchema=table,
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
            GlobalSecondaryIndexes=[live],
        )  # fmt: skip
        dynamodb.create_table(
            TableName=f"{self.name}-t", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "file_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "file_id", "AttributeType": "S"}],
        )  # fmt: skip
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = target.client("iam").create_role(RoleName=self.name, AssumeRolePolicyDocument=trust)
        definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
        self.machine = sfn.create_state_machine(
            name=self.name, definition=definition, roleArn=role["Role"]["Arn"]
        )["stateMachineArn"]
        self.place = Deployed(
            "p", self.name, "in/", f"{self.name}-t", self.machine, trigger="batches", batches=f"{self.name}-b",
            files_a_batch=3, max_wait_seconds=900,
        )  # fmt: skip
        self.settings = BatchSettings(
            "p", f"{self.name}-t", f"{self.name}-b", self.machine, "in/", (), f"s3://{self.name}/manifests/",
            Bounds(3), 400,
        )  # fmt: skip
        self.clients = Clients(dynamodb, sfn, target.client("s3"))

    def send(self, *names):
        """Have the builder place files."""
        now = datetime.now(UTC)
        arrivals = [
            Arrival(self.name, f"in/{name}", "2025-01-17T10:00:00.000Z", 5, "e", f"v-{name}", "01")
            for name in names
        ]
        assert not build(self.clients, self.settings, arrivals, now).failed
        return [FileIdentity(self.name, arrival.key, arrival.version_id) for arrival in arrivals]

    def change(self, expression, **values):
        """Change batch 1 as its machine would."""
        self.clients.dynamodb.update_item(
            TableName=self.place.batches, Key=KEY, UpdateExpression=expression,
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )  # fmt: skip

    def complete(self, files, rejected=(), told=50):
        """End batch 1: one row a file, `rejected` without; only `told` of these are named."""
        document = {
            "outputs": [
                {"uri": f"s3://{self.name}/out/{f.digest}", "rows": 2, "partition": {}, "digest": f.digest}
                for f in files if f not in rejected
            ],
            "quarantine": [{"uri": f"s3://{self.name}/q/x", "rows": 1, "partition": {}, "digest": files[0].digest}],
            "units": [
                {"digest": f.digest, "status": "rejected" if f in rejected else "completed"} for f in files
            ],
        }  # fmt: skip
        self.clients.s3.put_object(Bucket=self.name, Key="r.files.json", Body=json.dumps(document))
        why = {"code": {"S": "NotCsv"}, "message": {"S": "an odd file"}}
        self.change(
            "SET #s = :s, records = :r, quarantined = :q, files_rejected = :n, finished_at = :f REMOVE files, live",
            s={"S": "completed"}, r={"L": [{"S": f"s3://{self.name}/r.json"}]}, n={"N": str(len(rejected))},
            q={"M": {f.digest: {"M": why} for f in rejected[:told]}}, f={"S": "2025-01-17T11:00:00.000Z"},
        )  # fmt: skip

    def follow(self, files, **given):
        now = [0.0]
        states = runs.follow(
            self.target, self.place, files, since=datetime.now(UTC), timeout=given.pop("timeout", 5),
            clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds), **given,
        )  # fmt: skip
        return {run.file.key: run for run in list(states)[-1]}

    def fail(self):
        """End batch 1 as failed."""
        self.change(
            "SET #s = :s, reason = :r, finished_at = :f, live = :l, live_since = :f REMOVE files",
            s={"S": "failed"}, l={"S": "failed"}, f={"S": "2025-01-17T11:00:00.000Z"},
            r={"M": {"code": {"S": "Boom"}, "message": {"S": '{"errorMessage": "no memory"}'}}},
        )  # fmt: skip

    def report(self, state=None):
        found = status.report(self.target, self.place, state)
        return dict(found.counts), {file.file.key: file for file in found.files}


@pytest.fixture
def door(target):
    return Door(target)


def test_files_of_an_open_batch_wait_and_say_for_what(door):
    files = door.send(f"{DAY}-a", f"{DAY}-b")
    ended = door.follow([*files, FileIdentity(door.name, f"in/{DAY}-z", "v")], timeout=3)
    first = ended[f"in/{DAY}-a"]
    assert (first.status, first.batch, first.well, first.ended) == ("PENDING", (DAY, 1), True, False)
    assert (first.waiting.files, first.waiting.wanted) == (2, 3)
    assert abs(first.waiting.until - datetime.now(UTC) - timedelta(seconds=900)) < timedelta(seconds=60)
    assert ended[f"in/{DAY}-z"].status == "NOT_STARTED"
    assert batch_runs.open_files(door.target, door.place) == tuple(files)
    counts, listed = door.report()
    assert counts == {"pending": 2}
    assert {file.batch for file in listed.values()} == {f"{DAY}/1"}


def test_a_file_without_a_date_is_found_by_the_day_that_it_arrived(door):
    now = datetime.now(UTC)
    arrival = Arrival(door.name, "in/plain", now.strftime("%Y-%m-%dT%H:%M:%S.000Z"), 5, "e", "v", "01")
    build(door.clients, door.settings, [arrival], now)
    (run,) = door.follow([arrival.identity]).values()
    assert run.status == "PENDING"


def test_following_with_flush_asks_until_nothing_waits(door, monkeypatch):
    files = door.send(f"{DAY}-a", f"{DAY}-b")
    asked = []

    def flush(target, deployed):
        asked.append(deployed)
        door.complete(files)

    monkeypatch.setattr(batch_runs, "flush", flush)
    assert {run.status for run in door.follow(files, flush=True).values()} == {"SUCCEEDED"}
    assert asked == [door.place]


def test_a_completed_batch_tells_of_each_of_its_files(door):
    files = door.send(*(f"{DAY}-{n}" for n in "abc"))
    assert {run.status for run in door.follow(files, timeout=0).values()} == {"RUNNING"}
    door.complete(files, rejected=files[2:])
    a, b, c = (door.follow(files)[file.key] for file in files)
    assert [run.status for run in (a, b, c)] == ["SUCCEEDED", "SUCCEEDED", "REJECTED"]
    assert [a.rows(name) for name in batch_runs.ROWS] == [3, 2, 1]
    assert [b.rows(name) for name in batch_runs.ROWS] == [2, 2, 0]
    assert (c.error, c.rows("rows_in")) == ("NotCsv: an odd file", 0)
    assert a.to_json()["batch"] == f"{DAY}/1"
    counts, listed = door.report()
    assert counts == {"completed": 2, "quarantined": 1}
    assert {key: file.reason for key, file in listed.items()} == {files[2].key: "NotCsv: an odd file"}
    assert set(door.report("completed")[1]) == {files[0].key, files[1].key}


def test_rejected_files_that_the_batch_has_no_room_to_name_are_found(door):
    files = door.send(*(f"{DAY}-{n}" for n in "abc"))
    door.complete(files, rejected=files, told=1)
    found = door.follow(files)
    assert {run.status for run in found.values()} == {"REJECTED"}
    counts, listed = door.report("quarantined")
    assert counts == {"quarantined": 3}
    assert min(file.reason for file in listed.values()) == "NotCsv: an odd file"
    assert [f.reason.startswith("rejected; ") for f in listed.values()].count(True) == 2


def test_a_failed_batch_fails_its_files_and_is_sent_again_once(door):
    files = door.send(*(f"{DAY}-{n}" for n in "abc"))
    door.fail()
    found = door.follow(files)
    assert {(run.status, run.error) for run in found.values()} == {("FAILED", "Boom: no memory")}
    counts, listed = door.report("failed")
    assert counts == {"failed": 3}
    assert set(listed) == {file.key for file in files}
    again = list(redriving.redrive(door.target, door.place, "failed"))
    assert [(each.what, each.execution, each.attempt) for each in again] == [
        (f"batch {DAY}/1", f"{DAY}-batch-0001-r1", 1)
    ]
    assert list(redriving.redrive(door.target, door.place, "failed")) == []
    assert door.report()[0] == {"manifested": 3}


@pytest.mark.parametrize("name", ["in/{day}-b", "{day}-b", "s3://{bucket}/in/{day}-b"])
def test_a_batch_is_chosen_by_a_file_of_it(door, name):
    door.send(*(f"{DAY}-{n}" for n in "abc"))
    door.fail()
    chosen = name.format(day=DAY, bucket=door.name)
    (again,) = redriving.redrive(door.target, door.place, "failed", files=[chosen])
    assert again.what == f"batch {DAY}/1"


def test_what_is_not_failed_cannot_be_chosen(door):
    door.send(*(f"{DAY}-{n}" for n in "abc"))
    with pytest.raises(OperationError) as caught:
        list(redriving.redrive(door.target, door.place, "failed", batches=[(DAY, 1)]))
    assert caught.value.message == (
        f"ASL423 p has no batch {DAY}/1 that is failed. See: asl status p --state failed"
    )
    with pytest.raises(OperationError, match=r"^ASL423 p has no file 'x' that is failed"):
        list(redriving.redrive(door.target, door.place, "failed", files=["x"]))


def test_a_batch_is_chosen_by_its_rejected_files_only(door):
    files = door.send(*(f"{DAY}-{n}" for n in "abc"))
    door.complete(files, rejected=files[:1])
    with pytest.raises(OperationError, match="ASL423"):
        list(redriving.redrive(door.target, door.place, "quarantined", files=[files[1].key]))
    (again,) = redriving.redrive(door.target, door.place, "quarantined", files=[files[0].key])
    assert again.attempt == 1


def test_an_execution_that_died_without_a_word_is_noticed(door):
    files = door.send(*(f"{DAY}-{n}" for n in "abc"))
    sfn = door.target.client("stepfunctions")
    broken = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E", "Cause": "c"}}})
    sfn.update_state_machine(stateMachineArn=door.machine, definition=broken)
    arn = sfn.start_execution(stateMachineArn=door.machine, name="dead")["executionArn"]
    while sfn.describe_execution(executionArn=arn)["status"] == "RUNNING":
        time.sleep(0.05)  # moto runs it in a thread
    door.change("SET #s = :s, execution_arn = :a REMOVE files", s={"S": "processing"}, a={"S": arn})
    found = door.follow(files)
    assert {(run.status, run.error) for run in found.values()} == {("FAILED", "E: c")}
