"""A run's bookkeeping -> states: tracked, announced, or failed and alerted.

In: the pipeline and where its assets' runs are. Out: the states before and after the assets. The
order of the last steps makes redelivery repair a crash between any two of them: a run is announced
before it is tracked as completed, so a consumer may hear of it twice but never not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl import names
from asl.integrations import dynamodb_update_item, events_put_events, glue_start_crawler, sns_publish
from asl.ir import Catcher, Fail, Pass, Ref, State, Succeed, Task
from asl.lowering.expressions import (
    EVENT,
    FAILURE,
    FILE,
    FILE_ID,
    NOW,
    expression,
)
from ingestion_assets.pipeline import Pipeline

BEGIN = "Begin"
STARTED = "Track started"
DUPLICATE = "Already ingested"
SUM_UP = "Sum up"
CRAWL = "Start crawler"
ANNOUNCE = "Announce"
COMPLETED = "Track completed"
FAILED = "Track failure"
ALERT = "Alert"
FAIL = "Failed"

#: Longer error messages are cut; the execution's history has them whole.
MESSAGE_CHARACTERS = 2000
ARN = "$states.context.Execution.Id"


def beginning(pipeline: Pipeline, following: str) -> tuple[State, ...]:
    """Return the states before the assets: who is the file, and is it done already?"""
    return (_begin(), _started(pipeline, following), _duplicate())


def ending(pipeline: Pipeline, runs: str) -> tuple[State, ...]:
    """Return the states after the assets; `runs` is a JSONata object of runs by asset."""
    following = CRAWL if pipeline.catalog.crawler else ANNOUNCE
    states: list[State] = [_sum_up(pipeline, runs, following)]
    if pipeline.catalog.crawler:
        states.append(_crawl(pipeline))
    return (*states, _announce(pipeline), _completed(pipeline))


def failing(pipeline: Pipeline) -> tuple[State, ...]:
    """Return the failure path, which needs nothing but the variables of `Begin` and the failure."""
    return (_failed(pipeline), _alert(pipeline), _fail())


def failure_of_error() -> dict[str, Any]:
    """Return what a Catch remembers of an error."""
    error = "$states.errorOutput"
    cause = f"$exists({error}.Cause) ? {error}.Cause : ''"
    failure = (
        f"{{'status': 'failed', 'code': {error}.Error, "
        f"'message': $substring({cause}, 0, {MESSAGE_CHARACTERS})}}"
    )
    return {FAILURE[1:]: expression(failure)}


def _begin() -> Pass:
    event = f"{EVENT}.detail"
    version = f"{event}.object.`version-id`"
    # Buckets without versions send none, or the version `null`; then the ETag tells objects apart.
    known = f"$exists({version}) and {version} != 'null' ? {version} : {event}.object.etag"
    return Pass(
        name=BEGIN,
        assign={
            FILE[1:]: expression(
                f"{{'bucket': {event}.bucket.name, 'key': {event}.object.key, 'version_id': {version}, "
                f"'etag': {event}.object.etag, 'size': {event}.object.size}}"
            ),
            FILE_ID[1:]: expression(f"{event}.bucket.name & '/' & {event}.object.key & '#' & ({known})"),
        },
        output={},
        next=STARTED,
    )


def _key(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "TableName": Ref(names.tracking_id(pipeline.name)),
        "Key": {"file_id": {"S": expression(FILE_ID)}},
    }


def _update(sets: Mapping[str, tuple[str, Any]], remove: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the update of attributes, by name: the type and the value."""
    # Every name has a placeholder, so that none is ever one of DynamoDB's reserved words.
    expressions = "SET " + ", ".join(f"#{name} = :{name}" for name in sets)
    if remove:
        expressions += " REMOVE " + ", ".join(f"#{name}" for name in remove)
    return {
        "UpdateExpression": expressions,
        "ExpressionAttributeNames": {f"#{name}": name for name in (*sets, *remove)},
        "ExpressionAttributeValues": {f":{name}": {kind: value} for name, (kind, value) in sets.items()},
    }


def _number(text: str) -> tuple[str, str]:
    return "N", expression(f"$string({text})")


def _texts(text: str) -> tuple[str, str]:
    return "L", expression(f"[$map({text}, function($uri) {{ {{'S': $uri}} }})]")


def _unless_completed(update: dict[str, Any]) -> dict[str, Any]:
    values = {**update["ExpressionAttributeValues"], ":completed": {"S": "completed"}}
    return {
        **update,
        "ExpressionAttributeValues": values,
        "ConditionExpression": "attribute_not_exists(file_id) OR #status <> :completed",
    }


def _started(pipeline: Pipeline, following: str) -> Task:
    days = pipeline.tracking.retention_days
    update = _update(
        {
            "status": ("S", "started"),
            "pipeline": ("S", pipeline.name),
            "bucket": ("S", expression(f"{FILE}.bucket")),
            "key": ("S", expression(f"{FILE}.key")),
            "execution_arn": ("S", expression(ARN)),
            "started_at": ("S", expression("$states.context.Execution.StartTime")),
            "expires_at": _number(f"$floor($toMillis({NOW}) / 1000) + {days * 86_400}"),
        },
        # A second try of a file must not show the first one's end.
        remove=("finished_at", "reason"),
    )
    return Task(
        name=STARTED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **_unless_completed(update)},
        output={},
        catch=(Catcher(("DynamoDB.ConditionalCheckFailedException",), DUPLICATE),),
        next=following,
    )


