"""Two versions of one key, in any order, at once, and killed anywhere: the newer one's files stay."""

import contextlib
import json
import random
import threading

import pytest
from toy_world import DOWNSTREAM, EVENTS, PLAN, Killed, counted, fresh_world, kill_at

from aws_runtime import records, storage
from aws_runtime.events import parse_event
from aws_runtime.handlers.materialize import limits
from aws_runtime.identity import FileIdentity, source_digest
from aws_runtime.materialize import materialize
from aws_runtime.units import UpstreamError

KEY = "orders/a.json"
OLD = b"\n".join(
    json.dumps({"id": f"old{i}", "day": f"2025-01-{17 + i}", "n": i - 1}).encode() for i in range(3)
)
NEW = b"\n".join(
    json.dumps({"id": f"new{i}", "day": f"2025-01-{18 + i}", "n": i - 1}).encode() for i in range(3)
)
OLD_TIME, NEW_TIME = "2025-01-17T10:15:02Z", "2025-01-17T10:15:09Z"


def two(world):
    """Return the events of an older and of a newer version."""
    old, new = world.put(OLD, key=KEY), world.put(NEW, key=KEY)
    return (
        world.event(old, execution="old", time=OLD_TIME),
        world.event(new, execution="new", time=NEW_TIME),
    )


def stem(event, time="20250117T101509Z"):
    (item,) = event["inputs"]["orders"]["objects"]
    return f"{time}-{FileIdentity('landing', KEY, item['version_id']).digest}"


def nameless(world, event):
    """Return the published files, and the one name of those of the newer version taken out of the names."""
    return {key.replace(stem(event), "<new>"): content for key, content in world.published().items()}


def alone(account):
    with fresh_world() as world:
        event = world.event(world.put(NEW, key=KEY), execution="new", time=NEW_TIME)
        world.invoke(event)
        return nameless(world, event)


def assert_only_the_newer(world, new, wanted):
    assert nameless(world, new) == wanted
    (publication,) = world.publications()
    assert publication["owner"]["stem"] == stem(new)
    assert len(publication["files"]) == len(wanted)


def test_the_newer_replaces_the_older_and_nothing_else(world):
    other = world.put(OLD, key="orders/b.json")
    world.invoke(world.event(other, execution="other", time=OLD_TIME))
    before = set(world.published())
    old, new = two(world)
    world.invoke(old)
    record = world.invoke(new)
    assert "superseded" not in record
    after = set(world.published())
    assert before < after
    assert all(stem(new) in key for key in after - before)
    assert len(after - before) == 3


def test_an_older_version_that_comes_late_is_counted_and_publishes_nothing(world):
    old, new = two(world)
    world.invoke(new)
    state = world.published()
    record = world.invoke(old)
    assert world.published() == state
    assert (record["status"], record["superseded"]) == ("completed", True)
    assert (record["rows_in"], record["rows_out"], record["rows_quarantined"]) == (3, 2, 1)
    assert (record["outputs"], record["partitions"], record["quarantine"]) == ([], [], [])
    assert record["output_count"] == 0


def test_in_a_batch_the_newest_version_of_a_key_wins_in_any_order(world):
    old, new = two(world)
    named = [event["inputs"]["orders"]["objects"][0] for event in (old, new)]
    for name, order in (("one", (0, 1)), ("two", (1, 0))):
        times = [(OLD_TIME, NEW_TIME)[i] for i in order]
        uri = world.manifest(*(named[i] for i in order), name=name, times=times)
        record = world.invoke(world.batch_event(uri, execution=name))
        assert (record["files_in"], record["files_superseded"]) == (2, 1)
        assert (record["rows_in"], record["output_count"]) == (6, 2)
        assert all(stem(new) in key for key in world.published())


