"""Two hundred builders at once, over the same files: each file in one manifest, every manifest full."""

import os
import random
from collections import Counter

import pytest
from door_world import arrivals, file_id, front_door
from turns import Turns

from aws_runtime.ingress.builder import build
from aws_runtime.ingress.settings import BatchSettings

BUILDERS = 200


def together(door, given, seed):
    """Let one builder for each list of arrivals run; return the files whose messages come back."""
    settings = BatchSettings.read(os.environ)
    turns, back, placed = Turns(seed), [], []

    def job(files):
        def run():
            built = build(door.clients, settings, files, door.now)
            placed.append(built.placed)
            back.extend(file for file in files if file.identity.file_id in built.failed)

        return run

    clients = (door.clients.dynamodb, door.clients.states, door.clients.s3)
    for client in clients:
        client.meta.events.register_first("before-call", turns.gate)
    turns.run([job(files) for files in given])
    for client in clients:
        client.meta.events.unregister("before-call", turns.gate)
    return back, sum(placed)


@pytest.mark.parametrize("seed", [1, 2])
def test_each_file_is_in_one_manifest(account, seed):
    rng = random.Random(seed)
    files = arrivals(60) + arrivals(40, day="2025-01-18")
    # Every file twice or more, one to four files a builder.
    given = [rng.sample(files, rng.randint(1, 4)) for _ in range(BUILDERS - 50)]
    given += [files[start : start + 2] for start in range(0, 100, 2)]
    with front_door("batches") as door:
        back, placed = together(door, given, seed)
        while back:
            again, more = together(door, [[file] for file in back], seed)
            placed += more
            back = again
        told = door.manifests()
        assert sorted(told) == [
            f"manifests/{day}/batch-{number:04d}.json"
            for day, most in (("2025-01-17", 6), ("2025-01-18", 4))
            for number in range(1, most + 1)
        ]
        assert Counter(file_id(item) for each in told.values() for item in each["files"]) == Counter(
            file.identity.file_id for file in files
        )
        assert {len(each["files"]) for each in told.values()} == {10}
        assert placed == len(files)
        assert len(door.executions()) == 10
        door.play()
        assert Counter(door.rows) == Counter(file.identity.file_id for file in files)
        assert door.statuses() == {"completed": 10}


def test_builders_of_the_same_ten_files_make_one_batch(account):
    files = arrivals(10)
    with front_door("batches") as door:
        back, _ = together(door, [files] * BUILDERS, seed=5)
        assert not back
        (told,) = door.manifests().values()
        assert len(told["files"]) == 10
        assert len(door.items("batches")) == 1
        assert len(door.executions()) == 1


def test_bounds_of_bytes_hold_when_builders_add_at_the_same_time(account):
    files = arrivals(24)  # a megabyte each
    with front_door("batches", BATCH_FILES="100", BATCH_BYTES="4000000") as door:
        back, _ = together(door, [[file] for file in files], seed=7)
        assert not back
        told = door.manifests()
        assert {len(each["files"]) for each in told.values()} == {4}
        assert sum(len(each["files"]) for each in told.values()) == 24
