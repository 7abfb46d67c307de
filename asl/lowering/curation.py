"""A curated pipeline -> its machine: validate, transform, validate output, load and notify (docs/curation.md).

In: a pipeline with a `Curation`. Out: states, the first one first. The machine is the same for every
configuration; what a run is told is the answer of `Validate`, the variable `$job`. Every failure, of a
rule as of a call, takes one path, which knows the step that failed.
"""

from __future__ import annotations

from typing import Any

from asl import names
from asl.integrations import (
    dynamodb_update_item,
    events_put_events,
    glue_start_job_run,
    lambda_invoke,
    s3_get_object,
    sns_publish,
)
from asl.ir import Catcher, Choice, Fail, Pass, Ref, Retrier, Rule, State, Succeed, Task, Text
from asl.lowering.assets import TIMEOUT_MARGIN_SECONDS
from asl.lowering.endings import (
    ALERT,
    ANNOUNCE,
    BEGIN,
    COMPLETED,
    CONDITION_FAILED,
    FAIL,
    FAILED,
    MESSAGE_CHARACTERS,
    REJECTED,
)
from asl.lowering.expressions import (
    EVENT,
    EXECUTION,
    FAILURE,
    FILE,
    FILE_ID,
    NOW,
    VERSION,
    expression,
    quoted,
    text_of,
)
from asl.lowering.updates import (
    ARN,
    LIVE,
    STARTED_AT,
    Sets,
    alive,
    conditional,
    expiry,
    number,
    text,
    update,
)
from asl.passes.retries import transient
from asl.variants import is_function, runner_id, variants
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.pipeline import Pipeline

STARTED, DUPLICATE = "Track started", "Already ingested"
VALIDATE, VALIDATED = "Validate", "What is valid?"
REJECTIONS = "Tell of rejected files"
CHOOSE, TRANSFORMED = "Choose a processor", "What is transformed?"
CHECK, CHECKED = "Validate output", "Is the output valid?"
LOAD = "Load"
TELL = "Tell of the end"
ANNOUNCE_FAILURE = "Announce failure"
NOTHING = "Nothing to ingest"

#: Variables: when the run was asked for, and the answers of its steps.
TIME, JOB, RUN, LOADED, SUMMARY = "$event_time", "$job", "$run", "$loaded", "$summary"
#: A run by hand is its execution, or the one whose files it takes up again.
JOB_ID = f"($exists({EVENT}.resume) ? {EVENT}.resume : {EXECUTION})"
#: What runs a variant, as states name it.
PLACES = {"lambda": "Lambda", "glue_pyspark": "Glue PySpark", "glue_sql": "Glue SQL"}
#: Seconds of the three step functions; moving ten thousand files takes most of what Lambda allows.
STEP_SECONDS = {"validate": 900, "check": 300, "load": 900}
#: Another run is replacing a partition. Half an hour on average, as pauses are jittered: longer than the
#: twenty minutes after which a run that died there is taken for dead (aws_runtime.curation.leases).
BUSY = Retrier(("PartitionsBusy",), attempts=14, interval_seconds=30, max_delay_seconds=300)
#: Of a run that ended before a step, its answer.
_NOTHING_YET = {
    JOB: f"{{'job_id': {JOB_ID}, 'dataset': '', 'processor_type': '', 'files': 0, 'files_rejected': 0}}",
    RUN: "{'rows_in': 0, 'rows_out': 0, 'rows_quarantined': 0, 'quarantine': [], 'record': ''}",
    LOADED: "{'outputs': [], 'output_count': 0, 'partitions': [], 'manifest': ''}",
}
_COUNTS = ("rows_in", "rows_out", "rows_quarantined")


def states(pipeline: Pipeline) -> tuple[State, ...]:
    """Return all states of the machine."""
    (asset,) = pipeline.assets
    return (
        _begin(pipeline),
        _started(pipeline),
        Succeed(
            name=DUPLICATE,
            output={"file_id": expression(FILE_ID), "status": "duplicate"},
            comment="Events arrive at least once; these files' rows are in place",
        ),
        *_validating(pipeline, asset),
        *_transforming(pipeline, asset),
        *_checking(pipeline, asset),
        _load(pipeline, asset),
        *_completing(pipeline),
        *_failing(pipeline),
    )


