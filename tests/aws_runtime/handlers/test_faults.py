"""A run killed before or after any of its AWS calls, then retried, ends as if never disturbed."""

import json
from dataclasses import replace

import pytest
from toy_world import PLAN, Killed, fresh_world, kill_at


def landed(world, scenario):
    return world.put(b"{") if scenario == "rejected" else world.put()


def event_of(world, item):
    # An in-process account gives random version ids; the ETag alone makes runs comparable.
    return world.event({key: item[key] for key in ("bucket", "key", "etag", "size")})


def undisturbed(scenario, plan=PLAN):
    with fresh_world() as world:
        event = event_of(world, landed(world, scenario))
        made, heal = kill_at(world, None, "before")
        record = world.invoke(event, plan)
        calls = len(made)
        heal()
        return record, world.everything(), calls


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("scenario", ["completed", "rejected"])
def test_killed_at_any_call_and_retried(account, scenario, when):
    expected, state, calls = undisturbed(scenario)
    assert calls >= 5
    assert expected["status"] == scenario
    for call in range(calls):
        with fresh_world() as world:
            event = event_of(world, landed(world, scenario))
            _, heal = kill_at(world, call, when)
            with pytest.raises(Killed):
                world.invoke(event)
            heal()
            assert world.invoke(event) == expected
            assert world.everything() == state


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_call_and_retried_with_newer_code(account, when):
    """The retry's transform puts all rows elsewhere: nothing of the first attempt may stay."""
    newer = replace(PLAN, transform="toy_engine:later")
    expected, state, _ = undisturbed("completed", newer)
    _, _, calls = undisturbed("completed")
    for call in range(calls):
        with fresh_world() as world:
            event = event_of(world, landed(world, "completed"))
            _, heal = kill_at(world, call, when)
            with pytest.raises(Killed):
                world.invoke(event)
            heal()
            assert world.invoke(event, newer) == expected
            assert world.everything() == state


def test_a_reprocessed_file_is_killed_at_any_call_and_retried(account):
    """The deletion of what an earlier run published is itself interrupted at every call."""
    newer = replace(PLAN, transform="toy_engine:later")
    expected, state, _ = undisturbed("completed", newer)
    call = 0
    while True:
        with fresh_world() as world:
            event = event_of(world, landed(world, "completed"))
            world.invoke(event)
            _, heal = kill_at(world, call, "after")
            try:
                world.invoke(event, newer)
                killed = False
            except Killed:
                killed = True
            heal()
            if killed:
                world.invoke(event, newer)
            assert json.loads(world.read(expected["record"])) == expected
            assert world.everything() == state
            if not killed:
                break
        call += 1
    assert call > 10


@pytest.mark.parametrize("call", range(5))
def test_a_killed_run_publishes_no_record(account, call):
    with fresh_world() as world:
        event = event_of(world, landed(world, "completed"))
        _, heal = kill_at(world, call, "after")
        with pytest.raises(Killed):
            world.invoke(event)
        heal()
        assert not any(key.endswith("run-1.json") for key in world.keys("staging"))
