"""An execution for a batch of files -> the states around its assets: the batch's own bookkeeping.

In: the pipeline and where its assets' runs are. Out: states. A file that is rejected fails no batch:
it is named with its reason in the batch's item, and the topic is told (docs/ingress.md).
"""

from __future__ import annotations

from typing import Any

from asl import names
from asl.integrations import dynamodb_update_item, sns_publish
from asl.ir import Catcher, Choice, Pass, Ref, Rule, State, Succeed, Task
from asl.lowering import endings
from asl.lowering.endings import ALERT, BEGIN, COMPLETED, CONDITION_FAILED, FAIL, FAILED, SUM_UP
from asl.lowering.expressions import BATCH, EVENT, NOW, expression
from asl.lowering.updates import (
    ARN,
    LIVE,
    STARTED_AT,
    alive,
    conditional,
    number,
    reason,
    text,
    texts,
    update,
)
from ingestion_assets.pipeline import Pipeline

PROCESSING = "Track processing"
DUPLICATE = "Already processed"
REJECTED_FILES = "Were files rejected?"
ALERT_OF_FILES = "Alert of rejected files"

BATCH_OF = f"'batch': {BATCH}.date & '/' & $string({BATCH}.batch), 'manifest': {BATCH}.manifest"


def beginning(pipeline: Pipeline, following: str) -> tuple[State, ...]:
    """Return the states before the assets: which batch, and is it another execution's already?"""
    begin = Pass(name=BEGIN, assign={BATCH[1:]: expression(f"{EVENT}.detail")}, output={}, next=PROCESSING)
    return (begin, _processing(pipeline, following), _duplicate())


def ending(pipeline: Pipeline, runs: str) -> tuple[State, ...]:
    """Return the states after the assets; `runs` is a JSONata object of runs by asset."""
    after = endings.after_assets(pipeline)
    asking = Choice(
        name=REJECTED_FILES,
        rules=(Rule(condition="$summary.files_rejected > 0", next=ALERT_OF_FILES),),
        default=after,
    )
    return (
        _sum_up(pipeline, runs),
        asking,
        _alert_of_files(pipeline, after),
        *endings.telling(pipeline),
        _completed(pipeline),
    )


def failing(pipeline: Pipeline) -> tuple[State, ...]:
    """Return the failure path, which needs nothing but the variable of `Begin` and the failure."""
    return (_failed(pipeline), endings.alert(pipeline, "batch", BATCH_OF), endings.fail())


def _key(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "TableName": Ref(names.batches_id(pipeline.name)),
        "Key": {
            "date": {"S": expression(f"{BATCH}.date")},
            "batch": {"N": expression(f"$string({BATCH}.batch)")},
        },
    }


def _processing(pipeline: Pipeline, following: str) -> Task:
    changed = update(
        {"status": ("S", "processing"), "started_at": text(NOW), "execution_arn": text(ARN)},
        # The manifest has the files, and their own items say whose batch they are in. The item is
        # paid for by its size, so they go with this first update.
        remove=("files", "finished_at", "reason"),
    )
    return Task(
        name=PROCESSING,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={
            **_key(pipeline),
            # A retry of this very state finds its own work.
            **conditional(
                changed,
                "#status = :manifested OR (#status = :status AND #execution_arn = :execution_arn)",
                manifested="manifested",
            ),
        },
        output={},
        catch=(Catcher((CONDITION_FAILED,), DUPLICATE),),
        next=following,
    )


def _duplicate() -> Succeed:
    return Succeed(
        name=DUPLICATE,
        output={"manifest": expression(f"{BATCH}.manifest"), "status": "duplicate"},
        comment="Another execution has this batch, or has done it",
    )


def _sum_up(pipeline: Pipeline, runs: str) -> Pass:
    # Assets that read the files may each reject some; a run names at most fifty of them, and counts all.
    summary = (
        f"($runs := {runs}; $rejected := $merge([{{}}, $runs.*.rejected]); "
        f"{{'status': 'completed', 'pipeline': '{pipeline.name}', 'date': {BATCH}.date, "
        f"'batch': {BATCH}.batch, 'manifest': {BATCH}.manifest, 'files_in': {BATCH}.files, "
        "'files_rejected': $max([$count($keys($rejected)), $runs.*.files_rejected]), "
        "'files_superseded': $max([0, $runs.*.files_superseded]), 'quarantined': $rejected, "
        f"{endings.totals()}, 'execution_arn': {ARN}, 'started_at': {STARTED_AT}, 'finished_at': {NOW}}})"
    )
    return Pass(name=SUM_UP, assign={"summary": expression(summary)}, output={}, next=REJECTED_FILES)


def _alert_of_files(pipeline: Pipeline, following: str) -> Task:
    message = (
        f"{{'pipeline': '{pipeline.name}', 'status': 'quarantined', {BATCH_OF}, "
        "'files_in': $summary.files_in, 'files_rejected': $summary.files_rejected, "
        f"'reasons': $summary.quarantined, 'execution': {ARN}}}"
    )
    return Task(
        name=ALERT_OF_FILES,
        integration=sns_publish.INTEGRATION,
        arguments={
            "TopicArn": Ref(names.topic_id(pipeline.name)),
            "Subject": expression(
                f"$substring('{pipeline.name}: ' & $string($summary.files_rejected) & ' files rejected', 0, 99)"
            ),
            "Message": expression(f"$string({message})"),
        },
        output={},
        # The rows are in place: a topic that cannot be reached fails no batch.
        catch=(Catcher(("States.ALL",), following, output={}),),
        next=following,
    )


def _completed(pipeline: Pipeline) -> Task:
    reasons = (
        "$merge([{}, $each($summary.quarantined, function($why, $digest) { {$digest: {'M': "
        "{'code': {'S': $why.code}, 'message': {'S': $why.message}}}} })])"
    )
    numbers = (
        "rows_in", "rows_out", "rows_quarantined", "output_count", "files_rejected", "files_superseded"
    )  # fmt: skip
    changed = update(
        {
            "status": ("S", "completed"),
            "execution_arn": text(ARN),
            "finished_at": text(NOW),
            **{name: number(f"$summary.{name}") for name in numbers},
            "records": texts("$summary.records"),
            "quarantined": ("M", expression(reasons)),
        },
        remove=("files", "reason", *LIVE),
    )
    return Task(
        name=COMPLETED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={**_key(pipeline), **changed},
        output=expression("$summary"),
    )


def _failed(pipeline: Pipeline) -> Task:
    changed = update(
        {
            "status": ("S", "failed"),
            "execution_arn": text(ARN),
            "finished_at": text(NOW),
            "reason": reason(),
            **alive("failed"),
        }
    )
    return Task(
        name=FAILED,
        integration=dynamodb_update_item.INTEGRATION,
        arguments={
            **_key(pipeline),
            **conditional(changed, "attribute_not_exists(#status) OR #status <> :well", well="completed"),
        },
        output={},
        # Another execution completed the batch, so there is nothing to alert of. And an alert goes
        # out even if the table cannot be written.
        catch=(
            Catcher((CONDITION_FAILED,), FAIL, output={}),
            Catcher(("States.ALL",), ALERT, output={}),
        ),
        next=ALERT,
    )
