"""The write units that `asl cost` counts with are those that the front door and its machine use."""

import pytest
from door_world import arrivals, front_door
from test_queue_faults import routed
from write_units import billed

from asl.cost.door import TRACKED_WRITES, batch_writes


@pytest.mark.parametrize(("files", "messages"), [(10, 10), (10, 5), (100, 100)])
def test_of_a_batch(account, files, messages):
    with front_door("batches", BATCH_FILES=str(files)) as door:
        aws = door.clients
        given = arrivals(files)
        with billed(aws.dynamodb, aws.states, aws.s3) as bill:
            for start in range(0, files, messages):
                assert door.receive(given[start : start + messages]) == []
            door.play()
        assert door.statuses() == {"completed": 1}
    used = sum(bill.units.values())
    # Never less than is used; keys of other lengths than this test's make the difference.
    assert 0.85 * batch_writes(files, messages) <= used <= batch_writes(files, messages)


def test_of_a_file_by_itself(account):
    with front_door("queue") as door:
        routed(door)
        aws = door.clients
        with billed(aws.dynamodb, aws.states) as bill:
            assert door.receive(arrivals(10, folder="sales/")) == []
            door.play()
        assert door.statuses() == {"done": 10}
    assert 0.75 * TRACKED_WRITES <= sum(bill.units.values()) / 10 <= TRACKED_WRITES
