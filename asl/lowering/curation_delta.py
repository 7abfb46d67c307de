"""A curated pipeline whose runs may ask for a Delta table -> the states that write into it (docs/delta.md).

In: a pipeline with `Curation(delta=True)`. Out: a choice and one task for each place that transforms: what
transformed a run writes it, in a function by deltalake and on Glue by Spark. Load then finds the table written.
"""

from __future__ import annotations

from asl import names
from asl.integrations import glue_start_job_run, lambda_invoke
from asl.ir import Choice, Ref, Retrier, Rule, State, Task
from asl.lowering.assets import TIMEOUT_MARGIN_SECONDS
from asl.lowering.curation_run import JOB, RUN, catch
from asl.lowering.expressions import expression
from asl.passes.retries import transient
from asl.variants import is_function, runner_id, variants
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.curation_plan import curated_nodes
from ingestion_assets.pipeline import Pipeline

#: Name of the step, as its function has it.
STEP = "delta"
SECONDS = 900
#: A merge holds its rows in memory; the run's files are copied beside.
MEMORY_MB, STORAGE_MB = 3008, 4096
WRITERS = "Choose a writer"
PLACES = {"lambda": "Lambda", "glue_pyspark": "Glue PySpark", "glue_sql": "Glue SQL"}
#: The JSONata condition of a run into a Delta table.
WANTED = f"{JOB}.table_format = 'delta'"
#: What `aws_runtime.curation.delta_run.asked` reads, and the job's arguments.
_REQUEST = f"{{'load': $merge([{JOB}.delta, {{'record': {RUN}.record}}])}}"


def writing(pipeline: Pipeline, chosen: str, small: str, busy: Retrier, after: str) -> tuple[State, ...]:
    """Return the states between the check of what was staged and its load; none without Delta tables.

    Args:
        pipeline: The pipeline.
        chosen: JSONata, the processor that the configuration names.
        small: JSONata, whether `auto` has chosen the function.
        busy: How a writer waits for another one.
        after: The state that follows.
    """
    if pipeline.curation is None or not pipeline.curation.delta:
        return ()
    _, asset = curated_nodes(pipeline)
    tasks = {
        variant.processor.kind: _writer(pipeline, asset, variant, busy, after) for variant in variants(asset)
    }
    choice = Choice(
        name=WRITERS,
        rules=(
            Rule(condition=f"{chosen} = 'lambda' or ({small})", next=tasks["lambda"].name),
            Rule(condition=f"{chosen} = 'glue_sql'", next=tasks["glue_sql"].name),
        ),
        default=tasks["glue_pyspark"].name,
    )
    return choice, *tasks.values()


def _writer(
    pipeline: Pipeline, asset: IngestionAsset, variant: IngestionAsset, busy: Retrier, after: str
) -> Task:
    name = f"Write Delta on {PLACES[variant.processor.kind]}"
    comment = "Into the Delta table at the curated prefix, once a run"
    if is_function(variant):
        return Task(
            name=name,
            integration=lambda_invoke.INTEGRATION,
            arguments={
                "FunctionName": Ref(names.step_id(pipeline.name, asset.name, STEP), "Arn"),
                "Payload": expression(_REQUEST),
            },
            output={},
            timeout_seconds=SECONDS + TIMEOUT_MARGIN_SECONDS,
            retry=(busy, *transient(lambda_invoke.INTEGRATION)),
            catch=catch("load"),
            comment=comment,
            next=after,
        )
    return Task(
        name=name,
        integration=glue_start_job_run.INTEGRATION,
        arguments={
            "JobName": Ref(runner_id(pipeline.name, variant, asset)),
            "Arguments": {"--event": expression(f"$string({_REQUEST})")},
        },
        output={},
        timeout_seconds=variant.processor.timeout_seconds + TIMEOUT_MARGIN_SECONDS,
        catch=catch("load"),
        comment=comment,
        next=after,
    )
