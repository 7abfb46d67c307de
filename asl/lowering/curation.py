"""A curated pipeline -> its machine: validate, transform, validate output, load (docs/curation.md).

In: a pipeline with a `Curation`. Out: states, the first one first. The machine is the same for every
configuration; what a run is told is the answer of `Validate`, the variable `$job`. What surrounds the
steps, and the failure path, is `curation_run.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from asl import names
from asl.integrations import glue_start_job_run, lambda_invoke, s3_get_object
from asl.ir import Catcher, Choice, Ref, Retrier, Rule, State, Task
from asl.lowering import curation_delta, curation_run
from asl.lowering.assets import TIMEOUT_MARGIN_SECONDS
from asl.lowering.curation_run import COUNTS, JOB, LOADED, NOTHING, RUN, TIME, answered, catch, message
from asl.lowering.endings import FAILED, REJECTED, SUM_UP
from asl.lowering.expressions import EVENT, EXECUTION, expression, quoted
from asl.lowering.updates import ARN
from asl.passes.retries import transient
from asl.variants import is_function, runner_id, variants
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.curation_plan import curated_nodes
from ingestion_assets.pipeline import Pipeline

VALIDATE, VALIDATED = "Validate", "What is valid?"
REJECTIONS = "Tell of rejected files"
CHOOSE, TRANSFORMED = "Choose a processor", "Is it transformed?"
CHECK, CHECKED = "Validate output", "Is the output valid?"
LOAD = "Load"
#: Of merge and scd2: the partitions that the transform has read are others now.
CHANGED, MERGES = "May it merge again?", "$merges"
#: How often a run is transformed again for that. Of runs that meet in one partition one wins each time, so
#: this many more may meet there.
MOST_MERGES = 5

#: What runs a variant, as states name it.
PLACES = {"lambda": "Lambda", "glue_pyspark": "Glue PySpark", "glue_sql": "Glue SQL"}
#: Seconds of the three step functions; moving ten thousand files takes most of what Lambda allows.
STEP_SECONDS = {"validate": 900, "check": 300, "load": 900, curation_delta.STEP: curation_delta.SECONDS}
#: Of each: footers are read sixteen at a time, and S3 itself copies files.
STEP_MEMORY_MB = 1024
#: Another run is replacing a partition. Half an hour on average, as pauses are jittered: longer than the
#: twenty minutes after which a run that died there is taken for dead (aws_runtime.curation.leases).
BUSY = Retrier(("PartitionsBusy",), attempts=14, interval_seconds=30, max_delay_seconds=300)
#: Redshift takes longer than a function lasts: the next call waits on, in the session that is kept meanwhile
#: (aws_runtime.warehouses.redshift). The pipeline's own timeout bounds it.
STILL_LOADING = Retrier(("WarehouseBusy",), attempts=96, interval_seconds=1, max_delay_seconds=30)

_ANSWER = "$states.result.Payload"
#: The processor that a configuration names, and whether `auto` is the function.
_KIND = f"{JOB}.processor_type"
_SMALL = f"{_KIND} = 'auto' and {JOB}.bytes <= {JOB}.threshold_bytes"


def states(pipeline: Pipeline) -> tuple[State, ...]:
    """Return all states of the machine."""
    return (
        *curation_run.beginning(pipeline, VALIDATE),
        *_validating(pipeline),
        *_transforming(pipeline),
        *_checking(pipeline),
        *curation_delta.writing(pipeline, _KIND, _SMALL, BUSY, LOAD),
        _load(pipeline),
        _changed(),
        *curation_run.ending(pipeline),
        *curation_run.failing(pipeline),
    )


def _step(pipeline: Pipeline, step: str, name: str, payload: str, **given: Any) -> Task:
    _, asset = curated_nodes(pipeline)
    return Task(
        name=name,
        integration=lambda_invoke.INTEGRATION,
        arguments={
            "FunctionName": Ref(names.step_id(pipeline.name, asset.name, step), "Arn"),
            "Payload": expression(payload),
        },
        output={},
        timeout_seconds=STEP_SECONDS[step] + TIMEOUT_MARGIN_SECONDS,
        **given,
    )


def _validating(pipeline: Pipeline) -> tuple[State, ...]:
    validate = _step(
        pipeline,
        "validate",
        VALIDATE,
        f"{{'execution': {EXECUTION}, 'event_time': {TIME}, 'input': {EVENT}}}",
        assign={JOB[1:]: expression(_ANSWER), MERGES[1:]: 0},
        catch=catch("validate"),
        comment="Judges files by their footers; stages the good ones, rejects the others",
        next=VALIDATED,
    )
    rejected = Rule(
        condition=f"{JOB}.status = 'rejected'", next=REJECTED, assign=answered("validate", JOB, "rejected")
    )
    choice = Choice(
        name=VALIDATED,
        rules=(
            rejected,
            Rule(condition=f"{JOB}.status = 'empty'", next=NOTHING),
            Rule(condition=f"{JOB}.files_rejected > 0", next=REJECTIONS),
        ),
        default=CHOOSE,
    )
    what = (
        f"{{'pipeline': '{pipeline.name}', 'status': 'rejected files', 'job_id': {JOB}.job_id, "
        f"'files': {JOB}.files, 'files_rejected': {JOB}.files_rejected, 'code': {JOB}.code, "
        f"'message': {JOB}.message, 'execution': {ARN}}}"
    )
    told = message(
        pipeline,
        REJECTIONS,
        f"'{pipeline.name}: ' & {JOB}.files_rejected & ' files rejected'",
        what,
        # Who is told is of no consequence for the rows.
        catch=(Catcher(("States.ALL",), CHOOSE, output={}),),
        next=CHOOSE,
    )
    return validate, choice, told


def _transforming(pipeline: Pipeline) -> tuple[State, ...]:
    _, asset = curated_nodes(pipeline)
    found: list[State] = []
    entries: dict[str, str] = {}
    for variant in variants(asset):
        made = _transform(pipeline, asset, variant)
        entries[variant.processor.kind] = made[0].name
        found += made
    choose = Choice(
        name=CHOOSE,
        rules=(
            Rule(condition=f"{_KIND} = 'lambda' or ({_SMALL})", next=entries["lambda"]),
            Rule(condition=f"{_KIND} = 'glue_sql'", next=entries["glue_sql"]),
        ),
        default=entries["glue_pyspark"],
    )
    lost = Rule(
        condition=f"$exists({RUN}.reason)", next=FAILED, assign=answered("transform", f"{RUN}.reason")
    )
    return (choose, *found, Choice(name=TRANSFORMED, rules=(lost,), default=CHECK))


def _transform(pipeline: Pipeline, asset: IngestionAsset, variant: IngestionAsset) -> tuple[Task, ...]:
    (parameter,) = variant.inputs
    place = PLACES[variant.processor.kind]
    name = f"Transform on {place}"
    request = (
        f"{{'execution': {EXECUTION}, 'event_time': {TIME}, "
        f"'inputs': {{{quoted(parameter)}: {{'manifest': {JOB}.manifest}}}}, 'curation': {JOB}.curation}}"
    )
    timeout = variant.processor.timeout_seconds + TIMEOUT_MARGIN_SECONDS
    comment = variant.description.partition("\n")[0]
    runner = runner_id(pipeline.name, variant, asset)
    if is_function(variant):
        function = Task(
            name=name,
            integration=lambda_invoke.INTEGRATION,
            arguments={"FunctionName": Ref(runner, "Arn"), "Payload": expression(request)},
            assign=_remembered(_ANSWER),
            output={},
            timeout_seconds=timeout,
            catch=catch("transform"),
            comment=comment,
            next=TRANSFORMED,
        )
        return (function,)
    reading = f"Read the run of {place}"
    job = Task(
        name=name,
        integration=glue_start_job_run.INTEGRATION,
        arguments={
            "JobName": Ref(runner),
            "Arguments": {"--event": expression(f"$string({request})")},
        },
        output={},
        timeout_seconds=timeout,
        catch=catch("transform"),
        comment=comment,
        next=reading,
    )
    # A job has no answer: it writes its run record, which is read back.
    read = Task(
        name=reading,
        integration=s3_get_object.INTEGRATION,
        arguments={
            "Bucket": Ref(names.bucket_id(variant.destination.bucket.name)),
            "Key": expression(f"{quoted(f'_runs/{pipeline.name}/{variant.name}/')} & {EXECUTION} & '.json'"),
        },
        assign=_remembered("$parse($states.result.Body)"),
        output={},
        catch=catch("transform"),
        next=TRANSFORMED,
    )
    return job, read


def _remembered(record: str) -> dict[str, Any]:
    kept = ", ".join(f"'{name}': $record.{name}" for name in COUNTS)
    # All files are read together, so that one which cannot be read is a reason for all.
    reason = "$exists($record.reason) ? $record.reason : ($record.rejected.*)[0]"
    run = (
        f"($record := {record}; {{{kept}, 'reason': {reason}, 'record': $record.record, "
        "'records': [$record.record], 'quarantine': [$record.quarantine]})"
    )
    return {RUN[1:]: expression(run)}


def _checking(pipeline: Pipeline) -> tuple[State, ...]:
    check = _step(
        pipeline,
        "check",
        CHECK,
        f"{{'job': {JOB}, 'record': {RUN}.record}}",
        assign={"checked": expression(_ANSWER)},
        catch=catch("validate_output"),
        comment="Thresholds by the footers of the staged files; nothing is published before",
        next=CHECKED,
    )
    broken = Rule(
        condition="$checked.status = 'broken'", next=FAILED, assign=answered("validate_output", "$checked")
    )
    tables = (Rule(condition=curation_delta.WANTED, next=curation_delta.WRITERS),)
    may_be_table = pipeline.curation is not None and pipeline.curation.delta
    return check, Choice(name=CHECKED, rules=(broken, *(tables if may_be_table else ())), default=LOAD)


def _load(pipeline: Pipeline) -> Task:
    waits = pipeline.curation is not None and pipeline.curation.redshift is not None
    return _step(
        pipeline,
        "load",
        LOAD,
        f"{{'job': {JOB}, 'record': {RUN}.record}}",
        assign={LOADED[1:]: expression(_ANSWER)},
        retry=(BUSY, *((STILL_LOADING,) if waits else ()), *transient(lambda_invoke.INTEGRATION)),
        catch=(
            *(replace(each, errors=("TableChanged",), next=CHANGED) for each in catch("load")),
            *catch("load"),
        ),
        comment="Publishes the staged files, registers them, loads warehouses",
        next=SUM_UP,
    )


def _changed() -> Choice:
    """Lead a run whose partitions another one has replaced back to its transform; nothing was published."""
    again = Rule(
        condition=f"{MERGES} < {MOST_MERGES}",
        next=CHOOSE,
        assign={MERGES[1:]: expression(f"{MERGES} + 1")},
        back=MOST_MERGES,
    )
    return Choice(name=CHANGED, rules=(again,), default=FAILED)
