"""A curated pipeline's functions around its transform -> their resources: function, role, logs.

In: a compiled pipeline. Out: typed resources. What runs the transform is `asl.asset_resources`.
"""

from __future__ import annotations

from collections.abc import Iterator

from asl import curation_permissions, names
from asl.compiled import CompiledPipeline, CompiledStep
from asl.lowering import curation_delta
from asl.lowering.curation import STEP_MEMORY_MB, STEP_SECONDS
from asl.resources import Function, LogGroup, Resource, Role
from ingestion_assets.curation_plan import bucket_variable, curated_nodes
from ingestion_assets.pipeline import Pipeline

#: Nothing is written to it but what Python itself writes.
STORAGE_MB = 512
DESCRIPTIONS = {
    "validate": "Judges files that landed, stages the good ones and rejects the others",
    "check": "Judges what a run staged by its thresholds",
    "delta": "Writes what a run staged into its Delta table, once",
    "load": "Publishes what a run staged, and registers it",
}


def step_functions(each: CompiledPipeline) -> Iterator[Resource]:
    """Yield the functions of all steps, each with its log group and its role."""
    for step in each.steps:
        yield from _step(each.pipeline, step)


def _step(pipeline: Pipeline, step: CompiledStep) -> Iterator[Resource]:
    _, asset = curated_nodes(pipeline)
    function = names.step_id(pipeline.name, asset.name, step.name)
    writes = step.name == curation_delta.STEP
    role, logs = f"{function}Role", f"{function}Logs"
    yield LogGroup(
        logs,
        f"/aws/lambda/${{AWS::StackName}}/{pipeline.name}/{asset.name}/{step.name}",
        pipeline.log_retention_days,
        pipeline.name,
    )
    yield Role(
        role,
        "lambda.amazonaws.com",
        curation_permissions.step(pipeline, step.name, logs),
        pipeline.name,
        uses_data_key=True,
        in_vpc=True,
    )
    yield Function(
        id=function,
        role=role,
        layer=names.layer_id(step.pins.engine),
        log_group=logs,
        key=step.bundle.key,
        handler=f"aws_runtime.handlers.{step.handler}.handler",
        memory_mb=curation_delta.MEMORY_MB if writes else STEP_MEMORY_MB,
        storage_mb=curation_delta.STORAGE_MB if writes else STORAGE_MB,
        timeout_seconds=STEP_SECONDS[step.name],
        environment=environment(pipeline),
        description=DESCRIPTIONS[step.name],
        pipeline=pipeline.name,
        tags={"asset": asset.name, **asset.tags},
    )


def environment(pipeline: Pipeline) -> dict[str, str]:
    """Return what every step's function is told beside `curation.json`: the buckets' physical names."""
    source, asset = curated_nodes(pipeline)
    buckets = (source.bucket.name, asset.destination.bucket.name)
    return {
        **{bucket_variable(name): f"${{{names.bucket_id(name)}}}" for name in buckets},
        "POWERTOOLS_SERVICE_NAME": pipeline.name,
        "QUARANTINE": f"s3://${{{names.bucket_id(pipeline.quarantine.name)}}}/",
    }
