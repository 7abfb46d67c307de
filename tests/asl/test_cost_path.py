"""Counted paths against executions: what `asl cost` counts is what a machine does."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from asl import names
from asl.cost.path import path
from asl.emit.state_machine import definition
from asl.integrations import glue_start_job_run, lambda_invoke
from asl.ir import Branch, Choice, Fail, Map, Parallel, Pass, Ref, Rule, Succeed, Task
from asl.lower import lower_pipeline
from tests.asl.generated import THRESHOLD, TRIGGERS, dags, pipeline_of
from tests.asl.interpreter import execute
from tests.asl.world import World, input_of


class OneRequest(World):
    """A world in which a run's partitions fit one request."""

    def file_record(self, asset, *, rejected):
        record = super().file_record(asset, rejected=rejected)
        return {**record, "partitions": record["partitions"][:1]}


@given(
    dags(most=6),
    st.sampled_from(TRIGGERS),
    st.sets(st.integers(0, 5)),
    st.sets(st.integers(0, 5)),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_an_execution_does_what_was_counted(dag, trigger, decided, on_glue, partitioned, large):
    auto = frozenset(asset for asset in dag if int(asset[1:]) in decided)
    glue = frozenset(asset for asset in dag if int(asset[1:]) in on_glue) - auto
    pipeline = pipeline_of(dag, auto=auto, glue=glue, partitioned=partitioned, trigger=trigger)
    machine = lower_pipeline(pipeline)
    jobs = glue | auto if large else glue
    counted = path(
        machine.states,
        {
            names.job_id(pipeline.name, asset) if asset in jobs else names.function_id(pipeline.name, asset)
            for asset in dag
        },
    )
    world = OneRequest(pipeline)
    size = THRESHOLD + 1 if large else THRESHOLD
    execution = execute(definition(machine).definition, input_of(pipeline, size), world)
    assert execution.status == "SUCCEEDED", execution.cause
    assert counted.transitions == len(execution.entered)
    assert counted.calls["lambda_invoke"] == len(world.asked("lambda:invoke")) == len(dag) - len(jobs)
    assert counted.calls["glue_start_job_run"] == len(world.asked("glue:startJobRun.sync")) == len(jobs)
    assert counted.calls.total() == len(world.calls)


def test_events_and_calls_of_each_kind_of_state():
    function = Task(
        name="f", integration=lambda_invoke.INTEGRATION, arguments={"FunctionName": Ref("F", "Arn")}, next="s"
    )
    job = Task(
        name="j", integration=glue_start_job_run.INTEGRATION, arguments={"JobName": Ref("J")}, next="s"
    )
    states = [
        Pass(name="p", next="m"),
        Map(name="m", items="", processor=Branch((Pass(name="in"),)), max_items=50, next="q"),
        Parallel(name="q", branches=(Branch((Pass(name="a"),)), Branch((Pass(name="b"),))), next="small?"),
        Choice(name="small?", rules=(Rule(condition="true", next="j"),), default="f"),
        function,
        job,
        Fail(name="never", error="E", cause="c"),
        Succeed(name="s"),
    ]
    small, large = path(states, {"F"}), path(states, {"J"})
    # p, m with one item, q with two branches, the choice, f or j, s.
    assert small.transitions == large.transitions == 1 + 2 + 3 + 1 + 1 + 1
    assert small.calls == Counter(lambda_invoke=1)
    assert large.calls == Counter(glue_start_job_run=1)
    # A job that is waited for is scheduled, started, submitted and ended.
    assert large.events == small.events + 1
