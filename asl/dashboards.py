"""A pipeline -> its dashboard: what waits, runs, rows, time, errors, events without a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asl import names
from asl.resources import Dashboard
from asl.triggers import arrivals_id, dead_letters_id, step_ids
from ingestion_assets.pipeline import Pipeline

METRICS = "IngestionAssets"


def dashboard(pipeline: Pipeline, functions: Sequence[str], jobs: Sequence[str]) -> Dashboard:
    """Return the pipeline's dashboard.

    Args:
        pipeline: The pipeline.
        functions: Assets that run on Lambda.
        jobs: Logical ids of Glue jobs.
    """
    name = pipeline.name
    machine = f"${{{names.machine_id(name)}}}"
    widgets = [
        *_waiting(pipeline),
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
                ["AWS/Lambda", metric, "FunctionName", f"${{{function}}}"]
                for function in (
                    *(names.function_id(name, asset) for asset in functions),
                    *step_ids(pipeline),
                )
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
                    f"${{{job}}}",
                    "JobRunId",
                    "ALL",
                    "Type",
                    "count",
                ]
                for job in jobs
                for metric in (
                    "glue.driver.aggregate.numCompletedTasks",
                    "glue.driver.aggregate.numFailedTasks",
                )
            ],
            "Sum",
        ),
        _widget(
            "Events without a run",
            [_of_queue("ApproximateNumberOfMessagesVisible", dead_letters_id(pipeline))],
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


def _waiting(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return what waits in the queue of a pipeline that has one."""
    queue = arrivals_id(pipeline)
    if queue is None:
        return []
    depth = ("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible")
    return [
        _widget("Files that wait in the queue", [_of_queue(metric, queue) for metric in depth], "Maximum"),
        _widget("Age of the oldest file (s)", [_of_queue("ApproximateAgeOfOldestMessage", queue)], "Maximum"),
    ]


def _of_queue(metric: str, queue: str) -> list[str]:
    return ["AWS/SQS", metric, "QueueName", f"${{{queue}.QueueName}}"]


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
