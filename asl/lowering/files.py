"""An execution for one file -> the states around its assets: who is the file, and what became of it.

In: the pipeline and where its assets' runs are. Out: states. With `S3Event` the machine tracks the
file from its start to its end, with `S3Queue` the orchestrator has tracked the start; `completed.py` has
what differs where another pipeline's run takes the file's place. A run is announced before it is
tracked as completed, so a consumer may hear of it twice but never not at all.
"""

from __future__ import annotations

from typing import Any

from asl import names
from asl.integrations import dynamodb_update_item
from asl.ir import Catcher, Pass, Ref, State, Succeed, Task
from asl.lowering import completed, endings
from asl.lowering.endings import ALERT, BEGIN, COMPLETED, CONDITION_FAILED, FAIL, FAILED, REJECTED, SUM_UP
from asl.lowering.expressions import EVENT, FILE, FILE_ID, NOW, VERSION, expression
from asl.lowering.updates import (
    ARN,
    LIVE,
    STARTED_AT,
    Sets,
    alive,
    conditional,
    expiry,
    number,
    reason,
    text,
    texts,
    update,
)
from ingestion_assets.asset import S3Source
from ingestion_assets.pipeline import Pipeline, PipelineCompleted, S3Queue

STARTED = "Track started"
DUPLICATE = "Already ingested"


def beginning(pipeline: Pipeline, following: str) -> tuple[State, ...]:
    """Return the states before the assets: who is the file, and is it done already?"""
    if _orchestrated(pipeline):
        return (_begin(following),)
    if isinstance(pipeline.trigger, PipelineCompleted):
        return (
            completed.begin(pipeline.trigger, STARTED),
            _started(pipeline, completed.ASKING),
            _duplicate(),
            *completed.asking(pipeline, following),
        )
    return (_begin(STARTED), _started(pipeline, following), _duplicate())


def event_time(pipeline: Pipeline) -> str:
    """Return when the file arrived, as JSONata."""
    return completed.TIME if isinstance(pipeline.trigger, PipelineCompleted) else f"{EVENT}.time"


def arrived(pipeline: Pipeline) -> str:
    """Return what came, as a member of an input's event."""
    if isinstance(pipeline.trigger, PipelineCompleted):
        return f"'manifest': {completed.MANIFEST}"
    return f"'objects': [{FILE}]"


def ending(pipeline: Pipeline, runs: str) -> tuple[State, ...]:
    """Return the states after the assets; `runs` is a JSONata object of runs by asset."""
    summary = (
        f"($runs := {runs}; {{'file_id': {FILE_ID}, 'status': 'completed', 'pipeline': '{pipeline.name}', "
        f"{endings.totals()}, 'superseded': true in $runs.*.superseded, "
        f"'execution_arn': {ARN}, 'started_at': {STARTED_AT}, 'finished_at': {NOW}}})"
    )
    summing = Pass(
        name=SUM_UP,
        assign={"summary": expression(summary)},
        output={},
        next=endings.after_assets(pipeline),
    )
    return (summing, *endings.telling(pipeline), _completed(pipeline))


def failing(pipeline: Pipeline) -> tuple[State, ...]:
    """Return the failure path, which needs nothing but the variables of `Begin` and the failure."""
    what = f"'file': 's3://' & {FILE}.bucket & '/' & {FILE}.key"
    return (
        # A rejected file is done with, as far as the sweeper and a redrive of failures are concerned.
        _lost(pipeline, REJECTED, {"status": ("S", "rejected")}, LIVE),
        _lost(pipeline, FAILED, {"status": ("S", "failed"), **alive("failed")}, ()),
        endings.alert(pipeline, "file", what),
        endings.fail(),
    )


def _orchestrated(pipeline: Pipeline) -> bool:
    return isinstance(pipeline.trigger, S3Queue)


def _begin(following: str) -> Pass:
    event = f"{EVENT}.detail"
    version = f"{event}.object.`version-id`"
    # Buckets without versions send none, or the version `null`; then the ETag tells objects apart.
    known = f"$exists({version}) and {version} != 'null' ? {version} : {event}.object.etag"
    return Pass(
        name=BEGIN,
        assign={
            FILE[1:]: expression(
                f"{{'bucket': {event}.bucket.name, 'key': {event}.object.key, 'version_id': {version}, "
                f"'etag': {event}.object.etag, 'size': {event}.object.size, "
                f"'sequencer': {event}.object.sequencer}}"
            ),
            FILE_ID[1:]: expression(f"{event}.bucket.name & '/' & {event}.object.key & '#' & ({known})"),
            VERSION[1:]: expression(known),
        },
        output={},
        next=following,
    )


