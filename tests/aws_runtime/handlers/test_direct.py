"""`materialize` with an engine that reads and writes S3 itself, as Spark on Glue does."""

import json
from dataclasses import replace

import pytest
from toy_world import PLAN, ROWS, Killed, fresh_world, kill_at

from aws_runtime import records
from aws_runtime.events import parse_event
from aws_runtime.handlers.materialize import limits
from aws_runtime.materialize import materialize


def run(world, event, plan=PLAN):
    at = records.places("s3://staging/lines/", "s3://quarantine/", plan, event["execution"])
    return materialize(plan, parse_event(event, plan), at, limits=limits, direct=True)


def event_of(world, item):
    return world.event({key: item[key] for key in ("bucket", "key", "etag", "size")})


def undisturbed(plan=PLAN):
    with fresh_world() as world:
        event = event_of(world, world.put())
        made, heal = kill_at(world, None, "before")
        record = run(world, event, plan)
        calls = len(made)
        heal()
        return record, world.everything(), calls


def test_the_record_is_the_one_of_a_copying_run(account):
    record, state, _ = undisturbed()
    with fresh_world() as world:
        assert world.invoke(event_of(world, world.put())) == record
        made = world.everything()
    files = json.loads(made[record["files"]])
    for entry in (*files["outputs"], *files["quarantine"]):
        assert entry.pop("bytes") == len(made[entry["uri"]])  # of files on Spark, only Spark knows
    assert {**made, record["files"]: files} == {**state, record["files"]: json.loads(state[record["files"]])}


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_call_and_retried(account, when):
    expected, state, calls = undisturbed()
    for call in range(calls):
        with fresh_world() as world:
            event = event_of(world, world.put())
            _, heal = kill_at(world, call, when)
            with pytest.raises(Killed):
                run(world, event)
            heal()
            assert run(world, event) == expected
            assert world.everything() == state


def test_a_reprocessed_file_replaces_what_it_gave(account):
    newer = replace(PLAN, transform="toy_engine:later")
    expected, state, _ = undisturbed(newer)
    with fresh_world() as world:
        event = event_of(world, world.put())
        run(world, event)
        assert run(world, event, newer) == expected
        assert world.everything() == state


def test_rows_of_a_rejected_run_are_taken_back(world, monkeypatch):
    monkeypatch.setattr(records, "MOST_PARTITIONS", 2)
    record = run(world, world.event(world.put()))
    assert record["reason"]["code"] == "TooManyPartitions"
    assert [world.read(uri) for uri in record["quarantine"]] == [ROWS]
    assert world.keys("staging", "lines/") == []
    assert world.keys("quarantine", "rows/") == []


def test_a_version_that_is_not_the_latest_is_rejected_and_kept(world):
    first = world.put()
    world.put(b"{}")
    record = run(world, world.event(first))
    assert record["reason"]["code"] == "ObjectReplaced"
    assert [world.read(uri) for uri in record["quarantine"]] == [ROWS]
