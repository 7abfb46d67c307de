"""What the sweeper decides by state and age, and files of `S3Event` pipelines."""

import os
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from door_world import MACHINE, START, arrivals, front_door

from aws_runtime.handlers.sweep import UnsweptError
from aws_runtime.ingress.aws import moment
from aws_runtime.ingress.executions import execution_arn
from aws_runtime.ingress.redrive import redrive_file
from aws_runtime.ingress.settings import SweeperSettings
from aws_runtime.ingress.sweeper import decide

MINUTES = (0, 1, 3, 6, 14, 16)


@pytest.mark.parametrize(
    ("trigger", "status", "given", "steps"),
    [
        ("batches", "open", {}, "wait wait wait wait wait seal"),
        ("batches", "manifested", {"sealed_at": 0}, "wait wait launch launch launch launch"),
        ("batches", "manifested", {"sealed_at": -60, "attempt": 1}, "wait wait launch launch launch launch"),
        ("batches", "processing", {"started_at": 0}, "wait wait wait ask ask ask"),
        ("batches", "completed", {}, "wait wait wait wait wait wait"),
        ("batches", "failed", {}, "wait wait wait wait wait wait"),
        ("queue", "started", {"pipeline": "csv_to_parquet"}, "wait wait wait ask ask ask"),
        ("queue", "started", {}, "wait wait wait ask ask ask"),
        ("queue", "started", {"pipeline": "other"}, "wait wait wait wait wait wait"),
        ("queue", "done", {}, "wait wait wait wait wait wait"),
        ("event", "started", {"pipeline": "orders_etl"}, "wait wait wait ask ask ask"),
    ],
)
def test_decisions(account, trigger, status, given, steps):
    item = {"status": {"S": status}, "live_since": {"S": moment(START)}, "opened_at": {"S": moment(START)}}
    for name, value in given.items():
        if name == "attempt":
            item[name] = {"N": str(value)}
        else:
            item[name] = {"S": value if isinstance(value, str) else moment(START + timedelta(minutes=value))}
    with front_door(trigger):
        settings = SweeperSettings.read(os.environ)
    assert " ".join(decide(item, settings, START + timedelta(minutes=m)) for m in MINUTES) == steps


def tracked(door, status="started", **more):
    """Write the item of a file that an execution of the event bus tracks."""
    (file,) = arrivals(1)
    arn = door.clients.states.start_execution(stateMachineArn=MACHINE, name="bus-1", input="{}")[
        "executionArn"
    ]
    item = {
        "file_id": {"S": file.identity.file_id},
        "status": {"S": status},
        "pipeline": {"S": "orders_etl"},
        "bucket": {"S": file.bucket},
        "key": {"S": file.key},
        "version": {"S": file.version_id},
        "etag": {"S": file.etag},
        "size": {"N": str(file.size)},
        "event_time": {"S": file.event_time},
        "sequencer": {"S": file.sequencer},
        "execution_arn": {"S": arn},
        "live": {"S": "failed" if status == "failed" else "open"},
        "live_since": {"S": moment(door.now)},
    }
    door.clients.dynamodb.put_item(TableName="tracking", Item=item | more)
    return item


def test_a_file_of_an_event_whose_execution_timed_out_fails_and_is_sent_again(account):
    with front_door("event") as door:
        tracked(door)
        door.sweep(timedelta(minutes=6))
        assert door.statuses() == {"started": 1}
        door.lose("TIMED_OUT")
        door.sweep(timedelta(minutes=5))
        (item,) = door.items("tracking")
        assert item["status"] == {"S": "failed"}
        assert item["reason"]["M"]["code"] == {"S": "ExecutionTimedOut"}
        # moto tells no stopDate of one that timed out; then the time of the sweep stands for it.
        assert item["finished_at"] == {"S": moment(door.now)}
        assert len(door.alerts) == 1
        aws = door.clients
        again = redrive_file(
            aws.dynamodb, aws.states, "tracking", item, trigger="event", machine=MACHINE, now=door.now
        )
        (item,) = door.items("tracking")
        assert item["execution_arn"] == {"S": again.execution_arn}
        assert not {"reason", "finished_at"} & set(item)
        assert door.executions()[1].execution_arn == again.execution_arn


def test_an_execution_that_nobody_knows_fails_its_file(account):
    with front_door("event") as door:
        tracked(door, execution_arn={"S": execution_arn(MACHINE, "never")})
        door.sweep(timedelta(minutes=6))
        (item,) = door.items("tracking")
        assert item["reason"]["M"]["code"] == {"S": "ExecutionUnknown"}


def test_a_file_that_ends_while_it_is_asked_about_keeps_its_end(account):
    with front_door("event") as door:
        item = tracked(door)
        door.lose()

        def completes(**_):
            door.clients.dynamodb.meta.events.unregister("before-call.dynamodb.UpdateItem", completes)
            done = {**item, "status": {"S": "completed"}}
            door.clients.dynamodb.put_item(TableName="tracking", Item=done)

        door.clients.dynamodb.meta.events.register("before-call.dynamodb.UpdateItem", completes)
        door.sweep(timedelta(minutes=6))
        assert door.statuses() == {"completed": 1}


def test_one_item_that_cannot_be_mended_holds_up_no_other_and_is_told(account):
    with front_door("batches") as door:
        door.receive(arrivals(2))
        door.receive(arrivals(2, day="2025-01-18"))
        # Without its list of files a batch cannot be sealed into a manifest.
        door.clients.dynamodb.update_item(
            TableName="batches",
            Key={"date": {"S": "2025-01-17"}, "batch": {"N": "1"}},
            UpdateExpression="REMOVE manifest",
        )
        with pytest.raises(UnsweptError, match="1 of 2 items"):
            door.sweep(timedelta(minutes=16))
        assert sorted(door.manifests()) == ["manifests/2025-01-18/batch-0001.json"]


def test_a_sweeper_that_runs_out_of_time_leaves_the_rest_to_the_next(account):
    with front_door("batches") as door:
        door.receive(arrivals(2))
        door.left_seconds = 10
        assert door.sweep(timedelta(minutes=16)) == {"read": 0, "steps": {}}
        door.left_seconds = 200
        assert door.sweep() == {"read": 1, "steps": {"sealed": 1}}


def test_a_machine_of_others_that_may_not_be_asked_is_left_alone(account):
    with front_door("queue") as door:
        other = MACHINE.replace("machine", "other")
        (file,) = arrivals(1, folder="sales/")
        row = {
            "file_id": {"S": file.key},
            "version": {"S": file.version_id},
            "status": {"S": "started"},
            "execution_arn": {"S": execution_arn(other, "x")},
            "live": {"S": "open"},
            "live_since": {"S": moment(START)},
        }
        door.clients.dynamodb.put_item(TableName="status", Item=row)

        def denied(**_):
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeExecution")

        events = door.clients.states.meta.events
        events.register("before-call.sfn.DescribeExecution", denied)
        try:
            assert door.sweep(timedelta(minutes=6)) == {"read": 1, "steps": {"foreign": 1}}
            mine = {**row, "execution_arn": {"S": execution_arn(MACHINE, "x")}}
            door.clients.dynamodb.put_item(TableName="status", Item=mine)
            with pytest.raises(UnsweptError):
                door.sweep()
        finally:
            events.unregister("before-call.sfn.DescribeExecution", denied)
        assert door.statuses() == {"started": 1}
