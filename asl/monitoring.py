"""A pipeline, or what pipelines share -> alarms.

Every alarm means that someone has to do something: a run that failed (a rejected file among them),
a run that did not end, an event without a run, files that wait, a function that keeps failing or is
throttled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from asl import names
from asl.resources import Alarm
from asl.triggers import arrivals_id, by_rule, dead_letters_id, step_ids
from ingestion_assets.pipeline import Pipeline, S3Batches

#: A message that is older was not taken for three alarms' periods.
OLDEST_SECONDS = 900


def alarms(pipeline: Pipeline, functions: Sequence[str]) -> Iterator[Alarm]:
    """Yield the pipeline's alarms; `functions` are the assets that run on Lambda."""
    name = pipeline.name
    yield from _machine(pipeline)
    if by_rule(pipeline):
        yield _dead_letters(dead_letters_id(pipeline), name, pipeline)
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
        yield _alarm(
            names.logical_id("UndeliveredAlarm", name),
            f"{name}: an event could neither start a run nor become a dead letter; see the files that have no run",
            "AWS/Events|InvocationsFailedToBeSentToDlq",
            ("RuleName", f"${{{names.logical_id('Rule', name)}}}"),
            (pipeline,),
        )
    if isinstance(pipeline.trigger, S3Batches):
        yield from _queue(pipeline, name, (pipeline,))
        yield _errors(names.builder_id(name), f"{name}: the manifest builder", (pipeline,))
    yield _errors(names.sweeper_id(name), f"{name}: the sweeper", (pipeline,))
    for function in step_ids(pipeline):
        yield _errors(function, f"{name}: the function {function}", (pipeline,))
    for asset in functions:
        function = names.function_id(name, asset)
        # One error is retried by the state machine; errors for a quarter of an hour are not transient.
        yield replace(
            _errors(function, f"{name}/{asset}: the function", (pipeline,)),
            id=names.logical_id("ErrorsAlarm", name, asset),
        )
        yield _alarm(
            names.logical_id("ThrottlesAlarm", name, asset),
            f"{name}/{asset}: the function has been throttled for 15 minutes; raise the account's concurrency",
            "AWS/Lambda|Throttles",
            ("FunctionName", f"${{{function}}}"),
            (pipeline,),
            periods=3,
        )


def bucket_alarms(bucket: str, pipelines: Sequence[Pipeline]) -> Iterator[Alarm]:
    """Yield the alarms of what the pipelines of one orchestrator share; all their topics are told."""
    yield from _queue(pipelines[0], bucket, pipelines)
    yield _errors(names.orchestrator_id(bucket), f"{bucket}: the orchestrator", pipelines)


def _machine(pipeline: Pipeline) -> Iterator[Alarm]:
    name = pipeline.name
    machine = ("StateMachineArn", f"${{{names.machine_id(name)}}}")
    yield _alarm(
        names.logical_id("FailedAlarm", name),
        f"{name}: a run failed or a file was rejected; asl status {name} names it and its reason",
        "AWS/States|ExecutionsFailed",
        machine,
        (pipeline,),
    )
    yield _alarm(
        names.logical_id("TimedOutAlarm", name),
        f"{name}: a run exceeded {pipeline.timeout_seconds} s; redrive it, or raise Pipeline(timeout_seconds=…)",
        "AWS/States|ExecutionsTimedOut",
        machine,
        (pipeline,),
    )
    yield _alarm(
        names.logical_id("ThrottledAlarm", name),
        f"{name}: state transitions are throttled, runs are slow; ask for a higher Step Functions quota",
        "AWS/States|ExecutionThrottled",
        machine,
        (pipeline,),
        periods=3,
    )


def _queue(pipeline: Pipeline, name: str, told: Sequence[Pipeline]) -> Iterator[Alarm]:
    """Yield the alarms of a queue and of its dead letters, which are the pipeline's or its bucket's."""
    queue = arrivals_id(pipeline)
    yield _dead_letters(dead_letters_id(pipeline), name, *told)
    yield _alarm(
        f"{queue}AgeAlarm",
        f"{name}: a file has waited in the queue for {OLDEST_SECONDS // 60} minutes; see the log of the function "
        "that takes them",
        "AWS/SQS|ApproximateAgeOfOldestMessage",
        ("QueueName", f"${{{queue}.QueueName}}"),
        told,
        statistic="Maximum",
        threshold=OLDEST_SECONDS,
    )


def _dead_letters(queue: str, name: str, *told: Pipeline) -> Alarm:
    return _alarm(
        f"{queue}Alarm",
        f"{name}: an event could not start a run; its file waits in the dead-letter queue, send it again: "
        f"asl redrive {told[0].name} --dead-letters",
        "AWS/SQS|ApproximateNumberOfMessagesVisible",
        ("QueueName", f"${{{queue}.QueueName}}"),
        told,
        statistic="Maximum",
    )


def _errors(function: str, what: str, told: Sequence[Pipeline]) -> Alarm:
    return _alarm(
        f"{function}FaultsAlarm",
        f"{what} has failed for 15 minutes; see its log",
        "AWS/Lambda|Errors",
        ("FunctionName", f"${{{function}}}"),
        told,
        periods=3,
    )


def _alarm(
    identifier: str,
    what: str,
    metric: str,
    dimension: tuple[str, str],
    told: Sequence[Pipeline],
    *,
    periods: int = 1,
    statistic: str = "Sum",
    threshold: int = 0,
) -> Alarm:
    namespace, _, measured = metric.partition("|")
    return Alarm(
        id=identifier,
        description=what,
        namespace=namespace,
        metric=measured,
        dimensions=dict((dimension,)),
        statistic=statistic,
        threshold=threshold,
        periods=periods,
        topics=tuple(names.topic_id(pipeline.name) for pipeline in told),
        pipeline=" ".join(pipeline.name for pipeline in told)[:256],
    )
