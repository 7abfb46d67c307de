"""An orchestrator, its sweeper or a redrive killed before or after any AWS call: each file runs once."""

import json
import random
from collections import Counter
from datetime import timedelta

import pytest
from door_world import MACHINE, Killed, arrivals, front_door

from aws_runtime.ingress.redrive import redrive_file

FILES = arrivals(5, folder="sales/") + arrivals(2, folder="sales/north/")


def routed(door, **rows):
    """Write rows of workflow_metadata: `sales/` leads to the declared machine."""
    declared = {"sales/": {"step_function": MACHINE, "pipeline": "csv_to_parquet"}}
    for prefix, row in {**declared, **rows}.items():
        item = {"prefix": {"S": prefix}} | {name: {"S": value} for name, value in row.items()}
        door.clients.dynamodb.put_item(TableName="metadata", Item=item)


def assert_all_ran_once(door, files):
    ids = {item.identity.file_id for item in files}
    assert Counter(door.rows) == Counter(ids)
    rows = {f"input/{row['file_id']['S']}#{row['version']['S']}": row for row in door.items("status")}
    assert set(rows) == ids
    for row in rows.values():
        assert row["status"] == {"S": "done"}
        assert row["bucket"] == {"S": "input"}
        assert {"start_time", "finish_time", "execution_arn", "etag", "size", "event_time"} <= set(row)
    assert not door.live()
    assert not door.alerts


def deliver(door, messages, rng):
    waiting = list(messages)
    while waiting:
        rng.shuffle(waiting)
        taken, waiting = waiting[:3], waiting[3:]
        try:
            waiting += door.receive(taken)
        except Killed:
            waiting += taken
        if rng.random() < 0.4:
            door.play()


def finish(door):
    for _ in range(3):
        try:
            door.sweep(timedelta(minutes=6))
        except Killed:
            continue
        finally:
            door.play()


def story(door, seed):
    rng = random.Random(seed)
    deliver(door, FILES + FILES[:3], rng)
    finish(door)
    deliver(door, FILES[:2], rng)
    finish(door)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_call_then_redelivered_and_swept(account, when):
    with front_door("queue") as door:
        routed(door)
        first = len(door.calls)
        story(door, 1)
        calls = list(door.calls)
        assert_all_ran_once(door, FILES)
    assert {"BatchGetItem", "StartExecution", "PutItem", "Query"} <= set(calls[first:])
    for call in range(first, len(calls)):
        with front_door("queue") as door:
            routed(door)
            door.kill_at = (call, when)
            story(door, 1)
            assert door.calls[: call + 1] == calls[: call + 1]
            assert_all_ran_once(door, FILES)


def failed_file(door, trigger="queue"):
    routed(door)
    door.receive(FILES[:1])
    door.broken = {"Materialize sales"}
    door.play()
    door.broken = set()
    (row,) = door.items("status")
    assert (row["status"]["S"], row["live"]["S"]) == ("failed", "failed")
    door.alerts.clear()
    return row


def redrive(door, row):
    aws = door.clients
    return redrive_file(
        aws.dynamodb, aws.states, "status", row, trigger="queue", machine=MACHINE, now=door.now
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(2))
def test_a_killed_redrive_of_a_file_is_repaired_by_the_sweeper(account, call, when):
    with front_door("queue") as door:
        row = failed_file(door)
        door.kill_at = (len(door.calls) + call, when)
        with pytest.raises(Killed):
            redrive(door, row)
        door.kill_at = None
        finish(door)
        (row,) = door.items("status")
        if row["status"]["S"] == "failed":  # killed before its first step: as if never asked for
            assert (call, when) == (0, "before")
            assert redrive(door, row).attempt == 1
            door.play()
        assert_all_ran_once(door, FILES[:1])
        first, again = door.executions()
        assert again.name == f"{first.name}-r1"
        assert json.loads(again.execution_input) == json.loads(first.execution_input)


def test_a_sweeper_killed_while_it_starts_what_a_redrive_did_not(account):
    for call in range(4):
        for when in ("before", "after"):
            with front_door("queue") as door:
                row = failed_file(door)
                door.kill_at = (len(door.calls), "after")
                with pytest.raises(Killed):
                    redrive(door, row)
                door.kill_at = (len(door.calls) + call, when)
                finish(door)
                assert_all_ran_once(door, FILES[:1])


def test_only_one_of_two_redrives_of_a_file_starts_it(account):
    with front_door("queue") as door:
        row = failed_file(door)
        assert redrive(door, row).attempt == 1
        assert redrive(door, row) is None
        door.play()
        (row,) = door.items("status")
        assert redrive(door, row) is None
        assert_all_ran_once(door, FILES[:1])


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_ends_without_a_word_fails_its_file(account, status):
    with front_door("queue") as door:
        routed(door)
        door.receive(FILES[:1])
        door.sweep(timedelta(minutes=6))
        assert door.statuses() == {"started": 1}
        door.lose(status)
        door.sweep(timedelta(minutes=5))
        (row,) = door.items("status")
        assert (row["status"]["S"], row["live"]["S"]) == ("failed", "failed")
        assert row["reason"]["M"]["message"]["S"]
        assert row["finish_time"]["S"] > row["start_time"]["S"]
        assert [alert["file"] for alert in door.alerts] == [f"s3://input/{FILES[0].key}"]
        # It is told of once: the next run finds it failed.
        door.sweep(timedelta(minutes=5))
        assert len(door.alerts) == 1


def test_a_machine_that_writes_no_status_is_done_when_it_succeeded(account):
    with front_door("queue") as door:
        routed(door, **{"sales/north/": {"step_function": MACHINE}})
        door.receive(FILES[-1:])
        door.lose("SUCCEEDED")
        door.sweep(timedelta(minutes=6))
        (row,) = door.items("status")
        assert row["status"] == {"S": "done"}
        assert "live" not in row
        assert "pipeline" not in row
        assert not door.alerts


def test_another_pipelines_files_are_left_to_its_sweeper(account):
    with front_door("queue") as door:
        routed(door, **{"sales/north/": {"step_function": MACHINE, "pipeline": "other"}})
        door.receive(FILES[-1:])
        door.lose()
        door.sweep(timedelta(minutes=6))
        assert door.statuses() == {"started": 1}
