"""What a file costs on its way through the front door, counted in calls and write units, not timed."""

import pytest
from door_world import arrivals, front_door
from test_queue_faults import routed
from write_units import billed, index_units, item_units, size_of

FILES = 100


def batches_bill(size, files=FILES, **environ):
    """Return the bill of files that come `size` messages at a time, machines' updates with it."""
    with front_door("batches", **environ) as door:
        aws = door.clients
        with billed(aws.dynamodb, aws.states, aws.s3) as bill:
            given = arrivals(files)
            for start in range(0, files, size):
                assert door.receive(given[start : start + size]) == []
            functions = dict(bill.calls)
            door.play()
        assert door.statuses() == {"completed": files // int(environ.get("BATCH_FILES", "10"))}
    return bill, functions


def test_sizes_as_aws_counts_them():
    assert size_of({"S": "ä1"}) == 3
    assert size_of({"N": "123"}) == 3
    assert size_of({"M": {"a": {"S": "b"}}}) == 3 + 1 + 1 + 1
    assert size_of({"L": [{"S": "b"}]}) == 3 + 1 + 1
    assert item_units(None, {"a": {"S": "x" * 1023}}) == 1
    assert item_units({"a": {"S": "x" * 1024}}, {"a": {"S": "x"}}) == 2
    live = {"live": {"S": "open"}, "live_since": {"S": "1"}}
    later = live | {"live_since": {"S": "2"}}
    assert [index_units(*pair) for pair in ((None, live), (live, live), (live, later), (live, {}))] == [
        1,
        0,
        2,
        1,
    ]


def test_messages_of_ten_cost_two_write_units_a_file(account):
    bill, calls = batches_bill(10)
    assert sum(bill.units.values()) / FILES <= 2.2
    batches = FILES // 10
    # One query and two reads of items an invocation: its own files, and whether the last batch is settled.
    assert calls == {
        "Query": batches,
        "BatchGetItem": batches + batches - 1,
        "PutItem": batches,
        "BatchWriteItem": batches,
        "PutObject": batches,
        "StartExecution": batches,
    }
    assert bill.units["tracking BatchWriteItem"] == FILES


@pytest.mark.parametrize("offset", [1, 3, 7])
def test_messages_of_ten_that_never_meet_a_batchs_beginning(account, offset):
    """The worst case of ten messages: each invocation fills one batch and opens the next."""
    with front_door("batches") as door:
        aws = door.clients
        given = arrivals(FILES)
        with billed(aws.dynamodb, aws.states, aws.s3) as bill:
            door.receive(given[:offset])
            for start in range(offset, FILES, 10):
                door.receive(given[start : start + 10])
                door.play()
        assert door.statuses() == {"completed": FILES // 10}
    assert sum(bill.units.values()) / FILES <= 2.2
    assert bill.calls["Query"] == FILES // 10 + 1
    # Six of the builder's own, two of the machine's, and what tells others.
    assert "Scan" not in bill.calls


def test_one_message_an_invocation_costs_no_more_than_written_down(account):
    bill, calls = batches_bill(1)
    assert sum(bill.units.values()) / FILES <= 3.4
    assert calls["Query"] == FILES
    assert calls["StartExecution"] == FILES // 10


def test_larger_batches_cost_fewer_calls_a_manifest(account):
    bill, calls = batches_bill(100, files=200, BATCH_FILES="100")
    assert sum(bill.units.values()) / 200 <= 1.5
    assert calls == {
        "Query": 2,
        "BatchGetItem": 3,
        "PutItem": 2,
        "BatchWriteItem": 8,
        "PutObject": 2,
        "StartExecution": 2,
    }


def test_a_late_duplicate_writes_nothing(account):
    with front_door("batches") as door:
        given = arrivals(10)
        door.receive(given)
        door.play()
        aws = door.clients
        with billed(aws.dynamodb, aws.states, aws.s3) as bill:
            assert door.receive(given) == []
    assert bill.calls == {"Query": 1, "BatchGetItem": 2}
    assert not bill.units


def test_the_orchestrator_and_its_machine_write_a_row_twice(account):
    with front_door("queue") as door:
        routed(door)
        aws = door.clients
        with billed(aws.dynamodb, aws.states) as bill:
            assert door.receive(arrivals(10, folder="sales/")) == []
            door.play()
        assert door.statuses() == {"done": 10}
    assert bill.calls == {"BatchGetItem": 1, "StartExecution": 10, "PutItem": 10, "UpdateItem": 10}
    assert sum(bill.units.values()) / 10 <= 4


def test_a_sweep_reads_what_is_unfinished_and_no_more(account):
    with front_door("batches") as door:
        for day in range(10, 20):
            door.receive(arrivals(10, day=f"2025-01-{day}"))
        door.play()
        door.receive(arrivals(3))
        aws = door.clients
        with billed(aws.dynamodb, aws.states, aws.s3) as bill:
            door.sweep()
        assert bill.calls == {"Query": 1}
