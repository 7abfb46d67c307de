"""Triggers -> the resources between S3 and the state machines: queues, functions, tables, schedules.

In: a pipeline, or a bucket and the pipelines that share its orchestrator. Out: typed resources.
docs/ingress.md says what each is for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from asl import front_door_permissions as permissions
from asl import names
from asl.emit.bundle import handler_bundle
from asl.emit.layer import Pins, pins
from asl.emit.templates.s3 import physical_name
from asl.ir import Permission
from asl.resources import (
    DeadLetterQueue,
    Function,
    LogGroup,
    Notification,
    Queue,
    QueueConsumer,
    Resource,
    Role,
    Schedule,
    Table,
)
from asl.triggers import by_rule, orchestrated, runs_table_id, source_of, trigger_name
from ingestion_assets.pipeline import Pipeline, S3Batches, S3Queue

LAYER = "front_door"
#: What the functions import beside boto3, which Lambda has.
REQUIREMENTS = ("aws-lambda-powertools",)
MEMORY_MB, STORAGE_MB = 512, 512
#: No pipeline is called so: an asset may be called as a function of the front door is.
LOGS = "/aws/lambda/${AWS::StackName}/front-door"
HANDLER_SECONDS, SWEEPER_SECONDS = 60, 240
SWEEP_MINUTES = 5
#: A function that is throttled must not see its messages again before it is done.
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMEOUTS = 6
#: Builders of one date meet at its open batch; five make some hundred files a second.
ORCHESTRATORS, BUILDERS = 10, 5
#: Messages that a builder gets together share its calls; an orchestrator's files wait for nothing.
BUILDER_WINDOW_SECONDS = 5

FILE_KEY = (("file_id", "S"),)
STATUS_KEY = (("file_id", "S"), ("version", "S"))
BATCH_KEY = (("date", "S"), ("batch", "N"))
ROUTE_KEY = (("prefix", "S"),)


def layer_pins(pipelines: Sequence[Pipeline]) -> Pins:
    """Return the distributions of the front door's layer."""
    return pins(LAYER, REQUIREMENTS, pipelines[0].where)


def handlers(pipelines: Sequence[Pipeline]) -> tuple[str, ...]:
    """Return the modules of `aws_runtime.handlers` that the pipelines' triggers need."""
    triggers = {type(pipeline.trigger) for pipeline in pipelines}
    return (
        *(("build_manifests",) if S3Batches in triggers else ()),
        *(("orchestrate",) if S3Queue in triggers else ()),
        "sweep",
    )


def notifications(bucket: str, pipelines: Sequence[Pipeline]) -> tuple[Notification, ...]:
    """Return which queues a bucket tells of which keys."""
    found = []
    if bucket in orchestrated(pipelines):
        # All keys: routes that are added by hand may lead any prefix anywhere.
        found.append(Notification(names.bucket_arrivals_id(bucket)))
    for pipeline in pipelines:
        source = source_of(pipeline)
        if isinstance(pipeline.trigger, S3Batches) and source.bucket.name == bucket:
            # Two filters of one prefix may not overlap; the builder looks at several suffixes itself.
            (suffix,) = pipeline.trigger.suffixes if len(pipeline.trigger.suffixes) == 1 else ("",)
            found.append(Notification(names.arrivals_id(pipeline.name), source.prefix, suffix))
    return tuple(found)


def of_bucket(bucket: str, pipelines: Sequence[Pipeline]) -> Iterator[Resource]:
    """Yield what the `S3Queue` pipelines of one bucket share."""
    owners = " ".join(pipeline.name for pipeline in pipelines)[:256]
    retention = max(pipeline.tracking.retention_days for pipeline in pipelines)
    queue, dead = names.bucket_arrivals_id(bucket), names.bucket_dead_letters_id(bucket)
    metadata, status = names.metadata_id(bucket), names.status_id(bucket)
    yield from _queue(queue, dead, bucket, 0, owners)
    place = f"${{AWS::StackName}}-{bucket}-workflow"
    yield Table(metadata, ROUTE_KEY, owners, name=f"{place}_metadata", expires=False)
    yield Table(status, STATUS_KEY, owners, name=f"{place}_status", live=True)
    function = names.orchestrator_id(bucket)
    yield from _function(
        function,
        "orchestrate",
        owners,
        log_group=f"{LOGS}/{bucket}/orchestrator",
        allowed=permissions.orchestrator(bucket, pipelines),
        environment={
            "METADATA_TABLE": f"${{{metadata}}}",
            "POWERTOOLS_SERVICE_NAME": bucket,
            "RETENTION_DAYS": str(retention),
            "STATUS_TABLE": f"${{{status}}}",
        },
        description=f"Starts a state machine for each file of {bucket}",
        retention_days=max(pipeline.log_retention_days for pipeline in pipelines),
    )
    yield QueueConsumer(f"{function}Feed", queue, function, ORCHESTRATORS, 0, owners)