@pytest.mark.parametrize(
    ("older", "newer"),
    [("00A1", "00A2"), ("00A", "00A1"), ("", "01"), ("0055AED6DCD90281E5", "0055AED6DCD90281E6")],
)
@pytest.mark.parametrize("late", [False, True])
def test_sequencers_order_the_versions_of_one_second(world, older, newer, late):
    versions = [world.put(content, key=KEY) | {"sequencer": s} for content, s in ((OLD, older), (NEW, newer))]
    events = [world.event(item, execution=f"run-{i}", time=NEW_TIME) for i, item in enumerate(versions)]
    for event in reversed(events) if late else events:
        world.invoke(event)
    assert all(stem(events[1]) in key for key in world.published())


def test_the_same_version_sent_again_with_an_earlier_time_is_published_and_still_outranked(world):
    old, new = two(world)
    world.invoke(new)
    again = {**new, "execution": "again", "event_time": OLD_TIME}
    assert "superseded" not in world.invoke(again)
    published = world.published()
    assert all(stem(new, "20250117T101502Z") in key for key in published)
    assert world.invoke(old)["superseded"]
    assert world.published() == published


def test_calls_of_a_new_version(world):
    old, new = two(world)
    with counted(world) as first:
        world.invoke(old)
    with counted(world) as second:
        world.invoke(new)
    # The claim that fails, what it met, whether that run has ended, the claim; then three deletions,
    # and what it wrote is struck off instead of being read again.
    assert second - first == {"PutObject": 2, "GetObject": 1, "DeleteObject": 3}
    assert first - second == {}


def test_a_newer_version_that_is_rejected_leaves_the_older_ones_rows(world):
    old, _ = two(world)
    world.invoke(old)
    state = world.published()
    broken = world.put(b"{", key=KEY)
    assert world.invoke(world.event(broken, execution="broken", time=NEW_TIME))["status"] == "rejected"
    assert world.published() == state


def at_call(world, number, when, action):
    """Call `action` within the `number`-th AWS call of whatever runs next; undone by what is returned."""
    made = []

    def count(**_):
        made.append(1)
        if len(made) - 1 == number:
            action()

    events = world.s3.meta.events
    (events.register_first if when == "before" else events.register_last)(EVENTS[when], count)
    return made, lambda: events.unregister(EVENTS[when], count)


def calls_of(event_number, first):
    """Return how many calls a version's run makes, where the other one came before or not."""
    with fresh_world() as world:
        events = two(world)
        if first:
            world.invoke(events[1 - event_number])
        made, heal = kill_at(world, None, "before")
        world.invoke(events[event_number])
        heal()
        return len(made)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("outer", [0, 1])
def test_one_version_runs_whole_within_any_call_of_the_other(account, outer, when):
    wanted = alone(account)
    for call in range(calls_of(outer, first=False) + 4):
        with fresh_world() as world:
            events = two(world)
            _, heal = at_call(world, call, when, lambda w=world, e=events: w.invoke(e[1 - outer]))
            world.invoke(events[outer])
            heal()
            world.invoke(events[1 - outer])  # at the latest now: redelivered
            assert_only_the_newer(world, events[1], wanted)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("first", [0, 1])