def _begin(pipeline: Pipeline) -> Pass:
    event = f"{EVENT}.detail"
    thing = f"{event}.object"
    version = f"{thing}.`version-id`"
    known = f"$exists({version}) and {version} != 'null' ? {version} : {thing}.etag"
    source = _source(pipeline)
    return Pass(
        name=BEGIN,
        assign={
            FILE[1:]: text_of(
                f"$exists({thing}) ? {{'bucket': {event}.bucket.name, 'key': {thing}.key, 'etag': {thing}.etag, "
                f"'size': $exists({thing}.size) ? {thing}.size : 0, "
                f"'sequencer': $exists({thing}.sequencer) ? {thing}.sequencer : ''}} : {{'bucket': '",
                Ref(names.bucket_id(source.bucket.name)),
                f"', 'key': {quoted(source.prefix)}, 'etag': '', 'size': 0, 'sequencer': ''}}",
            ),
            FILE_ID[1:]: expression(
                f"$exists({thing}) ? {event}.bucket.name & '/' & {thing}.key & '#' & ({known}) : 'run/' & {JOB_ID}"
            ),
            VERSION[1:]: expression(f"$exists({thing}) ? ({known}) : {JOB_ID}"),
            TIME[1:]: expression(f"$exists({EVENT}.time) ? {EVENT}.time : {STARTED_AT}"),
            **{name[1:]: expression(value) for name, value in _NOTHING_YET.items()},
        },
        output={},
        next=STARTED,
    )


def _source(pipeline: Pipeline) -> Any:
    (source,) = pipeline.sources
    return source


def _catch(step: str, to: str = FAILED) -> tuple[Catcher, ...]:
    """Return what leads every error of a step to the failure path, with the step's name."""
    error = "$states.errorOutput"
    cause = f"$exists({error}.Cause) ? {error}.Cause : ''"
    # A function's and a job's cause is a JSON document that holds the message.
    plain = (
        f"($cause := {cause}; $told := $substring($cause, 0, 1) = '{{' ? $parse($cause) : {{}}; "
        "$exists($told.errorMessage) ? $told.errorMessage : "
        "$exists($told.ErrorMessage) ? $told.ErrorMessage : $cause)"
    )
    failure = (
        f"{{'status': 'failed', 'step': '{step}', 'code': {error}.Error, "
        f"'message': $substring({plain}, 0, {MESSAGE_CHARACTERS})}}"
    )
    return (Catcher(("States.ALL",), to, assign={FAILURE[1:]: expression(failure)}, output={}),)


def _failed(step: str, answer: str, status: str = "failed") -> dict[str, Any]:
    """Return what is remembered of an answer that says no."""
    failure = (
        f"{{'status': '{status}', 'step': '{step}', 'code': {answer}.code, "
        f"'message': $substring({answer}.message, 0, {MESSAGE_CHARACTERS})}}"
    )
    return {FAILURE[1:]: expression(failure)}


def _step(
    pipeline: Pipeline, asset: IngestionAsset, step: str, name: str, payload: str, **given: Any
) -> Task:
    return Task(
        name=name,
        integration=lambda_invoke.INTEGRATION,
        arguments={
            "FunctionName": Ref(names.step_id(pipeline.name, asset.name, step), "Arn"),
            "Payload": expression(payload),
        },
        output={},
        timeout_seconds=min(STEP_SECONDS[step] + TIMEOUT_MARGIN_SECONDS, 930),
        **given,
    )


