"""Machines that another pipeline's completed runs start: which run, its manifest, duplicates, redrives, nothing to read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import ingestion_assets as ia
from asl import declarations
from asl.compiler import compile_pipelines
from asl.emit.state_machine import definition
from asl.lower import lower_pipeline
from asl.permissions import data
from asl.resources import EventRule
from aws_runtime.ingress import executions
from aws_runtime.ingress.redrive import arrival_of
from ingestion_assets.errors import CompileError
from ingestion_assets.pipelines.order_totals.pipeline import pipeline as totals
from ingestion_assets.plan import asset_plan
from tests.asl.generated import pipeline_of
from tests.asl.interpreter import execute
from tests.asl.world import World

AFTER = ia.PipelineCompleted("first", "files")
BUCKET = "stack-lake-123456789012"
MANIFEST = f"s3://{BUCKET}/_runs/first/rows/job-1/outputs.json"
COMPLETED = {
    "time": "2025-01-17T10:15:09Z",
    "source": "ingestion.first",
    "detail-type": "Ingestion Completed",
    "detail": {
        "pipeline": "first",
        "job_id": "job-1",
        "status": "completed",
        "finished_at": "2025-01-17T10:15:07.250Z",
        "output_count": 3,
        "manifest": MANIFEST,
    },
}


def told(**detail):
    return {**COMPLETED, "detail": {**COMPLETED["detail"], **detail}}


def after(dag=None):
    pipeline = pipeline_of(dag or {"a": []}, name="second", trigger=AFTER)
    (source,) = pipeline.sources
    return replace(pipeline, sources=(replace(source, format=ia.Parquet()),))


def played(event, pipeline=None, **how):
    pipeline = pipeline or after()
    world = World(pipeline, **how)
    return execute(definition(lower_pipeline(pipeline)).definition, event, world), world


def written(world):
    """Return the first update's item, in DynamoDB's form."""
    update = world.asked("dynamodb:updateItem")[0]
    names = update["ExpressionAttributeNames"]
    values = update["ExpressionAttributeValues"]
    return update["Key"] | {name: values[f":{name}"] for name in names.values() if f":{name}" in values}


def test_a_completed_run_is_handed_on_as_its_manifest():
    execution, world = played(COMPLETED, after({"a": [], "b": ["a"]}))
    assert execution.status == "SUCCEEDED", execution.cause
    assert world.events["a"] == {
        "execution": "run-1",
        "event_time": "2025-01-17T10:15:07.250Z",
        "inputs": {"files": {"manifest": MANIFEST}},
    }
    assert world.events["b"]["inputs"] == {"a": {"record": "s3://lake/_runs/a/run-1.json"}}
    assert world.tracked() == ["started", "completed"]
    assert written(world)["file_id"] == {"S": "first/job-1"}
    assert execution.output["file_id"] == "first/job-1"


def test_an_event_that_comes_again_is_the_same_run_whenever_it_was_sent():
    _, first = played(COMPLETED)
    _, second = played({**COMPLETED, "time": "2025-01-17T11:00:00Z"})
    assert second.events == first.events
    assert written(second)["file_id"] == written(first)["file_id"]


def test_a_run_that_is_done_already_is_left_alone():
    pipeline = after()
    world = World(pipeline)
    world.completed_already = True
    execution = execute(definition(lower_pipeline(pipeline)).definition, COMPLETED, world)
    assert execution.output == {"file_id": "first/job-1", "status": "duplicate"}
    assert world.ran == []


@pytest.mark.parametrize(
    "event",
    [
        told(output_count=0),
        {**COMPLETED, "detail": {k: v for k, v in COMPLETED["detail"].items() if k != "manifest"}},
    ],
    ids=["no file", "no manifest"],
)
def test_a_run_that_published_nothing_completes_without_rows(event):
    execution, world = played(event)
    assert execution.status == "SUCCEEDED", execution.cause
    assert world.ran == []
    assert world.tracked() == ["started", "completed"]
    assert (execution.output["rows_out"], execution.output["outputs"]) == (0, [])
    (announced,) = world.asked("events:putEvents")
    assert announced["Entries"][0]["Detail"]["output_count"] == 0


def test_a_redrive_asks_for_the_same_as_the_first_event():
    _, first = played(COMPLETED, failing={"Materialize a"})
    assert first.tracked() == ["started", "failed"]
    again = json.loads(executions.file_input(arrival_of(written(first)), "second"))
    _, wanted = played(COMPLETED)
    execution, second = played(again)
    assert execution.status == "SUCCEEDED", execution.cause
    assert second.events == wanted.events
    assert written(second)["file_id"] == written(first)["file_id"]


@pytest.mark.parametrize("failing", ["Track started", "Materialize a", "Announce", "Track completed"])
def test_whatever_fails_is_tracked_and_alerted(failing):
    execution, world = played(COMPLETED, failing={failing})
    assert (execution.status, execution.error) == ("FAILED", "RunFailed")
    assert world.tracked()[-1] == "failed"
    (alert,) = world.asked("sns:publish")
    assert json.loads(alert["Message"])["file"] == MANIFEST


def test_the_definition_passes_every_check():
    from asl.checks.machines import check_machine  # noqa: PLC0415 - slow to import

    machine = definition(lower_pipeline(after({"a": [], "b": ["a"], "c": ["a"]})))
    assert list(check_machine("second", machine.definition, machine.substitutions)) == []


def test_the_rule_listens_to_the_other_machine_in_this_stack_only():
    (rule,) = [each for each in compile_pipelines([totals]).app.resources if isinstance(each, EventRule)]
    assert rule.machine == "OrderTotalsStateMachine"
    assert rule.pattern == {
        "source": ["ingestion.parquet_ingestion"],
        "detail-type": ["Ingestion Completed"],
        "detail": {
            "target": [{"prefix": "s3://${AWS::StackName}-my-curated-zone-${AWS::AccountId}/orders/"}]
        },
    }


def test_the_role_reads_the_files_and_the_manifest_of_the_other_pipeline():
    pipeline = after()
    read = data(pipeline, pipeline.assets[0])[0]
    assert read.resources == ("${LandingBucket.Arn}/second/*", "${LandingBucket.Arn}/_runs/first/*")


def test_folders_become_columns():
    pipeline = after()
    plan = asset_plan(pipeline, pipeline.assets[0])
    assert plan.engine == "duckdb"
    assert plan.inputs[0].format.name == "parquet"


def test_compiled_without_the_other_pipeline_it_is_warned_of():
    (warning,) = compile_pipelines([totals]).diagnostics
    assert (warning.code, warning.severity) == ("ASL111", "warning")
    assert "parquet_ingestion" in warning.what


def upstream(prefix="second/"):
    """A curated pipeline that publishes where `second` reads."""
    made = pipeline_of({"files": []}, name="first", partitioned=False, trigger=ia.S3Event("landed"))
    (asset,), (source,) = made.assets, made.sources
    landing = ia.S3Parquet(ia.Bucket("landing"), prefix)
    curated = replace(
        asset, inputs={"files": "landed"}, destination=landing, processor=ia.Processor(kind="configured")
    )
    return replace(
        made,
        sources=(replace(source, name="landed", format=ia.Parquet()),),
        assets=(curated,),
        catalog=ia.Catalog(),
        curation=ia.Curation(),
    )


def test_it_may_read_where_the_other_one_writes():
    declarations.check([upstream(), after()])
    with pytest.raises(CompileError, match="ASL038"):
        declarations.check([upstream(), replace(after(), trigger=ia.S3Event("files"))])


def test_its_source_lies_where_the_other_one_publishes():
    with pytest.raises(CompileError, match=r"ASL047 second/files .*published to landing/elsewhere/"):
        declarations.check([upstream("elsewhere/"), after()])
