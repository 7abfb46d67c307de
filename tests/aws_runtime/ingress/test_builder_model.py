"""Arrivals, duplicates, crashes, sweeps, redrives and time in any order, against a model: a set of files."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from door_world import MACHINE, Killed, arrivals, file_id, front_door
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aws_runtime.ingress.batches import Batch
from aws_runtime.ingress.redrive import redrive_batch

FILES = arrivals(9) + arrivals(5, day="2025-01-18")
SOME = st.lists(st.sampled_from(FILES), min_size=1, max_size=6)
CALLS = st.tuples(st.integers(0, 9), st.sampled_from(["before", "after"]))


class BuilderModel(RuleBasedStateMachine):
    """The front door of batches of three, or of four megabytes."""

    @initialize(
        bounds=st.sampled_from([{"BATCH_FILES": "3"}, {"BATCH_FILES": "10", "BATCH_BYTES": "4000000"}])
    )
    def open(self, bounds):
        self.context = front_door("batches", **bounds)
        self.door = self.context.__enter__()
        #: Files whose messages were taken off the queue, and messages that are still on it.
        self.taken, self.waiting = set(), []

    def teardown(self):
        if not hasattr(self, "door"):
            return
        try:
            self.settle()
        finally:
            self.context.__exit__(None, None, None)

    @rule(files=SOME)
    def arrive(self, files):
        self.receive(files)

    @rule(files=SOME, call=CALLS)
    def arrive_and_die(self, files, call):
        self.door.kill_at = (len(self.door.calls) + call[0], call[1])
        self.receive(files)
        self.door.kill_at = None

    @precondition(lambda self: self.waiting)
    @rule(seed=st.integers(0, 99))
    def redeliver(self, seed):
        files, self.waiting = self.waiting, []
        random.Random(seed).shuffle(files)
        self.receive(files)

    def receive(self, files):
        try:
            back = self.door.receive(files)
        except Killed:
            self.waiting += files
            return
        assert not back
        self.taken |= {file.identity.file_id for file in files}

    @rule(minutes=st.sampled_from([0, 1, 3, 6, 16]))
    def sweep(self, minutes):
        self.door.sweep(timedelta(minutes=minutes))

    @rule(call=CALLS)
    def sweep_and_die(self, call):
        self.door.kill_at = (len(self.door.calls) + call[0], call[1])
        try:
            self.door.sweep(timedelta(minutes=16))
        except Killed:
            pass
        finally:
            self.door.kill_at = None

    @rule()
    def run_machines(self):
        self.door.play()

    @rule(status=st.sampled_from(["FAILED", "TIMED_OUT", "ABORTED"]))
    def lose_machines(self, status):
        self.door.lose(status)

    @rule()
    def redrive(self):
        for item in self.door.items("batches"):
            failed = item["status"]["S"] == "failed"
            client = self.door.clients
            again = redrive_batch(
                client.dynamodb, client.states, "batches", item, machine=MACHINE, now=self.door.now
            )
            assert (again is not None) == failed

    @invariant()
    def each_file_is_in_one_batch(self):
        if not hasattr(self, "door"):
            return
        # What counts is what the tables say, at any time: items, and lists of batches without items.
        known = {item["file_id"]["S"]: int(item["batch"]["N"]) for item in self.door.items("tracking")}
        listed = Counter()
        for item in self.door.items("batches"):
            batch = Batch.from_item(item)
            assert batch.count == len(batch.files or {}) or batch.files is None
            for arrival in (batch.files or {}).values():
                listed[arrival.identity.file_id] += 1
                assert known.get(arrival.identity.file_id, batch.number) == batch.number
        assert set(listed.values()) <= {1}
        assert self.taken <= set(known) | set(listed)
        assert Counter(self.door.rows) == Counter(set(self.door.rows))

    def settle(self):
        """Let everything come to its end: then each file has run once."""
        while self.waiting:
            self.redeliver(0)
        for _ in range(4):
            self.door.sweep(timedelta(minutes=16))
            self.redrive()
            self.door.play()
        assert Counter(self.door.rows) == Counter(self.taken)
        in_manifests = Counter(
            file_id(item) for told in self.door.manifests().values() for item in told["files"]
        )
        assert in_manifests == Counter(self.taken)
        assert not self.door.live()


BuilderModel.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.usefixtures("account")
class TestBuilderModel(BuilderModel.TestCase):
    """Hypothesis runs it."""