def _validating(pipeline: Pipeline, asset: IngestionAsset) -> tuple[State, ...]:
    answer = "$states.result.Payload"
    validate = _step(
        pipeline,
        asset,
        "validate",
        VALIDATE,
        f"{{'execution': {EXECUTION}, 'event_time': {TIME}, 'input': {EVENT}}}",
        assign={JOB[1:]: expression(answer)},
        catch=_catch("validate"),
        comment="Judges files by their footers; stages the good ones, rejects the others",
        next=VALIDATED,
    )
    choice = Choice(
        name=VALIDATED,
        rules=(
            Rule(
                condition=f"{JOB}.status = 'rejected'",
                next=REJECTED,
                assign=_failed("validate", JOB, "rejected"),
            ),
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
    told = _message(
        pipeline,
        REJECTIONS,
        f"'{pipeline.name}: ' & {JOB}.files_rejected & ' files rejected'",
        what,
        # Who is told is of no consequence for the rows.
        catch=(Catcher(("States.ALL",), CHOOSE, output={}),),
        next=CHOOSE,
    )
    return validate, choice, told


def _message(pipeline: Pipeline, name: str, subject: str, what: str, **given: Any) -> Task:
    return Task(
        name=name,
        integration=sns_publish.INTEGRATION,
        arguments={
            "TopicArn": Ref(names.topic_id(pipeline.name)),
            "Subject": expression(f"$substring({subject}, 0, 99)"),
            "Message": expression(f"$string({what})"),
        },
        output={},
        **given,
    )


def _transforming(pipeline: Pipeline, asset: IngestionAsset) -> tuple[State, ...]:
    found: list[State] = []
    entries: dict[str, str] = {}
    for variant in variants(asset):
        made = _transform(pipeline, asset, variant)
        entries[variant.processor.kind] = made[0].name
        found += made
    small = f"{JOB}.processor_type = 'auto' and {JOB}.bytes <= {JOB}.threshold_bytes"
    choose = Choice(
        name=CHOOSE,
        rules=(
            Rule(condition=f"{JOB}.processor_type = 'lambda' or ({small})", next=entries["lambda"]),
            Rule(condition=f"{JOB}.processor_type = 'glue_sql'", next=entries["glue_sql"]),
        ),
        default=entries["glue_pyspark"],
    )
    judged = Choice(
        name=TRANSFORMED,
        rules=(
            Rule(
                condition=f"$exists({RUN}.reason)",
                next=FAILED,
                assign=_failed("transform", f"{RUN}.reason"),
            ),
        ),
        default=CHECK,
    )
    return (choose, *found, judged)


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
    if is_function(variant):
        function = Task(
            name=name,
            integration=lambda_invoke.INTEGRATION,
            arguments={
                "FunctionName": Ref(names.function_id(pipeline.name, variant.name), "Arn"),
                "Payload": expression(request),
            },
            assign=_remembered("$states.result.Payload"),
            output={},
            timeout_seconds=timeout,
            catch=_catch("transform"),
            comment=comment,
            next=TRANSFORMED,
        )
        return (function,)
    reading = f"Read the run of {place}"
    job = Task(
        name=name,
        integration=glue_start_job_run.INTEGRATION,
        arguments={
            "JobName": Ref(runner_id(pipeline.name, variant, asset)),
            "Arguments": {"--event": expression(f"$string({request})")},
        },
        output={},
        timeout_seconds=timeout,
        catch=_catch("transform"),
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
        catch=_catch("transform"),
        next=TRANSFORMED,
    )
    return job, read


def _remembered(record: str) -> dict[str, Any]:
    kept = ", ".join(f"'{name}': $record.{name}" for name in ("status", *_COUNTS, "record"))
    # All files are read together, so that one which cannot be read is a reason for all.
    reason = "$exists($record.reason) ? $record.reason : ($record.rejected.*)[0]"
    run = f"($record := {record}; {{{kept}, 'reason': {reason}, 'quarantine': [$record.quarantine]}})"
    return {RUN[1:]: expression(run)}


def _checking(pipeline: Pipeline, asset: IngestionAsset) -> tuple[State, ...]:
    check = _step(
        pipeline,
        asset,
        "check",
        CHECK,
        f"{{'job': {JOB}, 'record': {RUN}.record}}",
        assign={"checked": expression("$states.result.Payload")},
        catch=_catch("validate_output"),
        comment="Thresholds by the footers of the staged files; nothing is published before",
        next=CHECKED,
    )
    broken = Rule(
        condition="$checked.status = 'broken'", next=FAILED, assign=_failed("validate_output", "$checked")
    )
    return check, Choice(name=CHECKED, rules=(broken,), default=LOAD)


def _load(pipeline: Pipeline, asset: IngestionAsset) -> Task:
    return _step(
        pipeline,
        asset,
        "load",
        LOAD,
        f"{{'job': {JOB}, 'record': {RUN}.record}}",
        assign={LOADED[1:]: expression("$states.result.Payload")},
        retry=(BUSY, *transient(lambda_invoke.INTEGRATION)),
        catch=_catch("load"),
        comment="Publishes the staged files, registers them, loads warehouses",
        next=SUM_UP_STATE,
    )


SUM_UP_STATE = "Sum up"


def _detail(pipeline: Pipeline, status: str, more: str) -> Text:
    """Return the detail of an event and of a message: what docs/curation.md promises."""
    (asset,) = pipeline.assets
    counts = ", ".join(f"'{name}': {RUN}.{name}" for name in _COUNTS)
    source, to = _source(pipeline), asset.destination
    return text_of(
        f"{{'pipeline': '{pipeline.name}', 'dataset': {JOB}.dataset, 'job_id': {JOB}.job_id, "
        f"'status': '{status}', 'execution_arn': {ARN}, 'started_at': {STARTED_AT}, 'finished_at': {NOW}, "
        f"'source': 's3://",
        Ref(names.bucket_id(source.bucket.name)),
        f"/{quoted(source.prefix)[1:]}, 'target': 's3://",
        Ref(names.bucket_id(to.bucket.name)),
        f"/{quoted(to.prefix)[1:]}, 'processor_type': {JOB}.processor_type, 'files': {JOB}.files, "
        f"'files_rejected': {JOB}.files_rejected, {counts}, 'outputs': [{LOADED}.outputs], "
        f"'output_count': {LOADED}.output_count, 'partitions': [{LOADED}.partitions]{more}}}",
    )


def _completing(pipeline: Pipeline) -> tuple[State, ...]:
    more = (
        f", 'manifest': {LOADED}.manifest, 'file_id': {FILE_ID}, "
        f"'quarantine': [{RUN}.quarantine], 'records': [{RUN}.record]"
    )
    return (
        # A run by hand, or a marker, whose folder another run has emptied meanwhile.
        Pass(name=NOTHING, output={}, next=SUM_UP_STATE),
        Pass(
            name=SUM_UP_STATE,
            assign={SUMMARY[1:]: _detail(pipeline, "completed", more)},
            output={},
            next=ANNOUNCE,
        ),
        _put_event(pipeline, ANNOUNCE, "Ingestion Completed", expression(SUMMARY), next=TELL),
        _message(
            pipeline, TELL, f"'{pipeline.name}: completed'", SUMMARY,
            catch=(Catcher(("States.ALL",), COMPLETED, output={}),), next=COMPLETED,
        ),
        _completed(pipeline),
    )  # fmt: skip


def _put_event(pipeline: Pipeline, name: str, kind: str, detail: Any, **given: Any) -> Task:
    entry = {
        "Source": f"ingestion.{pipeline.name}",
        "DetailType": kind,
        "EventBusName": "default",
        "Detail": detail,
    }
    return Task(
        name=name,
        integration=events_put_events.INTEGRATION,
        arguments={"Entries": [entry]},
        output={},
        **given,
    )


def _key(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "TableName": Ref(names.tracking_id(pipeline.name)),
        "Key": {"file_id": {"S": expression(FILE_ID)}},
    }


def _identity(pipeline: Pipeline) -> Sets:
    return {
        "pipeline": ("S", pipeline.name),
        "bucket": text(f"{FILE}.bucket"),
        "key": text(f"{FILE}.key"),
        "version": text(VERSION),
        "etag": text(f"{FILE}.etag"),
        "size": number(f"{FILE}.size"),
        "event_time": text(TIME),
        "sequencer": text(f"{FILE}.sequencer"),
        "expires_at": expiry(pipeline),
    }


def _unless_completed(changed: dict[str, Any]) -> dict[str, Any]:
    return conditional(changed, "attribute_not_exists(file_id) OR #status <> :well", well="completed")


def _started(pipeline: Pipeline) -> Task:
    changed = update(
        {
            "status": ("S", "started"),
            **_identity(pipeline),
            # By which a run that was started by hand is started again.
            "input": text(f"$string({EVENT})"),
            "execution_arn": text(ARN),
            "started_at": text(STARTED_AT),
            **alive("open"),
        },
        remove=("finished_at", "reason"),
    )
    return Task(
        name=STARTED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **_unless_completed(changed)},
        output={},
        catch=(Catcher((CONDITION_FAILED,), DUPLICATE), *_catch("start")),
        next=VALIDATE,
    )


def _completed(pipeline: Pipeline) -> Task:
    lists = {
        name: ("L", expression(f"[$map({SUMMARY}.{name}, function($uri) {{ {{'S': $uri}} }})]"))
        for name in ("outputs", "quarantine", "records")
    }
    counts = {
        name: number(f"{SUMMARY}.{name}") for name in (*_COUNTS, "files", "files_rejected", "output_count")
    }
    changed = update(
        {
            "status": ("S", "completed"),
            **counts,
            **lists,
            "execution_arn": text(ARN),
            "finished_at": text(NOW),
        },
        ("reason", *LIVE),
    )
    return Task(
        name=COMPLETED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **changed},
        output=expression(SUMMARY),
        catch=_catch("finish"),
    )


