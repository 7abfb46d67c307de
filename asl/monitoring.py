"""A pipeline -> its alarms and its dashboard.

Every alarm means that someone has to do something: a run that failed (a rejected file among them),
a run that did not end, an event without a run, a function that keeps failing or is throttled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asl import names
from asl.resources import Alarm, Dashboard
from ingestion_assets.pipeline import Pipeline

METRICS = "IngestionAssets"


def alarms(pipeline: Pipeline, functions: Sequence[str]) -> Iterator[Alarm]:
    """Yield the pipeline's alarms; `functions` are the assets that run on Lambda."""
    machine = {"StateMachineArn": f"${{{names.machine_id(pipeline.name)}}}"}
    name = pipeline.name

    def alarm(
        kind: str, what: str, metric: str, dimensions: Mapping[str, str], *, periods: int = 1, asset: str = ""
    ) -> Alarm:
        place, _, measured = metric.partition("|")
        return Alarm(
            id=names.logical_id(f"{kind}Alarm", *filter(None, (name, asset))),
            description=what,
            namespace=place,
            metric=measured,
            dimensions=dimensions,
            statistic="Maximum" if kind == "DeadLetters" else "Sum",
            threshold=0,
            periods=periods,
            topic=names.topic_id(name),
            pipeline=name,
        )

    yield alarm(
        "Failed",
        f"{name}: a run failed or a file was rejected; asl status {name} names it and its reason",
        "AWS/States|ExecutionsFailed",
        machine,
    )
    yield alarm(
        "TimedOut",
        f"{name}: a run exceeded {pipeline.timeout_seconds} s; redrive it, or raise Pipeline(timeout_seconds=…)",
        "AWS/States|ExecutionsTimedOut",
        machine,
    )
    yield alarm(
        "Throttled",
        f"{name}: state transitions are throttled, runs are slow; ask for a higher Step Functions quota",
        "AWS/States|ExecutionThrottled",
        machine,
        periods=3,
    )
    yield alarm(
        "DeadLetters",
        f"{name}: an event could not start a run; its file waits in the dead-letter queue, send it again",
        "AWS/SQS|ApproximateNumberOfMessagesVisible",
        {"QueueName": f"${{{names.logical_id('DeadLetters', name)}.QueueName}}"},
    )
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    yield alarm(
        "Undelivered",
        f"{name}: an event could neither start a run nor become a dead letter; see the files that have no run",
        "AWS/Events|InvocationsFailedToBeSentToDlq",
        {"RuleName": f"${{{names.logical_id('Rule', name)}}}"},
    )
    for asset in functions:
        function = {"FunctionName": f"${{{names.function_id(name, asset)}}}"}
        # One error is retried by the state machine; errors for a quarter of an hour are not transient.
        yield alarm(
            "Errors",
            f"{name}/{asset}: the function has failed for 15 minutes; see its log",
            "AWS/Lambda|Errors",
            function,
            periods=3,
            asset=asset,
        )
        yield alarm(
            "Throttles",
            f"{name}/{asset}: the function has been throttled for 15 minutes; raise the account's concurrency",
            "AWS/Lambda|Throttles",
            function,
            periods=3,
            asset=asset,
        )


def dashboard(pipeline: Pipeline, functions: Sequence[str], jobs: Sequence[str]) -> Dashboard:
    """Return the pipeline's dashboard: runs, rows, time, errors, events without a run."""
    name = pipeline.name
    machine = f"${{{names.machine_id(name)}}}"
    widgets = [
        _widget("Runs", [["AWS/States", metric, "StateMachineArn", machine] for metric in RUNS], "Sum"),
        _widget(
            "Rows",
            [
                [METRICS, metric, "asset", asset, "pipeline", name, "service", name]
                for asset in functions
                for metric in ("RowsIn", "RowsOut", "RowsQuarantined", "FilesRejected")
            ],
            "Sum",
        ),
        _widget("Time of a run (ms)", [["AWS/States", "ExecutionTime", "StateMachineArn", machine]], "p95"),
        _widget(
            "Functions",
            [
                ["AWS/Lambda", metric, "FunctionName", f"${{{names.function_id(name, asset)}}}"]
                for asset in functions
                for metric in ("Invocations", "Errors", "Throttles")
            ],
            "Sum",
        ),
        _widget(
            "Glue jobs",
            [
                [
                    "Glue",
                    metric,
                    "JobName",
                    f"${{{names.job_id(name, asset)}}}",
                    "JobRunId",
                    "ALL",
                    "Type",
                    "count",
                ]
                for asset in jobs
                for metric in (
                    "glue.driver.aggregate.numCompletedTasks",
                    "glue.driver.aggregate.numFailedTasks",
                )
            ],
            "Sum",
        ),
        _widget(
            "Events without a run",
            [
                [
                    "AWS/SQS",
                    "ApproximateNumberOfMessagesVisible",
                    "QueueName",
                    f"${{{names.logical_id('DeadLetters', name)}.QueueName}}",
                ]
            ],
            "Maximum",
        ),
    ]
    shown = [widget for widget in widgets if widget["properties"]["metrics"]]
    for position, widget in enumerate(shown):
        widget |= {"x": 12 * (position % 2), "y": 6 * (position // 2)}
    return Dashboard(
        names.logical_id("Dashboard", name),
        f"${{AWS::StackName}}-{name}",
        {"widgets": shown},
    )


RUNS = (
    "ExecutionsStarted",
    "ExecutionsSucceeded",
    "ExecutionsFailed",
    "ExecutionsTimedOut",
    "ExecutionsAborted",
)


def _widget(title: str, metrics: list[list[str]], statistic: str) -> dict[str, Any]:
    return {
        "type": "metric",
        "width": 12,
        "height": 6,
        "properties": {
            "metrics": metrics,
            "period": 300,
            "region": "${AWS::Region}",
            "stat": statistic,
            "title": title,
            "view": "timeSeries",
        },
    }
