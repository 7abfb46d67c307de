"""A curated run's bookkeeping -> states: which run it is, its end, its failure (docs/curation.md).

In: a pipeline with a `Curation`. Out: the states around its steps. A run that was started by hand has its
execution's name for an identity. Every failure, of a rule as of a call, takes one path: tracked with step,
code and message, put on the event bus, told to the topic.
"""

from __future__ import annotations

from typing import Any

from asl import names
from asl.integrations import dynamodb_update_item, events_put_events, sns_publish
from asl.ir import Catcher, Fail, Pass, Ref, State, Succeed, Task
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
    SUM_UP,
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
    texts,
    update,
)
from ingestion_assets.curation_plan import curated_nodes
from ingestion_assets.pipeline import Pipeline

STARTED, DUPLICATE = "Track started", "Already ingested"
TELL, NOTHING, ANNOUNCE_FAILURE = "Tell of the end", "Nothing to ingest", "Announce failure"

#: Variables: when the run was asked for, and the answers of its steps.
TIME, JOB, RUN, LOADED, SUMMARY = "$event_time", "$job", "$run", "$loaded", "$summary"
TARGET = "$target"
#: What a run keeps of its run record.
COUNTS = ("rows_in", "rows_out", "rows_quarantined")

#: A run by hand is its execution, or the one whose files it takes up again.
_JOB_ID = f"($exists({EVENT}.resume) ? {EVENT}.resume : {EXECUTION})"
#: What started the run, if an object did.
_OBJECT = f"{EVENT}.detail.object"
#: The message of a function's error, or of a job's, in the JSON that its cause is; a cause may be cut anywhere.
_TOLD = r"""/"[eE]rrorMessage": ?("[^\\"]*(\\.[^\\"]*)*")/"""


def beginning(pipeline: Pipeline, following: str) -> tuple[State, ...]:
    """Return the states before the steps: which run is it, and is it done already?"""
    duplicate = Succeed(
        name=DUPLICATE,
        output={"file_id": expression(FILE_ID), "status": "duplicate"},
        comment="Events arrive at least once; these files' rows are in place",
    )
    return (_begin(pipeline), _started(pipeline, following), duplicate)


def ending(pipeline: Pipeline) -> tuple[State, ...]:
    """Return the states after the steps: the run is announced, told of, tracked."""
    summary = expression(_detail(pipeline, "completed", _SUMMARY))
    return (
        # A run by hand, or of a marker, whose files another run has taken meanwhile. Nobody is told.
        Pass(name=NOTHING, assign={SUMMARY[1:]: summary}, output={}, next=COMPLETED),
        Pass(name=SUM_UP, assign={SUMMARY[1:]: summary}, output={}, next=ANNOUNCE),
        _put_event(
            pipeline, ANNOUNCE, "Ingestion Completed", SUMMARY, catch=catch("notify"), next=TELL
        ),
        message(
            pipeline, TELL, f"'{pipeline.name}: completed'", SUMMARY,
            # The rows are in place, and the event is out: a topic that cannot be reached fails no run.
            catch=(Catcher(("States.ALL",), COMPLETED, output={}),), next=COMPLETED,
        ),
        _completed(pipeline),
    )  # fmt: skip


def failing(pipeline: Pipeline) -> tuple[State, ...]:
    """Return the failure path, which needs nothing but the variables of `Begin` and the failure."""
    reason = ", ".join(f"'{name}': {FAILURE}.{name}" for name in ("step", "code", "message"))
    alert = (
        f"{{'pipeline': '{pipeline.name}', 'status': {FAILURE}.status, {reason}, 'job_id': {JOB}.job_id, "
        f"'file': 's3://' & {FILE}.bucket & '/' & {FILE}.key, 'execution': {ARN}}}"
    )
    return (
        # Files that are rejected are done with, as far as the sweeper and a redrive are concerned.
        _lost(pipeline, REJECTED, {"status": ("S", "rejected")}, LIVE),
        _lost(pipeline, FAILED, {"status": ("S", "failed"), **alive("failed")}, ()),
        _put_event(
            pipeline, ANNOUNCE_FAILURE, "Ingestion Failed", _detail(pipeline, "failed", reason),
            catch=(Catcher(("States.ALL",), ALERT, output={}),), next=ALERT,
        ),
        message(
            pipeline, ALERT, f"'{pipeline.name}: ' & {FAILURE}.step & ' ' & {FAILURE}.status", alert,
            catch=(Catcher(("States.ALL",), FAIL, output={}),), next=FAIL,
        ),
        Fail(
            name=FAIL,
            error=expression(f"{FAILURE}.status = 'rejected' ? 'FileRejected' : 'RunFailed'"),
            cause=expression(f"{FAILURE}.code & ': ' & {FAILURE}.message"),
        ),
    )  # fmt: skip


def catch(step: str) -> tuple[Catcher, ...]:
    """Return what leads every error of a step to the failure path, with the step's name."""
    error = "$states.errorOutput"
    plain = (
        f"($cause := $exists({error}.Cause) ? {error}.Cause : ''; "
        f"$told := $match($cause, {_TOLD})[0].groups[0]; $exists($told) ? $parse($told) : $cause)"
    )
    failure = (
        f"{{'status': 'failed', 'step': '{step}', 'code': {error}.Error, "
        f"'message': $substring({plain}, 0, {MESSAGE_CHARACTERS})}}"
    )
    return (Catcher(("States.ALL",), FAILED, assign={FAILURE[1:]: expression(failure)}, output={}),)