def _failing(pipeline: Pipeline) -> tuple[State, ...]:
    reason = ", ".join(f"'{name}': {FAILURE}.{name}" for name in ("step", "code", "message"))
    told = {
        "failure_detail": _detail(pipeline, "failed", f", {reason}"),
    }
    alert = (
        f"{{'pipeline': '{pipeline.name}', 'status': {FAILURE}.status, {reason}, 'job_id': {JOB}.job_id, "
        f"'file': 's3://' & {FILE}.bucket & '/' & {FILE}.key, 'execution': {ARN}}}"
    )
    return (
        # Files that are rejected are done with, as far as the sweeper and a redrive are concerned.
        _lost(pipeline, REJECTED, {"status": ("S", "rejected")}, LIVE, told),
        _lost(pipeline, FAILED, {"status": ("S", "failed"), **alive("failed")}, (), told),
        _put_event(
            pipeline, ANNOUNCE_FAILURE, "Ingestion Failed", expression("$failure_detail"),
            catch=(Catcher(("States.ALL",), ALERT, output={}),), next=ALERT,
        ),
        _message(
            pipeline, ALERT, f"'{pipeline.name}: ' & {FAILURE}.step & ' ' & {FAILURE}.status", alert,
            catch=(Catcher(("States.ALL",), FAIL, output={}),), next=FAIL,
        ),
        Fail(
            name=FAIL,
            error=expression(f"{FAILURE}.status = 'rejected' ? 'FileRejected' : 'RunFailed'"),
            cause=expression(f"{FAILURE}.code & ': ' & {FAILURE}.message"),
        ),
    )  # fmt: skip


def _lost(pipeline: Pipeline, name: str, sets: Sets, remove: tuple[str, ...], assign: dict[str, Any]) -> Task:
    """Return the state that tracks a failure or a rejection; the event goes out whether it can or not."""
    reason = {each: {"S": expression(f"{FAILURE}.{each}")} for each in ("step", "code", "message")}
    changed = update(
        {
            **sets,
            **_identity(pipeline),
            "reason": ("M", reason),
            "execution_arn": text(ARN),
            "finished_at": text(NOW),
        },
        remove,
    )
    return Task(
        name=name,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **_unless_completed(changed)},
        assign=assign,
        output={},
        catch=(
            # Two runs of one file: the other one completed, so there is nothing to alert of.
            Catcher((CONDITION_FAILED,), FAIL, output={}),
            Catcher(("States.ALL",), ANNOUNCE_FAILURE, assign=assign, output={}),
        ),
        next=ANNOUNCE_FAILURE,
    )
