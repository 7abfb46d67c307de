"""Budgets against sums made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asl.cost.path import path
from asl.emit.budget import (
    PLACEHOLDER_BYTES,
    budget,
    definition_bytes,
    dollars,
    history_events,
    payload_bytes,
    runners,
)
from asl.emit.state_machine import definition
from asl.integrations import glue_start_job_run, sns_publish
from asl.ir import Branch, Choice, Fail, Map, Parallel, Pass, Retrier, Rule, Succeed, Task
from asl.lower import lower_pipeline
from ingestion_assets import Catalog, CompileError, PartitionBy, Processor, S3Batches, S3Event, S3Queue
from ingestion_assets.curation_plan import curated_nodes
from tests.asl.curated import curated
from tests.asl.generated import pipeline_of


def task(name, following=None, attempts=0, integration=sns_publish.INTEGRATION):
    retry = (Retrier(("X",), attempts, 1, 10),) if attempts else ()
    return Task(name=name, integration=integration, arguments={}, retry=retry, next=following)


@pytest.mark.parametrize(
    ("states", "events"),
    [
        ([Succeed(name="s")], 2),
        ([Fail(name="f", error="E", cause="c")], 1),
        # Entered, scheduled, started, succeeded, exited.
        ([task("t")], 5),
        # Two more tries, each scheduled, started and failed.
        ([task("t", attempts=2)], 11),
        # A job is submitted too.
        ([task("t", integration=glue_start_job_run.INTEGRATION)], 6),
        ([Pass(name="p", next="t"), task("t")], 7),
        # Of two ways, the longer.
        (
            [
                Choice(name="c", rules=(Rule(condition="true", next="t"),), default="s"),
                task("t", "s"),
                Succeed(name="s"),
            ],
            9,
        ),
        # Entered, started, both branches, succeeded, exited.
        ([Parallel(name="p", branches=(Branch((task("a"),)), Branch((task("b"),))))], 14),
        # Three iterations started and succeeded, one of them with a retry.
        ([Map(name="m", items="", processor=Branch((task("t", attempts=1),)), max_items=3)], 4 + 3 * 7 + 3),
    ],
)
def test_history(states, events):
    assert history_events(states) == events


def test_cost_of_one_function():
    """Per million: 6 transitions, 1 GB for 1 s, 4 writes and 2 reads of S3, 5 units of DynamoDB."""
    pipeline = replace(pipeline_of({"a": []}, partitioned=False), catalog=Catalog())
    pipeline = replace(pipeline, assets=(replace(pipeline.assets[0], processor=Processor(memory_mb=1024)),))
    machine = lower_pipeline(pipeline)
    # Begin, Track started, Materialize a, Is a rejected?, Announce, Track completed.
    assert path(machine.states, runners(pipeline, large=False)).transitions == 6
    assert dollars(pipeline, machine) == {
        "step_functions": 150.0,
        "lambda": 13.53,  # 13.3334 + 0.20
        "glue": 0.0,
        "eventbridge": 2.0,
        "sqs": 0.0,
        "dynamodb": 3.12,  # 5 x 0.625
        "s3": 20.8,  # 4 x 5.00 + 2 x 0.40
        "total": 189.45,
    }


def test_cost_of_a_glue_job():
    """Two workers for 90 s: 2 x 90 / 3600 x 0.44 dollars a file."""
    pipeline = pipeline_of({"a": []}, partitioned=False, glue=frozenset("a"))
    assert dollars(pipeline, lower_pipeline(pipeline))["glue"] == 22_000.0


def plain(trigger, **processor):
    """One asset without partitions and crawler."""
    pipeline = replace(pipeline_of({"a": []}, partitioned=False, trigger=trigger), catalog=Catalog())
    asset = replace(pipeline.assets[0], processor=Processor(memory_mb=1024, **processor))
    return replace(pipeline, assets=(asset,))


def test_cost_behind_a_queue():
    """Begin, Materialize, Is it rejected?, Announce, Track completed; the orchestrator has 512 MB for 0.4 s."""
    pipeline = plain(S3Queue("files"))
    found = dollars(pipeline, lower_pipeline(pipeline))
    assert found["step_functions"] == 125.0
    # 13.3334 + 0.20 of the asset's function; 0.20 + 0.5 x 0.4 x 13.3334 of the orchestrator.
    assert found["lambda"] == 16.4
    assert found["sqs"] == 1.2  # sent, received, deleted: 3 x 0.40
    assert found["eventbridge"] == 1.0  # announced


def test_cost_of_batches_is_shared_by_their_files():
    """Ten files share 7 transitions, one invocation of each function, one manifest."""
    pipeline = plain(S3Batches("files", files=10))
    found = dollars(pipeline, lower_pipeline(pipeline))
    # Begin, Track processing, Materialize, Sum up, Were files rejected?, Announce, Track completed.
    assert found["step_functions"] == 17.5
    # The second of each file's work; requests and the builder's 0.2 GB-seconds by the ten.
    assert found["lambda"] == round(13.3334 + (0.20 + 0.20 + 0.2 * 13.3334) / 10, 2)
    assert found["sqs"] == 0.48  # sent one by one, received and deleted by the ten: 1.2 x 0.40
    assert found["s3"] == round(20.8 + (5.00 + 0.40) / 10, 2)


def test_both_ways_of_auto_are_stated():
    pipeline = plain(S3Batches("files", files=10), kind="auto")
    machine = lower_pipeline(pipeline)
    found = budget(pipeline, machine, definition(machine).definition)
    small, large = found.dollars_per_million_files, found.dollars_per_million_files_on_glue
    assert large is not None
    assert (small["glue"], large["glue"]) == (0.0, 2200.0)
    # The choice is a state more; a job's run record is read back, which is one more still.
    assert (small["step_functions"], large["step_functions"]) == (20.0, 22.5)
    assert large["lambda"] < 1 < small["lambda"]
    assert found.to_json()["files"] == 10
    assert "dollars_per_million_files_on_glue" not in budget_of(plain(S3Event("files"))).to_json()


def budget_of(pipeline):
    machine = lower_pipeline(pipeline)
    return budget(pipeline, machine, definition(machine).definition)


def test_the_history_is_that_of_the_longer_way_of_auto():
    ways = [
        budget_of(plain(S3Event("files"), kind=kind)).history_events for kind in ("lambda", "glue_pyspark")
    ]
    assert budget_of(plain(S3Event("files"), kind="auto")).history_events == max(ways) + 2


def test_definition_bytes_count_utf8_and_substitutions():
    assert definition_bytes({"a": "é"}) == len('{"a":"é"}'.encode()) == 10
    assert definition_bytes({"a": "${X}"}) == len('{"a":"${X}"}') + PLACEHOLDER_BYTES


def test_a_small_pipeline_is_within_its_limits():
    pipeline = pipeline_of({"a": [], "b": ["a"]})
    machine = lower_pipeline(pipeline)
    found = budget(pipeline, machine, definition(machine).definition)
    printed = found.to_json()
    for name, limit in printed["limits"].items():
        assert 0 < printed[name] < limit


@pytest.mark.parametrize(
    ("assets", "partitioned", "code"), [(300, True, "ASL210"), (70, True, "ASL211"), (180, False, "ASL212")]
)
def test_over_a_limit_is_an_error_with_a_hint(assets, partitioned, code):
    pipeline = pipeline_of({f"a{index}": [] for index in range(assets)}, partitioned=partitioned)
    machine = lower_pipeline(pipeline)
    with pytest.raises(CompileError) as raised:
        budget(pipeline, machine, definition(machine).definition)
    assert raised.value.code == code
    assert "Split the pipeline" in raised.value.hint


def test_payloads_grow_with_assets_not_with_rows():
    one, many = (payload_bytes(pipeline_of({f"a{i}": [] for i in range(n)})) for n in (1, 60))
    assert one < many < 400_000


def test_a_curated_runs_summary_grows_with_its_partition_columns():
    _, asset = curated_nodes(curated())

    def by(count):
        columns = tuple(PartitionBy(f"p{number}") for number in range(count))
        wide = replace(asset, destination=replace(asset.destination, partition_by=columns))
        return replace(curated(), assets=(wide,))

    record = 200 * 1024 + 512
    assert payload_bytes(by(1)) == payload_bytes(by(2)) == record
    assert payload_bytes(by(6)) > record
    assert payload_bytes(by(9)) - payload_bytes(by(8)) == 2 * 100 * (2 + 2 + 256)


def looping(back):
    again = Rule(condition="$tries < 3", next="b", back=back)
    return (
        Pass(name="a", next="b"),
        Pass(name="b", next="c"),
        Choice(name="c", rules=(again,), default="d"),
        Succeed(name="d"),
    )


def test_a_way_back_counts_as_often_as_it_may_be_gone():
    assert history_events(looping(1)) == 4 * 2 + 2 * 2
    assert history_events(looping(3)) == 4 * 2 + 3 * 2 * 2


def test_a_way_back_without_an_end_is_refused():
    with pytest.raises(ValueError, match="leads back to itself, and no rule says how often"):
        history_events(looping(0))
