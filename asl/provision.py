"""Declarations and state machines -> every AWS resource of the deployment.

In: pipelines, each with its machine's definition and its assets' bundles. Out: `Provisioned`: typed
resources in a stable order and the stack's outputs. What pipelines share appears once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asl import monitoring, names, permissions
from asl.asset_resources import database_name, function, job, layer_id, table
from asl.compiled import CompiledPipeline
from asl.emit.templates.s3 import physical_name
from asl.ir import Permission
from asl.resources import (
    AlertKey,
    Bucket,
    CatalogDatabase,
    Crawler,
    DeadLetterQueue,
    EventRule,
    Layer,
    LogGroup,
    Output,
    Resource,
    Role,
    StateMachine,
    Topic,
    TrackingTable,
)
from ingestion_assets.pipeline import Pipeline

ALERT_KEY = "AlertKey"


@dataclass(frozen=True)
class Provisioned:
    """What the template holds."""

    resources: tuple[Resource, ...]
    outputs: tuple[Output, ...]


def provision(compiled: Sequence[CompiledPipeline]) -> Provisioned:
    """Return every resource, shared ones first, then pipeline by pipeline."""
    resources: list[Resource] = [*_shared(compiled)]
    for each in compiled:
        resources += _pipeline(each)
    return Provisioned(tuple(resources), tuple(_outputs(compiled)))


def _shared(compiled: Sequence[CompiledPipeline]) -> Iterator[Resource]:
    triggers = {_trigger_bucket(each.pipeline) for each in compiled}
    for name in sorted(_buckets(compiled)):
        yield Bucket(names.bucket_id(name), name, events=name in triggers)
    yield AlertKey(ALERT_KEY)
    databases: dict[str, list[str]] = {}
    for each in compiled:
        databases.setdefault(database_name(each.pipeline), []).append(each.pipeline.name)
    for name, users in sorted(databases.items()):
        yield CatalogDatabase(names.database_id(name), name, f"Tables of {', '.join(users)}")
    pins = {item.pins.engine: item.pins for each in compiled for item in each.assets if item.pins}
    for engine, found in sorted(pins.items()):
        yield Layer(layer_id(engine), engine, found.key)


def _buckets(compiled: Iterable[CompiledPipeline]) -> set[str]:
    found = set()
    for each in compiled:
        pipeline = each.pipeline
        found |= {source.bucket.name for source in pipeline.sources}
        found |= {asset.destination.bucket.name for asset in pipeline.assets}
        found.add(pipeline.quarantine.name)
    return found


def _trigger_bucket(pipeline: Pipeline) -> str:
    return next(s.bucket.name for s in pipeline.sources if s.name == pipeline.trigger.source)


def _pipeline(each: CompiledPipeline) -> Iterator[Resource]:
    pipeline = each.pipeline
    for item in each.assets:
        yield from function(pipeline, item) if item.script_key is None else job(pipeline, item)
        yield table(pipeline, item)
    yield from _crawler(pipeline)
    yield TrackingTable(names.tracking_id(pipeline.name), pipeline.name)
    yield Topic(names.topic_id(pipeline.name), pipeline.alerts.email, pipeline.name)
    yield from _machine(each)
    yield from _trigger(pipeline)
    functions = [item.asset.name for item in each.assets if item.script_key is None]
    jobs = [item.asset.name for item in each.assets if item.script_key is not None]
    yield from monitoring.alarms(pipeline, functions)
    yield monitoring.dashboard(pipeline, functions, jobs)


def _crawler(pipeline: Pipeline) -> Iterator[Resource]:
    if pipeline.catalog.crawler is None:
        return
    role, database = names.logical_id("CrawlerRole", pipeline.name), database_name(pipeline)
    yield Role(
        role,
        "glue.amazonaws.com",
        permissions.crawler(pipeline, database),
        pipeline.name,
        uses_data_key=True,
    )
    yield Crawler(
        id=names.crawler_id(pipeline.name),
        name=pipeline.catalog.crawler,
        role=role,
        database=names.database_id(database),
        tables=tuple(names.table_id(pipeline.name, asset.name) for asset in pipeline.assets),
        pipeline=pipeline.name,
    )


def _machine(each: CompiledPipeline) -> Iterator[Resource]:
    pipeline = each.pipeline
    role = names.logical_id("StateMachineRole", pipeline.name)
    logs = names.logical_id("StateMachineLogs", pipeline.name)
    # The prefix keeps each group out of the resource policy of log delivery, whose size is limited.
    # https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
    yield LogGroup(
        logs,
        f"/aws/vendedlogs/states/${{AWS::StackName}}/{pipeline.name}",
        pipeline.log_retention_days,
        pipeline.name,
    )
    yield Role(
        role,
        "states.amazonaws.com",
        (*each.permissions, permissions.TRACES, permissions.SAMPLING, permissions.LOG_DELIVERY),
        pipeline.name,
        uses_data_key=True,
        uses_topic_key=True,
    )
    yield StateMachine(
        id=names.machine_id(pipeline.name),
        role=role,
        log_group=logs,
        definition=each.definition,
        substitutions=each.substitutions,
        pipeline=pipeline.name,
    )


def _trigger(pipeline: Pipeline) -> Iterator[Resource]:
    source = next(s for s in pipeline.sources if s.name == pipeline.trigger.source)
    machine = names.machine_id(pipeline.name)
    rule, role = names.logical_id("Rule", pipeline.name), names.logical_id("RuleRole", pipeline.name)
    queue = dead_letters_id(pipeline.name)
    yield DeadLetterQueue(queue, rule, pipeline.name)
    start = Permission(("states:StartExecution",), (f"${{{machine}}}",))
    yield Role(role, "events.amazonaws.com", (start,), pipeline.name)
    yield EventRule(
        id=rule,
        bucket=physical_name(source.bucket.name),
        keys=key_matchers(source.prefix, pipeline.trigger.suffixes),
        machine=machine,
        role=role,
        dead_letters=queue,
        pipeline=pipeline.name,
    )


def dead_letters_id(pipeline: str) -> str:
    """Return the logical id of the queue of events that could not start an execution."""
    return names.logical_id("DeadLetters", pipeline)


def key_matchers(prefix: str, suffixes: tuple[str, ...]) -> tuple[Mapping[str, Any], ...]:
    """Return EventBridge matchers of keys below `prefix` that end in one of `suffixes`, if any.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    if not suffixes:
        return ({"prefix": prefix},)
    return tuple({"wildcard": f"{_literal(prefix)}*{_literal(suffix)}"} for suffix in sorted(set(suffixes)))


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*")


def _outputs(compiled: Sequence[CompiledPipeline]) -> Iterator[Output]:
    for name in sorted(_buckets(compiled)):
        yield Output(names.bucket_id(name), f"${{{names.bucket_id(name)}}}", f"The {name} bucket")
    for each in compiled:
        name = each.pipeline.name
        for identifier, what in (
            (names.machine_id(name), "state machine, by ARN"),
            (names.tracking_id(name), "tracking table"),
            (names.topic_id(name), "alert topic, by ARN"),
            (dead_letters_id(name), "queue of events that could not start an execution, by URL"),
        ):
            yield Output(identifier, f"${{{identifier}}}", f"{name}: {what}")