def test_both_killed_at_any_call_and_retried_in_either_order(account, first, when):
    wanted = alone(account)
    most = [calls_of(number, first=True) for number in (0, 1)]
    # Every call of the one, each with some of the other's; random interleavings follow below.
    for one in range(most[first]):
        for other in range(one % 6, most[1 - first], 6):
            with fresh_world() as world:
                events = two(world)
                for number, call in ((first, one), (1 - first, other)):
                    _, heal = kill_at(world, call, when)
                    with contextlib.suppress(Killed):
                        world.invoke(events[number])
                    heal()
                for number in ((0, 1), (1, 0))[(one + other // 6) % 2]:
                    world.invoke(events[number])
                assert_only_the_newer(world, events[1], wanted)


class Turns:
    """Lets threads make one AWS call at a time, in an order that a seed decides; kills some at a call."""

    def __init__(self, world, seed, *, deadly):
        self.random = random.Random(seed)
        self.deadly = deadly
        self.world = world
        self.changed = threading.Condition()
        self.waiting, self.chosen, self.alive = set(), None, set()

    def call(self, **_):
        me = threading.current_thread()
        if me not in self.alive:
            return
        with self.changed:
            self.waiting.add(me)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.chosen is me)
            self.chosen = None
            self.waiting.discard(me)
            if self.deadly and self.random.random() < 0.06:
                raise Killed

    def run(self, actions):
        """Run all actions at once; returns whether each was killed."""
        killed = [True] * len(actions)

        def act(number):
            try:
                actions[number]()
                killed[number] = False
            except Killed:
                pass
            finally:
                with self.changed:
                    self.alive.discard(threading.current_thread())
                    self.changed.notify_all()

        threads = [threading.Thread(target=act, args=(number,)) for number in range(len(actions))]
        self.alive.update(threads)
        events = self.world.s3.meta.events
        events.register_first("before-send.s3", self.call)
        for thread in threads:
            thread.start()
        with self.changed:
            while self.alive:
                self.changed.wait_for(lambda: self.chosen is None and self.waiting == self.alive)
                ready = [thread for thread in threads if thread in self.waiting]
                if ready:
                    self.chosen = self.random.choice(ready)
                    self.changed.notify_all()
        for thread in threads:
            thread.join()
        events.unregister("before-send.s3", self.call)
        return killed


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_runs_at_once_in_any_interleaving_with_crashes(account, monkeypatch, seed, direct):
    """Three or four attempts at two versions, call by call in a random order, each perhaps killed."""
    # One thread an attempt, whose calls are then in an order of their own.
    monkeypatch.setattr(storage, "each", lambda action, items: [action(item) for item in items])
    wanted = alone(account)
    with fresh_world() as world:
        # Spark reads a key's latest version only, so the older one is always copied.
        events = two(world)
        attempts = [0, 1, *random.Random(seed).choices((0, 1), k=1 + seed % 2)]

        def attempt(number):
            at = records.places("s3://staging/lines/", "s3://quarantine/", PLAN, events[number]["execution"])
            asked = parse_event(events[number], PLAN)
            return lambda: materialize(PLAN, asked, at, limits=limits, direct=direct and number == 1)

        killed = Turns(world, seed, deadly=True).run([attempt(number) for number in attempts])
        again = {number for number, dead in zip(attempts, killed, strict=True) if dead}
        Turns(world, seed, deadly=False).run([attempt(number) for number in again])
        assert_only_the_newer(world, events[1], wanted)


def down(record):
    return {"execution": record["record"].rpartition("/")[2][:3], "event_time": OLD_TIME} | {
        "inputs": {"orders": {"record": record["record"]}}
    }


def test_downstream_of_a_superseded_run_publishes_nothing(world):
    old, new = two(world)
    newer = world.invoke(new)
    older = world.invoke(old)
    event = {**down(newer), "event_time": NEW_TIME}
    world.invoke(event, DOWNSTREAM, "s3://staging/summary/")
    state = world.keys("staging", "summary/")
    record = world.invoke(down(older), DOWNSTREAM, "s3://staging/summary/")
    assert (record["status"], record["superseded"], record["rows_in"]) == ("completed", True, 0)
    assert world.keys("staging", "summary/") == state
    assert state


def test_downstream_whose_input_a_newer_version_took_meanwhile_is_superseded(world):
    old, new = two(world)
    older = world.invoke(old)
    world.invoke(new)
    record = world.invoke(down(older), DOWNSTREAM, "s3://staging/summary/")
    assert (record["status"], record["superseded"]) == ("completed", True)
    assert world.keys("quarantine", "rejected/") == []


def test_downstream_whose_input_was_lost_fails(world):
    record = world.invoke(two(world)[0])
    world.s3.delete_object(Bucket="staging", Key=record["outputs"][0].removeprefix("s3://staging/"))
    with pytest.raises(UpstreamError, match="is gone"):
        world.invoke(down(record), DOWNSTREAM, "s3://staging/summary/")


def test_the_publication_is_named_after_bucket_and_key(world):
    world.invoke(two(world)[0])
    name = f"_runs/shop/order_lines/_published/{source_digest('landing', KEY)}.json"
    assert name in world.keys("staging")
