"""Declarations and state machines -> every AWS resource of the deployment.

In: pipelines, each with its machine's definition and its assets' bundles. Out: `Provisioned`: typed
resources in a stable order and the stack's outputs. What pipelines share appears once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asl import dashboards, front_door, monitoring, names, permissions
from asl.asset_resources import database_name, function, job, table
from asl.compiled import CompiledPipeline
from asl.curation_resources import step_functions
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
)
from asl.triggers import by_rule, dead_letters_id, orchestrated, source_of
from ingestion_assets.pipeline import Pipeline, PipelineCompleted, S3Batches, S3Event

ALERT_KEY = "AlertKey"
DEAD_LETTERS = "queue of events that could not start an execution, by URL"


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
    pipelines = [each.pipeline for each in compiled]
    by_event = {source_of(p).bucket.name for p in pipelines if isinstance(p.trigger, S3Event)}
    for name in sorted(_buckets(compiled)):
        told = front_door.notifications(name, pipelines)
        # Nothing below `_staging/` expires: of a run that failed, it is the only copy (docs/curation.md).
        yield Bucket(names.bucket_id(name), name, events=name in by_event, notifications=told)
    for name, sharing in orchestrated(pipelines).items():
        yield from front_door.of_bucket(name, sharing)
        yield from monitoring.bucket_alarms(name, sharing)
    yield AlertKey(ALERT_KEY)
    databases: dict[str, list[str]] = {}
    for each in compiled:
        databases.setdefault(database_name(each.pipeline), []).append(each.pipeline.name)
    for name, users in sorted(databases.items()):
        yield CatalogDatabase(names.database_id(name), name, f"Tables of {', '.join(users)}")
    pins = {found.engine: found for each in compiled for found in each.pins}
    front = front_door.layer_pins(pipelines)
    for engine, found in sorted({**pins, front.engine: front}.items()):
        yield Layer(names.layer_id(engine), engine, found.key)


def _buckets(compiled: Iterable[CompiledPipeline]) -> set[str]:
    found = set()
    for each in compiled:
        pipeline = each.pipeline
        found |= {source.bucket.name for source in pipeline.sources}
        found |= {asset.destination.bucket.name for asset in pipeline.assets}
        found.add(pipeline.quarantine.name)
    return found


def _pipeline(each: CompiledPipeline) -> Iterator[Resource]:
    pipeline = each.pipeline
    for item in each.assets:
        yield from function(pipeline, item) if item.script_key is None else job(pipeline, item)
        if not item.suffix:  # the variants of an asset write one table
            yield table(pipeline, item)
    yield from step_functions(each)
    yield from _crawler(pipeline)
    yield from front_door.of_pipeline(pipeline)
    yield Topic(names.topic_id(pipeline.name), pipeline.alerts.email, pipeline.name)
    yield from _machine(each)
    if by_rule(pipeline):
        yield from _rule(pipeline)
    functions = [item.asset.name for item in each.assets if item.script_key is None]
    jobs = [item.runner for item in each.assets if item.script_key is not None]
    yield from monitoring.alarms(pipeline, functions)
    yield dashboards.dashboard(pipeline, functions, jobs)


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


def _rule(pipeline: Pipeline) -> Iterator[Resource]:
    each, pattern = _matched(pipeline)
    machine = names.machine_id(pipeline.name)
    rule, role = names.logical_id("Rule", pipeline.name), names.logical_id("RuleRole", pipeline.name)
    queue = dead_letters_id(pipeline)
    yield DeadLetterQueue(queue, pipeline.name, rule)
    start = Permission(("states:StartExecution",), (f"${{{machine}}}",))
    yield Role(role, "events.amazonaws.com", (start,), pipeline.name)
    yield EventRule(
        id=rule,
        each=each,
        pattern=pattern,
        machine=machine,
        role=role,
        dead_letters=queue,
        pipeline=pipeline.name,
    )


def _matched(pipeline: Pipeline) -> tuple[str, Mapping[str, Any]]:
    """Return what a pipeline's rule is for, in words and as EventBridge's pattern."""
    trigger, source = pipeline.trigger, source_of(pipeline)
    if isinstance(trigger, PipelineCompleted):
        return f"completed run of {trigger.pipeline}", {
            "source": [f"ingestion.{trigger.pipeline}"],
            "detail-type": ["Ingestion Completed"],
            # Of this stack: another one in the account may have a pipeline of the same name.
            "detail": {"target": [{"prefix": f"s3://{physical_name(source.bucket.name)}/{source.prefix}"}]},
        }
    return "object created", {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": [physical_name(source.bucket.name)]},
            "object": {"key": [*key_matchers(source.prefix, trigger.suffixes)]},
        },
    }


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
    for name in orchestrated(each.pipeline for each in compiled):
        for identifier, what in (
            (names.metadata_id(name), "table of routes from prefixes to state machines"),
            (names.status_id(name), "table of files"),
            (names.bucket_arrivals_id(name), "queue of new files, by URL"),
            (names.bucket_dead_letters_id(name), DEAD_LETTERS),
        ):
            yield Output(identifier, f"${{{identifier}}}", f"The {name} bucket: {what}")
    for each in compiled:
        name = each.pipeline.name
        for identifier, what in _told(each.pipeline):
            yield Output(identifier, f"${{{identifier}}}", f"{name}: {what}")


def _told(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    name = pipeline.name
    yield names.machine_id(name), "state machine, by ARN"
    yield names.topic_id(name), "alert topic, by ARN"
    yield names.sweeper_id(name), "sweeper, by name"
    if isinstance(pipeline.trigger, S3Batches):
        yield names.batches_id(name), "table of batches"
        yield names.arrivals_id(name), "queue of new files, by URL"
    if by_rule(pipeline) or isinstance(pipeline.trigger, S3Batches):
        yield names.tracking_id(name), "tracking table"
        yield dead_letters_id(pipeline), DEAD_LETTERS