def of_pipeline(pipeline: Pipeline) -> Iterator[Resource]:
    """Yield a pipeline's own: its tables, its manifest builder, its sweeper."""
    name = pipeline.name
    if by_rule(pipeline):
        yield Table(names.tracking_id(name), FILE_KEY, name, live=True)
    if isinstance(pipeline.trigger, S3Batches):
        yield Table(names.tracking_id(name), FILE_KEY, name)
        yield Table(names.batches_id(name), BATCH_KEY, name, live=True)
        yield from _builder(pipeline)
    function = names.sweeper_id(name)
    yield from _function(
        function,
        "sweep",
        name,
        log_group=f"{LOGS}/{name}/sweeper",
        allowed=permissions.sweeper(pipeline),
        environment=_sweeper_environment(pipeline),
        description=f"Starts what waits too long, and tells what died, in {name}",
        retention_days=pipeline.log_retention_days,
        seconds=SWEEPER_SECONDS,
        uses_topic_key=True,
    )
    yield Schedule(f"{function}Schedule", function, SWEEP_MINUTES, name)


def _builder(pipeline: Pipeline) -> Iterator[Resource]:
    name, function = pipeline.name, names.builder_id(pipeline.name)
    queue = names.arrivals_id(name)
    bucket = source_of(pipeline).bucket.name
    yield from _queue(queue, names.dead_letters_id(name), bucket, BUILDER_WINDOW_SECONDS, name)
    yield from _function(
        function,
        "build_manifests",
        name,
        log_group=f"{LOGS}/{name}/manifest_builder",
        allowed=permissions.builder(pipeline),
        environment=builder_environment(pipeline),
        description=f"Makes batches of the files of {name}",
        retention_days=pipeline.log_retention_days,
    )
    yield QueueConsumer(f"{function}Feed", queue, function, BUILDERS, BUILDER_WINDOW_SECONDS, name)


def builder_environment(pipeline: Pipeline) -> Mapping[str, str]:
    """Return what a manifest builder is told; nothing for pipelines without batches."""
    trigger = pipeline.trigger
    if not isinstance(trigger, S3Batches):
        return {}
    source = source_of(pipeline)
    return {
        "BATCHES_TABLE": f"${{{names.batches_id(pipeline.name)}}}",
        "BATCH_BYTES": "" if trigger.max_bytes is None else str(trigger.max_bytes),
        "BATCH_FILES": str(trigger.files),
        "MANIFESTS": f"s3://${{{names.bucket_id(source.bucket.name)}}}/{trigger.manifests}",
        "MAX_WAIT_SECONDS": str(trigger.max_wait_seconds),
        "PIPELINE": pipeline.name,
        "POWERTOOLS_SERVICE_NAME": pipeline.name,
        "PREFIX": source.prefix,
        "RETENTION_DAYS": str(pipeline.tracking.retention_days),
        "STATE_MACHINE": f"${{{names.machine_id(pipeline.name)}}}",
        "SUFFIXES": json.dumps(sorted(set(trigger.suffixes))),
        "TRACKING_TABLE": f"${{{names.tracking_id(pipeline.name)}}}",
    }


def _sweeper_environment(pipeline: Pipeline) -> Mapping[str, str]:
    return {
        **builder_environment(pipeline),
        "PIPELINE": pipeline.name,
        "POWERTOOLS_SERVICE_NAME": pipeline.name,
        "STATE_MACHINE": f"${{{names.machine_id(pipeline.name)}}}",
        "STATUS_TABLE": f"${{{runs_table_id(pipeline)}}}",
        "TIMEOUT_SECONDS": str(pipeline.timeout_seconds),
        "TOPIC": f"${{{names.topic_id(pipeline.name)}}}",
        "TRIGGER": trigger_name(pipeline),
    }


def _queue(queue: str, dead_letters: str, bucket: str, window: int, owner: str) -> Iterator[Resource]:
    yield DeadLetterQueue(dead_letters, owner)
    visibility = VISIBILITY_TIMEOUTS * HANDLER_SECONDS + window
    yield Queue(queue, dead_letters, physical_name(bucket), visibility, owner)


def _function(
    function: str,
    handler: str,
    owner: str,
    *,
    log_group: str,
    allowed: tuple[Permission, ...],
    environment: Mapping[str, str],
    description: str,
    retention_days: int,
    seconds: int = HANDLER_SECONDS,
    uses_topic_key: bool = False,
) -> Iterator[Resource]:
    role, logs = f"{function}Role", f"{function}Logs"
    yield LogGroup(logs, log_group, retention_days, owner)
    yield Role(
        role,
        "lambda.amazonaws.com",
        (*allowed, *permissions.logs(logs)),
        owner,
        uses_data_key=True,
        uses_topic_key=uses_topic_key,
    )
    yield Function(
        id=function,
        role=role,
        layer=names.layer_id(LAYER),
        log_group=logs,
        key=handler_bundle(handler).key,
        handler=f"aws_runtime.handlers.{handler}.handler",
        memory_mb=MEMORY_MB,
        storage_mb=STORAGE_MB,
        timeout_seconds=seconds,
        environment=environment,
        description=description,
        pipeline=owner,
        in_vpc=False,
    )
