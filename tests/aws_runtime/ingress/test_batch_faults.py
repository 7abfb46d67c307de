"""A builder, a sweeper or a redrive killed before or after any AWS call: each file runs exactly once."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from door_world import MACHINE, START, Killed, arrivals, file_id, front_door

from aws_runtime.ingress.redrive import redrive_batch

#: Two dates, whose batches of three come out even and odd.
FILES = arrivals(6) + arrivals(4, day="2025-01-18")
SMALL = {"BATCH_FILES": "3"}


def assert_all_ran_once(door, files):
    ids = {item.identity.file_id for item in files}
    in_manifests = Counter(file_id(item) for told in door.manifests().values() for item in told["files"])
    assert in_manifests == Counter(ids)
    assert Counter(door.rows) == Counter(ids)
    assert {item["file_id"]["S"] for item in door.items("tracking")} == ids
    assert set(door.statuses()) == {"completed"}
    assert not door.live()
    assert not door.alerts


def deliver(door, messages, rng):
    """Deliver messages until none is left: in batches, some twice, what failed again, machines at work."""
    waiting = list(messages)
    while waiting:
        rng.shuffle(waiting)
        size = rng.choice((1, 2, 5))
        taken, waiting = waiting[:size], waiting[size:]
        try:
            waiting += door.receive(taken)
        except Killed:
            waiting += taken
        if rng.random() < 0.3:
            door.play()


def finish(door):
    """Let time pass, the sweeper come and the machines run, until nothing changes any more."""
    for _ in range(3):
        try:
            door.sweep(timedelta(minutes=16))
        except Killed:
            continue
        finally:
            door.play()


def story(door, seed):
    rng = random.Random(seed)
    deliver(door, FILES + rng.sample(FILES, 3), rng)
    finish(door)
    # Late duplicates, when everything is over.
    deliver(door, rng.sample(FILES, 2), rng)
    finish(door)


def calls_of(seed):
    with front_door("batches", **SMALL) as door:
        story(door, seed)
        calls = list(door.calls)
        assert_all_ran_once(door, FILES)
        return calls


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_call_then_redelivered_and_swept(account, when):
    seed = 3
    calls = calls_of(seed)
    assert {
        "Query",
        "BatchGetItem",
        "PutItem",
        "UpdateItem",
        "BatchWriteItem",
        "PutObject",
        "StartExecution",
    } <= set(calls)
    for call in range(len(calls)):
        with front_door("batches", **SMALL) as door:
            door.kill_at = (call, when)
            story(door, seed)
            assert door.calls[: call + 1] == calls[: call + 1]
            assert_all_ran_once(door, FILES)


def test_killed_at_every_third_call_again_and_again(account):
    """Crashes of those who repair crashes."""
    for seed in range(5):
        rng = random.Random(seed)
        with front_door("batches", **SMALL) as door:
            for _ in range(6):
                door.kill_at = (len(door.calls) + rng.randrange(6), rng.choice(("before", "after")))
                deliver(door, rng.sample(FILES, 5), rng)
                door.kill_at = (len(door.calls) + rng.randrange(6), rng.choice(("before", "after")))
                finish(door)
            door.kill_at = None
            deliver(door, FILES, rng)
            finish(door)
            assert_all_ran_once(door, FILES)


def test_files_of_one_date_become_full_batches(account):
    with front_door("batches") as door:
        files = arrivals(23)
        for start in range(0, 23, 5):
            assert door.receive(files[start : start + 5]) == []
        assert door.statuses() == {"manifested": 2, "open": 1}
        door.play()
        assert door.statuses() == {"completed": 2, "open": 1}
        door.sweep(timedelta(minutes=14))
        assert door.statuses() == {"completed": 2, "open": 1}
        door.sweep(timedelta(minutes=2))
        door.play()
        assert_all_ran_once(door, files)
        assert sorted(len(told["files"]) for told in door.manifests().values()) == [3, 10, 10]


def test_a_builder_that_died_after_sealing_is_no_reason_to_take_a_file_twice(account):
    """The next batch runs and ends while the files of the one before have no items yet."""
    files = arrivals(20)
    with front_door("batches") as door:
        seal = 2  # query, read of items, put of the sealed batch
        door.kill_at = (seal, "after")
        with pytest.raises(Killed):
            door.receive(files[:10])
        assert door.statuses() == {"manifested": 1}
        assert not door.items("tracking")
        assert door.receive(files[10:]) == []
        door.play()
        assert door.receive(files[:10]) == []
        door.play()
        assert_all_ran_once(door, files)


def failed_batch(door):
    door.receive(arrivals(10))
    door.broken = {"Materialize events"}
    door.play()
    door.broken = set()
    (item,) = door.items("batches")
    assert item["status"]["S"] == "failed"
    assert item["live"]["S"] == "failed"
    assert [alert["status"] for alert in door.alerts] == ["failed"]
    door.alerts.clear()
    return item


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(2))
def test_a_killed_redrive_of_a_batch_is_repaired_by_the_sweeper(account, call, when):
    with front_door("batches") as door:
        item = failed_batch(door)
        door.kill_at = (len(door.calls) + call, when)
        aws = door.clients
        with pytest.raises(Killed):
            redrive_batch(aws.dynamodb, aws.states, "batches", item, machine=MACHINE, now=START)
        door.kill_at = None
        finish(door)
        (left,) = door.items("batches")
        if left["status"]["S"] == "failed":  # killed before its first step: as if never asked for
            assert (call, when) == (0, "before")
            assert redrive_batch(aws.dynamodb, aws.states, "batches", left, machine=MACHINE, now=START)
            door.play()
        assert_all_ran_once(door, arrivals(10))
        assert [execution.name[-9:] for execution in door.executions()] == ["atch-0001", "h-0001-r1"]


def test_only_one_of_two_redrives_of_a_batch_starts_it(account):
    with front_door("batches") as door:
        item = failed_batch(door)
        aws = door.clients
        first = redrive_batch(aws.dynamodb, aws.states, "batches", item, machine=MACHINE, now=START)
        assert first.attempt == 1
        assert redrive_batch(aws.dynamodb, aws.states, "batches", item, machine=MACHINE, now=START) is None
        door.play()
        assert_all_ran_once(door, arrivals(10))
        (item,) = door.items("batches")
        assert redrive_batch(aws.dynamodb, aws.states, "batches", item, machine=MACHINE, now=START) is None


def test_a_batch_fails_again_and_is_sent_a_second_time(account):
    with front_door("batches") as door:
        aws = door.clients
        for attempt in (1, 2):
            item = failed_batch(door) if attempt == 1 else door.items("batches")[0]
            if attempt == 1:
                door.broken = {"Materialize events"}
            again = redrive_batch(aws.dynamodb, aws.states, "batches", item, machine=MACHINE, now=START)
            assert again.execution_arn.endswith(f"2025-01-17-batch-0001-r{attempt}")
            door.play()
            door.broken = set()
        door.alerts.clear()
        assert_all_ran_once(door, arrivals(10))


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
@pytest.mark.parametrize("taken_up", [False, True])
def test_an_execution_that_ends_without_a_word_fails_its_batch(account, status, taken_up):
    with front_door("batches") as door:
        door.receive(arrivals(10))
        if taken_up:
            door.clients.dynamodb.update_item(
                TableName="batches",
                Key={"date": {"S": "2025-01-17"}, "batch": {"N": "1"}},
                UpdateExpression="SET #s = :p, started_at = :t, execution_arn = :a REMOVE files",
                ExpressionAttributeNames={"#s": "status"},
                ExpressionAttributeValues={
                    ":p": {"S": "processing"},
                    ":t": {"S": "2025-01-17T12:00:01.000Z"},
                    ":a": {"S": door.executions()[0].execution_arn},
                },
            )
        door.sweep(timedelta(minutes=6))
        assert door.statuses() == {"processing" if taken_up else "manifested": 1}
        door.lose(status)
        door.sweep(timedelta(minutes=5))
        (item,) = door.items("batches")
        assert (item["status"]["S"], item["live"]["S"]) == ("failed", "failed")
        assert item["reason"]["M"]["code"]["S"].startswith("Execution")
        assert [alert["batch"] for alert in door.alerts] == [
            "s3://input/manifests/2025-01-17/batch-0001.json"
        ]
        door.alerts.clear()
        assert redrive_batch(
            door.clients.dynamodb, door.clients.states, "batches", item, machine=MACHINE, now=door.now
        )
        door.play()
        assert_all_ran_once(door, arrivals(10))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sweeper_killed_while_it_fails_a_batch_tells_at_least_once(account, when):
    for call in range(5):
        with front_door("batches") as door:
            door.receive(arrivals(10))
            door.lose()
            door.kill_at = (len(door.calls) + call, when)
            for _ in range(2):
                try:
                    door.sweep(timedelta(minutes=6))
                except Killed:
                    continue
            assert door.statuses() == {"failed": 1}
            assert door.alerts
