"""The end of every run -> states: the crawler is started, the run announced; or it failed and is alerted.

In: the pipeline, and what a message says of the file or batch. Out: states, and the names that
other states lead to.
"""

from __future__ import annotations

from typing import Any

from asl import names
from asl.integrations import events_put_events, glue_start_crawler, sns_publish
from asl.ir import Catcher, Fail, Ref, Task
from asl.lowering.expressions import FAILURE, expression
from asl.lowering.updates import ARN
from ingestion_assets.pipeline import Pipeline

BEGIN = "Begin"
SUM_UP = "Sum up"
CRAWL = "Start crawler"
ANNOUNCE = "Announce"
COMPLETED = "Track completed"
REJECTED = "Track rejection"
FAILED = "Track failure"
ALERT = "Alert"
FAIL = "Failed"

#: Longer error messages are cut; the execution's history has them whole.
MESSAGE_CHARACTERS = 2000
CONDITION_FAILED = "DynamoDB.ConditionalCheckFailedException"


def failure_of_error() -> dict[str, Any]:
    """Return what a Catch remembers of an error."""
    error = "$states.errorOutput"
    cause = f"$exists({error}.Cause) ? {error}.Cause : ''"
    failure = (
        f"{{'status': 'failed', 'code': {error}.Error, "
        f"'message': $substring({cause}, 0, {MESSAGE_CHARACTERS})}}"
    )
    return {FAILURE[1:]: expression(failure)}


def after_assets(pipeline: Pipeline) -> str:
    """Return the name of the first state that tells others of the run."""
    return CRAWL if pipeline.catalog.crawler else ANNOUNCE


def totals() -> str:
    """Return the members of a summary that add the assets' runs, `$runs`, up."""
    numbers = ", ".join(
        f"'{name}': $sum($runs.*.{name})"
        for name in ("rows_in", "rows_out", "rows_quarantined", "output_count")
    )
    lists = ", ".join(f"'{name}': [$runs.*.{name}]" for name in ("outputs", "quarantine"))
    return f"{numbers}, {lists}, 'records': [$runs.*.record]"


def telling(pipeline: Pipeline) -> tuple[Task, ...]:
    """Return the states that tell others of a run that went well."""
    return (*((_crawl(pipeline),) if pipeline.catalog.crawler else ()), _announce(pipeline))


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


def alert(pipeline: Pipeline, subject: str, what: str) -> Task:
    """Return the state that tells the topic of a failure.

    Args:
        pipeline: Whose topic it is.
        subject: `file` or `batch`.
        what: Members of a JSONata object that say which one.
    """
    message = (
        f"{{'pipeline': '{pipeline.name}', 'status': {FAILURE}.status, 'code': {FAILURE}.code, "
        f"'message': {FAILURE}.message, {what}, 'execution': {ARN}}}"
    )
    return Task(
        name=ALERT,
        integration=sns_publish.INTEGRATION,
        arguments={
            "TopicArn": Ref(names.topic_id(pipeline.name)),
            "Subject": expression(f"$substring('{pipeline.name}: {subject} ' & {FAILURE}.status, 0, 99)"),
            "Message": expression(f"$string({message})"),
        },
        output={},
        catch=(Catcher(("States.ALL",), FAIL, output={}),),
        next=FAIL,
    )


def fail() -> Fail:
    """Return the end of a run that did not go well."""
    return Fail(
        name=FAIL,
        error=expression(f"{FAILURE}.status = 'rejected' ? 'FileRejected' : 'RunFailed'"),
        cause=expression(f"{FAILURE}.code & ': ' & {FAILURE}.message"),
    )
