"""Lowered machines, run: each asset once and after what it reads, and every end where it belongs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.emit.state_machine import definition
from asl.integrations import machine_permissions
from asl.ir import Task
from asl.lower import lower, lower_pipeline
from asl.states import walk
from aws_runtime.partitions import HIVE_NULL, partition_folder
from aws_runtime.records import FileEntry, completed, places
from aws_runtime.step import StepResult
from ingestion_assets.asset import S3Source
from ingestion_assets.errors import CompileError
from ingestion_assets.pipeline import Catalog, Pipeline
from ingestion_assets.plan import asset_plan
from tests.asl.generated import closure, dags, pipeline_of, random_dag
from tests.asl.interpreter import StatesError, execute
from tests.asl.world import EVENT, FILE_ID, KEY, World, run


@given(dags(most=7))
@settings(max_examples=40, deadline=None)
def test_every_asset_runs_once_and_after_what_it_reads(dag):
    execution, world = run(pipeline_of(dag))
    assert execution.status == "SUCCEEDED", execution.cause
    assert sorted(world.ran) == sorted(dag)
    position = {asset: index for index, asset in enumerate(world.ran)}
    assert all(position[earlier] < position[later] for earlier, later in closure(dag))
    for asset, needs in dag.items():
        expected = {need: {"record": f"s3://lake/_runs/{need}/run-1.json"} for need in needs}
        given_inputs = world.events[asset]["inputs"]
        assert given_inputs == expected or (not needs and list(given_inputs) == ["files"])
    assert execution.output["rows_in"] == 5 * len(dag)
    assert execution.output["rows_out"] + execution.output["rows_quarantined"] == 5 * len(dag)
    assert world.tracked() == ["started", "completed"]


@given(dags(most=7))
@settings(max_examples=40, deadline=None)
def test_a_rejection_anywhere_rejects_the_file_and_runs_nothing_after_it(dag):
    rejecting = min(dag)
    execution, world = run(pipeline_of(dag), rejecting=rejecting)
    assert (execution.status, execution.error) == ("FAILED", "FileRejected")
    assert execution.cause == "MalformedJson: line 3"
    later = {later for earlier, later in closure(dag) if earlier == rejecting}
    assert not later & set(world.ran)
    assert world.tracked() == ["started", "rejected"]
    assert not world.asked("events:putEvents")
    assert len(world.asked("sns:publish")) == 1


@given(dags(most=7))
@settings(max_examples=40, deadline=None)
def test_state_names_are_unique_and_short(dag):
    long = {
        f"{'very_long_name_' * 5}{name}": [f"{'very_long_name_' * 5}{n}" for n in needs]
        for name, needs in dag.items()
    }
    names = [visit.state.name for visit in walk(lower_pipeline(pipeline_of(long)).states)]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 80


NESTED = {"a": [], "b": ["a"], "c": ["a"], "d": ["b"], "e": ["b"], "f": ["d", "e", "c"]}
TASKS = [
    visit.state.name
    for visit in walk(lower_pipeline(pipeline_of(NESTED, glue=frozenset("ad"))).states)
    if isinstance(visit.state, Task)
]


@pytest.mark.parametrize(
    "failing", [name for name in TASKS if name not in {"Track rejection", "Track failure", "Alert"}]
)
def test_whatever_fails_is_tracked_and_alerted(failing):
    execution, world = run(pipeline_of(NESTED, glue=frozenset("ad")), failing={failing})
    assert (execution.status, execution.error) == ("FAILED", "RunFailed")
    assert execution.cause.startswith("Service.Broken: no luck")
    assert len(execution.cause) < 2100
    assert world.tracked()[-1] == "failed"
    assert len(world.asked("sns:publish")) == 1


@pytest.mark.parametrize("broken", [{"Track failure"}, {"Alert"}, {"Track failure", "Alert"}])
def test_a_broken_failure_path_still_fails_the_run(broken):
    execution, world = run(pipeline_of({"a": []}), failing={"Materialize a", *broken})
    assert (execution.status, execution.error) == ("FAILED", "RunFailed")
    assert len(world.asked("sns:publish")) == int("Alert" not in broken)


def test_a_file_that_was_ingested_ends_at_once():
    pipeline = pipeline_of({"a": []})
    world = World(pipeline)
    world.completed_already = True
    execution = execute(definition(lower_pipeline(pipeline)).definition, EVENT, world)
    assert execution.output == {"file_id": FILE_ID, "status": "duplicate"}
    assert world.ran == []


def test_a_completed_run_is_tracked_announced_and_handed_out():
    execution, world = run(pipeline_of({"a": [], "b": ["a"]}, glue=frozenset("b")))
    summary = {
        "file_id": FILE_ID,
        "status": "completed",
        "pipeline": "generated",
        "rows_in": 10,
        "rows_out": 6,
        "rows_quarantined": 4,
        "output_count": 2,
        "outputs": ["s3://lake/a/day=1/x.parquet", "s3://lake/b/day=1/x.parquet"],
        "quarantine": ["s3://quarantine/a.parquet", "s3://quarantine/b.parquet"],
        "records": ["s3://lake/_runs/a/run-1.json", "s3://lake/_runs/b/run-1.json"],
        "superseded": False,
        "execution_arn": "arn:aws:states:eu-west-1:123456789012:execution:machine:run-1",
        "started_at": "2025-01-17T10:15:03.000Z",
        "finished_at": "2025-01-17T10:15:04.500Z",
    }
    assert execution.output == summary
    assert world.asked("events:putEvents")[0]["Entries"][0]["Detail"] == summary
    values = world.asked("dynamodb:updateItem")[-1]["ExpressionAttributeValues"]
    assert values[":rows_in"] == {"N": "10"}
    assert values[":outputs"] == {"L": [{"S": uri} for uri in summary["outputs"]]}
    # Announced before it is tracked, so that a crash between the two is repaired by redelivery.
    actions = [action for action, _ in world.calls]
    assert (
        actions.index("events:putEvents")
        < len(actions) - 1
        == actions[::-1].index("dynamodb:updateItem") + len(actions) - 1
    )


def test_the_source_is_named_by_its_object():
    _, world = run(pipeline_of({"a": []}))
    assert world.events["a"] == {
        "execution": "run-1",
        "event_time": "2025-01-17T10:15:02Z",
        "inputs": {
            "files": {
                "objects": [
                    {
                        "bucket": "stack-landing-123456789012",
                        "key": KEY,
                        "version_id": "v.1",
                        "etag": "e7a9",
                        "size": 12,
                        "sequencer": "0066F7C1D2",
                    }
                ]
            }
        },
    }


@pytest.mark.parametrize("versions", [{}, {"version-id": "null"}])
def test_without_versions_the_etag_is_the_identity(versions):
    thing = {"key": "files/a.json", "size": 1, "etag": "e7a9", **versions}
    event = {**EVENT, "detail": {"bucket": {"name": "b"}, "object": thing}}
    pipeline = pipeline_of({"a": []})
    world = World(pipeline)
    execution = execute(definition(lower_pipeline(pipeline)).definition, event, world)
    assert execution.output["file_id"] == "b/files/a.json#e7a9"
    assert world.events["a"]["inputs"]["files"]["objects"][0].get("version_id") == versions.get("version-id")


def test_partitions_are_registered_in_the_folders_that_were_written():
    _, world = run(pipeline_of({"a": []}))
    requests = [r["PartitionInputList"] for r in world.asked("aws-sdk:glue:batchCreatePartition")]
    assert [[p["Values"] for p in request] for request in requests] == [
        [["2025-01-17"], ["ä/b"]],
        [["50%"]],
    ]
    assert [[p["StorageDescriptor"]["Location"] for p in request] for request in requests] == [
        ["s3://${LakeBucket}/generated/a/day=2025-01-17/", "s3://${LakeBucket}/generated/a/day=ä%2Fb/"],
        ["s3://${LakeBucket}/generated/a/day=50%25/"],
    ]


VALUES = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["a b", "a+b", "a=b", "'", "\\", "%}", "50%", "../..", HIVE_NULL]
)


@given(st.sets(VALUES, min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_the_catalog_says_what_the_run_record_says(values):
    pipeline = pipeline_of({"a": []})
    plan = replace(asset_plan(pipeline, pipeline.assets[0]), engine="duckdb")
    at = places("s3://lake/generated/a/", "s3://quarantine/", plan, "run-1")
    entries = [
        FileEntry(f"{at.destination}{partition_folder({'day': value})}x.parquet", 1, {"day": value})
        for value in values
    ]
    result = StepResult({"files": 1}, len(values), len(values), 0, (), ())
    record = completed(result, plan, at, "0" * 16, outputs=entries, quarantine=())
    world = World(pipeline)
    world.record = lambda _: json.loads(json.dumps(record))
    execution = execute(definition(lower_pipeline(pipeline)).definition, EVENT, world)
    assert execution.status == "SUCCEEDED", execution.cause
    (request,) = world.asked("aws-sdk:glue:batchCreatePartition")
    located = {
        tuple(p["Values"]): p["StorageDescriptor"]["Location"].replace("${LakeBucket}", "lake")
        for p in request["PartitionInputList"]
    }
    assert located == {(e.partition["day"],): e.uri.removesuffix("x.parquet") for e in entries}


def test_a_refused_partition_fails_the_run():
    pipeline = pipeline_of({"a": []})
    world = World(pipeline)
    world.on_glue_batchcreatepartition = lambda _: {
        "Errors": [{"ErrorDetail": {"ErrorCode": "InvalidInputException", "ErrorMessage": "bad value"}}]
    }
    execution = execute(definition(lower_pipeline(pipeline)).definition, EVENT, world)
    assert execution.error == "RunFailed"
    assert "Partitions refused: InvalidInputException: bad value" in execution.cause


def test_a_running_crawler_is_no_error():
    pipeline = pipeline_of({"a": []})
    world = World(pipeline)

    def running(_):
        raise StatesError("Glue.CrawlerRunningException", "already running")

    world.on_glue_startcrawler = running
    assert execute(definition(lower_pipeline(pipeline)).definition, EVENT, world).status == "SUCCEEDED"


def test_another_run_that_completed_the_file_silences_this_ones_failure():
    pipeline = pipeline_of({"a": []})
    world = World(pipeline, failing={"Start crawler"})
    updates = []

    def update(arguments):
        updates.append(arguments)
        if len(updates) > 1:
            raise StatesError("DynamoDB.ConditionalCheckFailedException")
        return {}

    world.on_dynamodb_updateitem = update
    execution = execute(definition(lower_pipeline(pipeline)).definition, EVENT, world)
    assert execution.status == "FAILED"
    assert not world.asked("sns:publish")


def test_without_crawler_and_partitions_neither_is_called():
    pipeline = replace(pipeline_of({"a": []}, partitioned=False), catalog=Catalog())
    execution, world = run(pipeline)
    assert execution.status == "SUCCEEDED"
    assert not [action for action, _ in world.calls if "glue" in action]


def test_many_assets_keep_their_uris_few():
    pipeline = pipeline_of({f"a{index}": [] for index in range(60)}, partitioned=False)
    execution, _ = run(pipeline)
    assert execution.output["outputs"] == []
    assert execution.output["output_count"] == len(execution.output["records"]) == 60


def test_names_of_assets_may_be_jsonatas_own():
    execution, world = run(
        pipeline_of({"sum": [], "and": ["sum"], "count": ["sum"], "states": ["and", "count"]})
    )
    assert execution.status == "SUCCEEDED", execution.cause
    assert world.ran[-1] == "states"


def test_permissions_name_exact_resources():
    machine = lower_pipeline(pipeline_of({"a": [], "b": ["a"]}, glue=frozenset("b")))
    by_action = {need.actions: need.resources for need in machine_permissions(machine)}
    assert by_action["lambda:InvokeFunction",] == ("${GeneratedAFunction.Arn}",)
    assert by_action["s3:GetObject",] == ("arn:${AWS::Partition}:s3:::${LakeBucket}/_runs/generated/b/*",)
    assert all("*" not in r.removesuffix("/*") for resources in by_action.values() for r in resources)


def error_of(pipeline: Pipeline) -> str:
    with pytest.raises(CompileError) as raised:
        lower_pipeline(pipeline)
    return str(raised.value)


def test_a_cycle_names_its_assets_and_their_lines():
    assert error_of(pipeline_of({"a": ["c"], "b": ["a"], "c": ["b"]})) == (
        "ASL100 generated/a (assets.py:1): assets need each other in a circle: "
        "a (assets.py:1) -> b (assets.py:2) -> c (assets.py:3) -> a (assets.py:1). Take one of these inputs away"
    )


def test_an_unknown_input_is_named():
    assert error_of(pipeline_of({"a": ["nowhere"]})).startswith(
        "ASL002 generated/a (assets.py:1): input 'nowhere' is neither a source nor another asset of generated"
    )


def test_a_source_that_starts_nothing_cannot_be_read():
    pipeline = pipeline_of({"a": []})
    other: S3Source = replace(pipeline.sources[0], name="other")
    reading = replace(pipeline.assets[0], inputs={"other": "other"})
    assert error_of(replace(pipeline, sources=(*pipeline.sources, other), assets=(reading,))).startswith(
        "ASL101"
    )


def test_no_assets_are_an_error():
    assert error_of(pipeline_of({})).startswith("ASL102")


def test_a_needless_wait_is_a_warning():
    (warning,) = lower_pipeline(pipeline_of({"a": [], "b": [], "c": ["a"], "d": ["a", "b"]})).diagnostics
    assert (warning.code, warning.severity) == ("ASL110", "warning")
    assert warning.what.startswith("c waits for b, though it does not read them")


def test_lowering_grows_with_the_number_of_assets():
    """Counted, not timed: the size of what is made is linear, also for 1,000 assets in one DAG."""

    def size(assets: int) -> int:
        machine = lower_pipeline(pipeline_of(random_dag(assets, seed=1), partitioned=False))
        return len(json.dumps(definition(machine).definition))

    assert size(1000) < 5 * size(250)


def test_many_pipelines_are_lowered_in_order():
    pipelines = [pipeline_of(random_dag(10, seed), name=f"p{seed}") for seed in range(5)]
    assert [machine.name for machine in lower(pipelines)] == ["p0", "p1", "p2", "p3", "p4"]