def answered(step: str, answer: str, status: str = "failed") -> dict[str, Any]:
    """Return what is remembered of a step whose answer says no, with a code and a message."""
    failure = (
        f"{{'status': '{status}', 'step': '{step}', 'code': {answer}.code, "
        f"'message': $substring({answer}.message, 0, {MESSAGE_CHARACTERS})}}"
    )
    return {FAILURE[1:]: expression(failure)}


def message(pipeline: Pipeline, name: str, subject: str, what: str, **given: Any) -> Task:
    """Return a state that tells the topic.

    Args:
        pipeline: Whose topic it is.
        name: Of the state.
        subject: JSONata.
        what: JSONata that yields an object.
        given: Of the `Task`.
    """
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


def _put_event(pipeline: Pipeline, name: str, kind: str, detail: str, **given: Any) -> Task:
    entry = {
        "Source": f"ingestion.{pipeline.name}",
        "DetailType": kind,
        "EventBusName": "default",
        "Detail": expression(detail),
    }
    return Task(
        name=name,
        integration=events_put_events.INTEGRATION,
        arguments={"Entries": [entry]},
        output={},
        **given,
    )


def _begin(pipeline: Pipeline) -> Pass:
    source, asset = curated_nodes(pipeline)
    bucket = f"{EVENT}.detail.bucket.name"
    version = f"{_OBJECT}.`version-id`"
    known = f"($exists({version}) and {version} != 'null' ? {version} : {_OBJECT}.etag)"
    prefix = asset.destination.prefix
    dataset = f"($exists({EVENT}.dataset) ? $string({EVENT}.dataset) : '{asset.name}')"
    return Pass(
        name=BEGIN,
        assign={
            FILE[1:]: text_of(
                f"$exists({_OBJECT}) ? {{'bucket': {bucket}, 'key': {_OBJECT}.key, 'etag': {_OBJECT}.etag, "
                f"'size': $exists({_OBJECT}.size) ? {_OBJECT}.size : 0, "
                f"'sequencer': $exists({_OBJECT}.sequencer) ? {_OBJECT}.sequencer : ''}} : {{'bucket': '",
                Ref(names.bucket_id(source.bucket.name)),
                f"', 'key': {quoted(source.prefix)}, 'etag': '', 'size': 0, 'sequencer': ''}}",
            ),
            FILE_ID[1:]: expression(
                f"$exists({_OBJECT}) ? {bucket} & '/' & {_OBJECT}.key & '#' & {known} : 'run/' & {_JOB_ID}"
            ),
            VERSION[1:]: expression(f"$exists({_OBJECT}) ? {known} : {_JOB_ID}"),
            TIME[1:]: expression(f"$exists({_OBJECT}) ? {EVENT}.time : {STARTED_AT}"),
            # Of a run that ends before a step, its answer.
            JOB[1:]: expression(
                f"{{'job_id': {_JOB_ID}, 'dataset': {dataset}, 'processor_type': '', 'files': 0, "
                "'files_rejected': 0}"
            ),
            RUN[1:]: expression(
                "{'rows_in': 0, 'rows_out': 0, 'rows_quarantined': 0, 'quarantine': [], 'records': []}"
            ),
            LOADED[1:]: expression("{'outputs': [], 'output_count': 0, 'partitions': []}"),
            TARGET[1:]: text_of(
                "'s3://", Ref(names.bucket_id(asset.destination.bucket.name)), f"/{quoted(prefix)[1:]}"
            ),
        },
        output={},
        next=STARTED,
    )


#: What a summary holds beside an event's detail.
_SUMMARY = (
    f"'manifest': {LOADED}.manifest, 'file_id': {FILE_ID}, 'quarantine': [{RUN}.quarantine], "
    f"'records': [{RUN}.records]"
)


def _detail(pipeline: Pipeline, status: str, more: str) -> str:
    """Return the detail of an event: what docs/curation.md promises, and `more`."""
    counts = ", ".join(f"'{name}': {RUN}.{name}" for name in COUNTS)
    return (
        f"{{'pipeline': '{pipeline.name}', 'dataset': {JOB}.dataset, 'job_id': {JOB}.job_id, "
        f"'status': '{status}', 'execution_arn': {ARN}, 'started_at': {STARTED_AT}, 'finished_at': {NOW}, "
        f"'source': 's3://' & {FILE}.bucket & '/' & {FILE}.key, 'target': {TARGET}, "
        f"'processor_type': {JOB}.processor_type, 'files': {JOB}.files, "
        f"'files_rejected': {JOB}.files_rejected, {counts}, 'outputs': [{LOADED}.outputs], "
        f"'output_count': {LOADED}.output_count, 'partitions': [{LOADED}.partitions], {more}}}"
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


def _started(pipeline: Pipeline, following: str) -> Task:
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
        catch=(Catcher((CONDITION_FAILED,), DUPLICATE), *catch("start")),
        next=following,
    )


def _completed(pipeline: Pipeline) -> Task:
    counts = (*COUNTS, "files", "files_rejected", "output_count")
    changed = update(
        {
            "status": ("S", "completed"),
            **{name: number(f"{SUMMARY}.{name}") for name in counts},
            **{name: texts(f"{SUMMARY}.{name}") for name in ("outputs", "quarantine", "records")},
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
        catch=catch("notify"),
    )


def _lost(pipeline: Pipeline, name: str, sets: Sets, remove: tuple[str, ...]) -> Task:
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
        output={},
        catch=(
            # Two runs of one file: the other one completed, so there is nothing to alert of.
            Catcher((CONDITION_FAILED,), FAIL, output={}),
            Catcher(("States.ALL",), ANNOUNCE_FAILURE, output={}),
        ),
        next=ANNOUNCE_FAILURE,
    )