def _duplicate() -> Succeed:
    return Succeed(
        name=DUPLICATE,
        output={"file_id": expression(FILE_ID), "status": "duplicate"},
        comment="Events arrive at least once; this file's rows are in place",
    )


def _sum_up(pipeline: Pipeline, runs: str, following: str) -> Pass:
    numbers = ", ".join(
        f"'{name}': $sum($runs.*.{name})" for name in ("rows_in", "rows_out", "rows_quarantined")
    )
    lists = ", ".join(f"'{name}': [$runs.*.{name}]" for name in ("outputs", "quarantine"))
    summary = (
        f"($runs := {runs}; {{'file_id': {FILE_ID}, 'status': 'completed', "
        f"'pipeline': '{pipeline.name}', {numbers}, 'output_count': $sum($runs.*.output_count), {lists}, 'records': [$runs.*.record], "
        f"'execution_arn': {ARN}, 'started_at': $states.context.Execution.StartTime, 'finished_at': {NOW}}})"
    )
    return Pass(name=SUM_UP, assign={"summary": expression(summary)}, output={}, next=following)


def _crawl(pipeline: Pipeline) -> Task:
    return Task(
        name=CRAWL,
        integration=glue_start_crawler.INTEGRATION,
        arguments={"Name": Ref(names.crawler_id(pipeline.name))},
        output={},
        # One that runs will see this file or the next start will.
        catch=(Catcher(("Glue.CrawlerRunningException",), ANNOUNCE, output={}),),
        next=ANNOUNCE,
    )


def _announce(pipeline: Pipeline) -> Task:
    return Task(
        name=ANNOUNCE,
        integration=events_put_events.INTEGRATION,
        arguments={
            "Entries": [
                {
                    "Source": f"ingestion.{pipeline.name}",
                    "DetailType": "Ingestion Completed",
                    "EventBusName": "default",
                    "Detail": expression("$summary"),
                }
            ]
        },
        output={},
        next=COMPLETED,
    )


def _completed(pipeline: Pipeline) -> Task:
    update = _update(
        {
            "status": ("S", "completed"),
            "execution_arn": ("S", expression(ARN)),
            "finished_at": ("S", expression("$summary.finished_at")),
            "rows_in": _number("$summary.rows_in"),
            "rows_out": _number("$summary.rows_out"),
            "rows_quarantined": _number("$summary.rows_quarantined"),
            "output_count": _number("$summary.output_count"),
            "outputs": _texts("$summary.outputs"),
            "quarantine": _texts("$summary.quarantine"),
            "records": _texts("$summary.records"),
        },
        remove=("reason",),
    )
    return Task(
        name=COMPLETED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **update},
        output=expression("$summary"),
    )


def _failed(pipeline: Pipeline) -> Task:
    update = _update(
        {
            "status": ("S", expression(f"{FAILURE}.status")),
            "execution_arn": ("S", expression(ARN)),
            "finished_at": ("S", expression(NOW)),
            "reason": (
                "M",
                {
                    "code": {"S": expression(f"{FAILURE}.code")},
                    "message": {"S": expression(f"{FAILURE}.message")},
                },
            ),
        }
    )
    return Task(
        name=FAILED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **_unless_completed(update)},
        output={},
        # Two runs of one file: the other one completed, so there is nothing to alert of. And an
        # alert goes out even if the table cannot be written.
        catch=(
            Catcher(("DynamoDB.ConditionalCheckFailedException",), FAIL, output={}),
            Catcher(("States.ALL",), ALERT, output={}),
        ),
        next=ALERT,
    )


def _alert(pipeline: Pipeline) -> Task:
    message = (
        f"{{'pipeline': '{pipeline.name}', 'status': {FAILURE}.status, 'code': {FAILURE}.code, "
        f"'message': {FAILURE}.message, 'file': 's3://' & {FILE}.bucket & '/' & {FILE}.key, "
        f"'execution': {ARN}}}"
    )
    return Task(
        name=ALERT,
        integration=sns_publish.INTEGRATION,
        arguments={
            "TopicArn": Ref(names.topic_id(pipeline.name)),
            "Subject": expression(f"$substring('{pipeline.name}: file ' & {FAILURE}.status, 0, 99)"),
            "Message": expression(f"$string({message})"),
        },
        output={},
        catch=(Catcher(("States.ALL",), FAIL, output={}),),
        next=FAIL,
    )


def _fail() -> Fail:
    return Fail(
        name=FAIL,
        error=expression(f"{FAILURE}.status = 'rejected' ? 'FileRejected' : 'RunFailed'"),
        cause=expression(f"{FAILURE}.code & ': ' & {FAILURE}.message"),
    )
