"""Two runs replace partitions at once, cut off and interleaved at any AWS call: whole runs are left, the newest wins."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import botocore.client
import curation_world as world
import pytest
from botocore.exceptions import ClientError
from curation_world import CURATED, KilledError, opened, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aws_runtime import storage
from aws_runtime.curation import leases
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.job import Job
from aws_runtime.curation.leases import PartitionsBusy
from aws_runtime.curation.publish import publish
from aws_runtime.errors import TableChanged

FOLDERS = ("dt=1/", "dt=2/", "dt=3/")
STEMS = {"older": "20240702T100000Z-" + "a" * 16, "newer": "20240703T100000Z-" + "b" * 16}
#: Both bring dt=2, with two files each; one more partition is each one's own.
BRINGS = {"older": ("dt=1/", "dt=2/"), "newer": ("dt=2/", "dt=3/")}
ROUNDS = 60


@dataclass
class Account:
    """One table with rows in every partition, two staged runs, and a clock."""

    jobs: dict[str, Job]
    records: dict[str, str]
    at: datetime = datetime(2024, 7, 4, tzinfo=UTC)

    def later(self) -> None:
        self.at += leases.LEASE + timedelta(seconds=1)

    def files(self, name: str, folder: str) -> list[str]:
        return [f"part-{STEMS[name]}.zstd.parquet", f"part-{STEMS[name]}-1.zstd.parquet"]

    def there(self, folder: str) -> list[str]:
        return sorted(key.rpartition("/")[2] for key in world.keys(CURATED, f"orders/{folder}"))

    def expected(self, folder: str, finished: Sequence[str]) -> list[str]:
        mine = [name for name in ("newer", "older") if name in finished and folder in BRINGS[name]]
        return sorted(self.files(mine[0], folder)) if mine else ["old.parquet"]


@contextlib.contextmanager
def account(**config: Any) -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch, world.aws(patch):
        for folder in FOLDERS:
            put(CURATED, f"orders/{folder}old.parquet", b"old")
        jobs = {name: opened({"write_mode": "overwrite_partitions", **config}, name) for name in BRINGS}
        found = Account(jobs, {})
        for name, job in jobs.items():
            found.records[name] = staged(found, name, job)
        patch.setattr(leases, "now", lambda: found.at)
        # One call after another, so that the number of a call says which one it is.
        patch.setattr(storage, "each", lambda action, items: [action(item) for item in items])
        yield found


def staged(there: Account, name: str, job: Job) -> str:
    outputs = []
    for folder in BRINGS[name]:
        for file in there.files(name, folder):
            uri = f"{job.staging}output/{folder}{file}"
            put(*storage.parse_uri(uri), name.encode())
            outputs.append({"uri": uri, "rows": 1, "partition": {"dt": folder[3], "region": ""}})
    record = f"s3://{CURATED}/_runs/shop/orders/{name}.json"
    storage.put_json(record.replace(".json", ".files.json"), {"outputs": outputs})
    storage.put_json(record, {"status": "completed", "files": record.replace(".json", ".files.json")})
    return record


def retried(there: Account, name: str) -> None:
    """Run as a state machine does: again until it ends well, later where another run is busy."""
    for _ in range(ROUNDS):
        try:
            publish(there.jobs[name], there.records[name])
        except PartitionsBusy:
            there.later()
        else:
            return
    raise AssertionError


def check(there: Account, finished: Sequence[str]) -> None:
    for folder in FOLDERS:
        assert there.there(folder) == there.expected(folder, finished), (folder, finished)
    for name in finished:
        published = storage.get_json(f"{there.jobs[name].runs}outputs.json")["files"]
        told = {file["key"] for file in published}
        if name == "newer":
            assert told == {f"orders/{d}{f}" for d in BRINGS[name] for f in there.files(name, d)}


def calls(name: str) -> int:
    with account() as there, world.killed() as killer:
        publish(there.jobs[name], there.records[name])
        return len(killer.calls)


@pytest.mark.parametrize("first", ["older", "newer"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_is_cut_off_anywhere_leaves_the_partition_to_the_other(first: str, *, after: bool) -> None:
    """The first dies and never comes back; the other one finishes; and at last the first is sent again."""
    second = "newer" if first == "older" else "older"
    for at in range(calls(first)):
        with account() as there:
            with world.killed(at, after=after), contextlib.suppress(KilledError):
                publish(there.jobs[first], there.records[first])
            retried(there, second)
            committed = storage.get_json(f"{there.jobs[first].runs}committed.json") is not None
            finished = [second, *([first] if committed else [])]
            assert there.there("dt=2/") == there.expected("dt=2/", finished), at
            if not committed:  # what it alone had begun still has its old rows
                assert "old.parquet" in there.there(BRINGS[first][0 if first == "older" else 1])
            retried(there, first)
            check(there, ["older", "newer"])
            assert world.keys(CURATED, "_staging/") == []


@dataclass
class Turns:
    """Lets one of two threads make one AWS call at a time, in the order that `schedule` says."""

    schedule: Iterator[int]
    kills: dict[int, set[int]]
    condition: threading.Condition = field(default_factory=threading.Condition)
    waiting: set[int] = field(default_factory=set)
    alive: set[int] = field(default_factory=lambda: {0, 1})
    turn: int | None = None
    made: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})

    def step(self, who: int) -> bool:
        """Wait for this one's turn; returns whether it is killed at this call."""
        with self.condition:
            self.waiting.add(who)
            self._next()
            self.condition.wait_for(lambda: self.turn == who, 60)
            self.waiting.discard(who)
            self.made[who] += 1
            return self.made[who] in self.kills[who]

    def done(self) -> None:
        with self.condition:
            self.turn = None
            self._next()

    def ended(self, who: int) -> None:
        with self.condition:
            self.alive.discard(who)
            self._next()
            self.condition.notify_all()

    def rest(self, who: int) -> None:
        """Stay dead until the other one has ended."""
        self.ended(who)
        with self.condition:
            self.condition.wait_for(lambda: not self.alive, 60)
            self.alive.add(who)

    def _next(self) -> None:
        # Only when both wait is there a choice, so that the schedule alone decides.
        if self.turn is None and self.waiting and self.waiting >= self.alive:
            self.turn = next((n for n in (next(self.schedule), 0, 1) if n in self.waiting), None)
            self.condition.notify_all()