def _source(pipeline: Pipeline) -> S3Source:
    return next(source for source in pipeline.sources if source.name == pipeline.trigger.source)


def _key(pipeline: Pipeline) -> dict[str, Any]:
    if _orchestrated(pipeline):
        return {
            "TableName": Ref(names.status_id(_source(pipeline).bucket.name)),
            "Key": {"file_id": {"S": expression(f"{FILE}.key")}, "version": {"S": expression(VERSION)}},
        }
    return {
        "TableName": Ref(names.tracking_id(pipeline.name)),
        "Key": {"file_id": {"S": expression(FILE_ID)}},
    }


def _event(pipeline: Pipeline) -> Sets:
    """Return what the event says of the file, as attributes."""
    return {
        "pipeline": ("S", pipeline.name),
        "bucket": text(f"{FILE}.bucket"),
        "key": text(f"{FILE}.key"),
        # In workflow_status the version is part of the key.
        **({} if _orchestrated(pipeline) else {"version": text(VERSION)}),
        "etag": text(f"{FILE}.etag"),
        "size": number(f"{FILE}.size"),
        "event_time": text(event_time(pipeline)),
        "sequencer": text(f"$exists({FILE}.sequencer) ? {FILE}.sequencer : ''"),
        "expires_at": expiry(pipeline),
    }


def _ended(pipeline: Pipeline, sets: Sets, remove: tuple[str, ...]) -> dict[str, Any]:
    """Return the update at an end; with an orchestrator, the item may not be there yet."""
    if not _orchestrated(pipeline):
        return update({**sets, "execution_arn": text(ARN), "finished_at": text(NOW)}, remove)
    whole = {
        **sets,
        **_event(pipeline),
        "execution_arn": text(ARN),
        "start_time": text(STARTED_AT),
        "finish_time": text(NOW),
    }
    return update(whole, remove, once=("start_time",))


def _well(pipeline: Pipeline) -> str:
    """Return the status of a file whose run went well."""
    return "done" if _orchestrated(pipeline) else "completed"


def _unless_well(pipeline: Pipeline, changed: dict[str, Any]) -> dict[str, Any]:
    return conditional(changed, "attribute_not_exists(file_id) OR #status <> :well", well=_well(pipeline))


def _started(pipeline: Pipeline, following: str) -> Task:
    changed = update(
        {
            "status": ("S", "started"),
            **_event(pipeline),
            "execution_arn": text(ARN),
            "started_at": text(STARTED_AT),
            **alive("open"),
        },
        # A second try of a file must not show the first one's end.
        remove=("finished_at", "reason"),
    )
    return Task(
        name=STARTED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **_unless_well(pipeline, changed)},
        output={},
        catch=(Catcher((CONDITION_FAILED,), DUPLICATE),),
        next=following,
    )


def _duplicate() -> Succeed:
    return Succeed(
        name=DUPLICATE,
        output={"file_id": expression(FILE_ID), "status": "duplicate"},
        comment="Events arrive at least once; this file's rows are in place",
    )


def _completed(pipeline: Pipeline) -> Task:
    changed = _ended(
        pipeline,
        {
            "status": ("S", _well(pipeline)),
            **{
                name: number(f"$summary.{name}")
                for name in ("rows_in", "rows_out", "rows_quarantined", "output_count")
            },
            **{name: texts(f"$summary.{name}") for name in ("outputs", "quarantine", "records")},
            # A newer version's rows are in place, and this one's were not written.
            "superseded": ("BOOL", expression("$summary.superseded")),
        },
        ("reason", *LIVE),
    )
    return Task(
        name=COMPLETED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **changed},
        output=expression("$summary"),
    )


def _lost(pipeline: Pipeline, name: str, sets: Sets, remove: tuple[str, ...]) -> Task:
    """Return the state that tracks a failure or a rejection."""
    changed = _ended(pipeline, {**sets, "reason": reason()}, remove)
    return Task(
        name=name,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **_unless_well(pipeline, changed)},
        output={},
        # Two runs of one file: the other one completed, so there is nothing to alert of. And an
        # alert goes out even if the table cannot be written.
        catch=(
            Catcher((CONDITION_FAILED,), FAIL, output={}),
            Catcher(("States.ALL",), ALERT, output={}),
        ),
        next=ALERT,
    )
