"""Passes: before and after."""

from __future__ import annotations

from asl.integrations import glue_start_crawler, sns_publish
from asl.ir import Branch, Catcher, Choice, Fail, Machine, Map, Parallel, Pass, Retrier, Rule, Succeed, Task
from asl.passes import PASSES
from asl.passes.catches import add_catches
from asl.passes.fuse import fuse_passes
from asl.passes.names import shorten_names
from asl.passes.retries import add_retries
from asl.passes.timeouts import add_timeouts
from asl.states import successors, walk
from ingestion_assets.errors import Where


def machine(*states):
    return Machine(
        name="m", logical_id="M", states=states, timeout_seconds=60, comment="", where=Where("f.py", 1)
    )


def task(name="t", **given):
    return Task(name=name, integration=sns_publish.INTEGRATION, arguments={}, **given)


def inside(made):
    return next(visit.state for visit in walk(made.states) if visit.parents)


def test_timeouts_come_from_the_integration_where_none_is_given():
    made = add_timeouts(machine(task("a", next="b"), task("b", timeout_seconds=7)))
    assert [state.timeout_seconds for state in made.states] == [30, 7]
    nested = add_timeouts(machine(Map(name="m", items="", processor=Branch((task(),)))))
    assert inside(nested).timeout_seconds == 30


def test_retries_come_from_the_integrations_transient_errors():
    made = add_retries(machine(Parallel(name="p", branches=(Branch((task(),)),))))
    throttled, general = inside(made).retry
    assert "SNS.ThrottledException" in throttled.errors
    assert (throttled.attempts, throttled.max_delay_seconds, throttled.backoff_rate) == (6, 30, 2.0)
    assert general.errors == ("SNS.AmazonSNSException",)


def test_declared_retries_stay():
    own = (Retrier(("X",), 1, 1, 1),)
    assert add_retries(machine(task(retry=own))).states[0].retry == own


def test_catches_are_added_after_more_special_ones_and_only_outside():
    running = Catcher(("Glue.CrawlerRunningException",), "Track failure")
    crawl = Task(
        name="c", integration=glue_start_crawler.INTEGRATION, arguments={}, catch=(running,), next="p"
    )
    nested = Parallel(name="p", branches=(Branch((task("inner"),)),), next="Track failure")
    own = Catcher(("States.ALL",), "end")
    made = add_catches(
        machine(crawl, nested, task("Track failure", catch=(own,), next="end"), Succeed(name="end"))
    )
    by_name = {state.name: state for state in made.states}
    assert [catcher.errors for catcher in by_name["c"].catch] == [
        ("Glue.CrawlerRunningException",),
        ("States.ALL",),
    ]
    assert by_name["p"].catch[0].next == "Track failure"
    assert inside(made).catch == ()
    assert by_name["Track failure"].catch == (own,)


def test_a_machine_without_a_failure_path_gets_no_catch():
    assert add_catches(machine(task())).states[0].catch == ()


def test_idle_passes_are_led_around():
    made = fuse_passes(
        machine(
            Pass(name="a", next="b"),
            Pass(name="b", next="c"),
            Choice(name="c", rules=(Rule(condition="true", next="d"),), default="d"),
            Pass(name="d", next="e"),
            task("e", catch=(Catcher(("States.ALL",), "d"),)),
        )
    )
    assert [state.name for state in made.states] == ["c", "e"]
    assert successors(made.states[0]) == ("e",)
    assert made.states[1].catch[0].next == "e"


def test_a_pass_that_works_or_ends_stays():
    states = (Pass(name="a", assign={"x": 1}, next="b"), Pass(name="b", output={}, next="c"), Pass(name="c"))
    assert fuse_passes(machine(*states)).states == states


def test_a_choice_takes_over_the_pass_of_its_default():
    made = fuse_passes(
        machine(
            Choice(name="c", rules=(Rule(condition="x", next="f"),), default="p"),
            Pass(name="p", assign={"x": 1}, output={}, next="s"),
            Succeed(name="s"),
            Fail(name="f", error="e", cause="c"),
        )
    )
    choice = made.states[0]
    assert (choice.default, choice.assign, choice.output) == ("s", {"x": 1}, {})
    assert [state.name for state in made.states] == ["c", "s", "f"]


def test_a_choice_leaves_a_pass_that_others_lead_to():
    states = (
        Choice(name="c", rules=(Rule(condition="x", next="p"),), default="p"),
        Pass(name="p", assign={"x": 1}, next="s"),
        Succeed(name="s"),
    )
    assert fuse_passes(machine(*states)).states == states


def test_long_names_are_shortened_wherever_they_stand():
    long = "n" * 100
    made = shorten_names(
        machine(
            Choice(name="c", rules=(Rule(condition="x", next=long),), default=long),
            task(long, next="s" * 81, catch=(Catcher(("States.ALL",), "s" * 81),)),
            Succeed(name="s" * 81),
        )
    )
    names = {state.name for state in made.states}
    assert max(map(len, names)) <= 80
    assert all(set(successors(state)) <= names for state in made.states)


def test_passes_are_idempotent():
    made = machine(
        Pass(name="a", next="t"),
        task("t", next="Track failure"),
        task("Track failure", catch=(Catcher(("States.ALL",), "f"),), next="f"),
        Fail(name="f", error="e", cause="c"),
    )
    for apply in PASSES:
        made = apply(made)
        assert apply(made) == made