def interleaved(there: Account, turns: Turns, lives: Sequence[Callable[[], None]], rests: bool) -> None:
    """Run both at once, each again until it ends well; a kill ends an attempt before one of its calls."""
    who = threading.local()
    original = botocore.client.BaseClient._make_api_call

    def call(self: Any, name: str, arguments: Any) -> Any:
        try:
            who.dead = turns.step(who.number) or who.dead
            if who.dead:
                raise KilledError
            return original(self, name, arguments)
        finally:
            turns.done()

    def attempt(number: int) -> bool:
        who.number, who.dead = number, False
        try:
            lives[number]()
        except (KilledError, PartitionsBusy) as error:
            waited(there, turns, number, rests and isinstance(error, KilledError))
            return False
        return True

    def live(number: int) -> None:
        try:
            assert any(attempt(number) for _ in range(ROUNDS))
        finally:
            turns.ended(number)

    threads = [threading.Thread(target=live, args=(number,)) for number in (0, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def waited(there: Account, turns: Turns, number: int, rests: bool) -> None:
    """Wait for the other one to end; nobody lives as long as a lease, so that of the dead runs out."""
    if len(turns.alive) == 1:
        there.later()
    elif rests:
        turns.rest(number)


RACES = given(
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]),
    kills=st.tuples(st.sets(st.integers(1, 60), max_size=3), st.sets(st.integers(1, 60), max_size=3)),
    rests=st.booleans(),
)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def turns_of(seed: int, share: float, kills: tuple[set[int], set[int]]) -> Turns:
    chance = random.Random(seed)
    return Turns(iter(lambda: int(chance.random() < share), None), {0: kills[0], 1: kills[1]})


@RACES
@FEW
def test_any_interleaving_with_kills_and_retries_ends_with_whole_runs(
    seed: int, share: float, kills: tuple[set[int], set[int]], rests: bool
) -> None:
    with account() as there:
        lives = [partial(publish, there.jobs[name], there.records[name]) for name in ("older", "newer")]
        interleaved(there, turns_of(seed, share, kills), lives, rests)
        check(there, ["older", "newer"])


class Merging:
    """A run that adds its row to every file's rows of dt=2; it starts again where the table has changed."""

    def __init__(self, there: Account, name: str) -> None:
        self.there, self.name, self.number, self.record = there, name, 0, ""
        self.job = there.jobs[name]

    def __call__(self) -> None:
        while True:
            if not self.record:
                self.read()
            try:
                publish(self.job, self.record)
            except TableChanged:
                self.record = ""
                continue
            return

    def read(self) -> None:
        """Read what is there and stage the partition's whole new content, as a transform does."""
        self.number += 1
        config = replace(self.there.jobs[self.name].config, write_mode=WriteMode.MERGE, keys=("id",))
        self.job = replace(self.there.jobs[self.name], id=f"{self.name}-{self.number}", config=config)
        found = storage.s3().list_objects_v2(Bucket=CURATED, Prefix="orders/dt=2/").get("Contents", ())
        rows, files = [self.name], []
        for entry in found:
            try:
                body = world.get(CURATED, entry["Key"])
            except ClientError:  # deleted since the listing: the run reads again
                return self.read()
            rows += body.decode().split()
            files.append({"bucket": CURATED, "key": entry["Key"], "etag": entry["ETag"].strip('"')})
        storage.put_json(f"{self.job.runs}existing.json", {"files": files})
        name = f"part-{STEMS[self.name][:-2]}{self.number:02d}.zstd.parquet"
        uri = f"{self.job.staging}output/dt=2/{name}"
        put(*storage.parse_uri(uri), " ".join(rows).encode())
        listed = f"{self.job.runs}files.json"
        storage.put_json(listed, {"outputs": [{"uri": uri, "rows": len(rows), "partition": {}}]})
        record = f"{self.job.runs}record.json"
        storage.put_json(record, {"status": "completed", "files": listed})
        self.record = record
        return None


@RACES
@FEW
def test_merges_at_once_end_as_if_one_had_come_after_the_other(
    seed: int, share: float, kills: tuple[set[int], set[int]], rests: bool
) -> None:
    with account() as there:
        lives = [Merging(there, name) for name in ("older", "newer")]
        interleaved(there, turns_of(seed, share, kills), lives, rests)
        bodies = [world.get(CURATED, key) for key in world.keys(CURATED, "orders/dt=2/")]
        assert sorted(b" ".join(bodies).split()) == [b"newer", b"old", b"older"]
