"""Declarations and state machines -> every AWS resource of the deployment.

In: pipelines, each with its machine's definition and its assets' bundles. Out: `Provisioned`: typed
resources in a stable order and the stack's outputs. What pipelines share appears once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asl import monitoring, names, permissions
from asl.emit.budget import Budget
from asl.emit.bundle import ENTRY_POINTS, Bundle
from asl.emit.hive import hive_type
from asl.emit.layer import Pins
from asl.emit.templates.s3 import physical_name
from asl.ir import Machine, Permission
from asl.resources import (
    AlertKey,
    Bucket,
    CatalogColumn,
    CatalogDatabase,
    CatalogTable,
    Crawler,
    DeadLetterQueue,
    EventRule,
    Function,
    GlueJob,
    Layer,
    LogGroup,
    Output,
    Resource,
    Role,
    StateMachine,
    Topic,
    TrackingTable,
)
from aws_runtime.contract import Column
from aws_runtime.plan import AssetPlan
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.pipeline import Pipeline

ALERT_KEY = "AlertKey"


@dataclass(frozen=True)
class CompiledAsset:
    """One asset with what ships for it.

    Args:
        asset: The declaration.
        plan: Its plan.
        bundle: Its zip.
        plan_key: S3 key of the plan that a Glue job reads; None for a function, whose zip holds it.
        script_key: S3 key of the Glue script; None for a function.
        pins: Its function's layer; None for a Glue job.
        modules: `name==version` of what a Glue job installs.
    """

    asset: IngestionAsset
    plan: AssetPlan
    bundle: Bundle
    plan_key: str | None
    script_key: str | None
    pins: Pins | None
    modules: tuple[str, ...]


@dataclass(frozen=True)
class CompiledPipeline:
    """One pipeline, its machine in Amazon States Language, and its assets.

    Args:
        pipeline: The declaration.
        machine: Its state machine.
        definition: The machine's JSON, with `${Name}` placeholders.
        substitutions: Template text by placeholder.
        budget: What the machine needs of AWS's limits, and what it costs.
        permissions: What the machine's states call.
        assets: In the order of the declaration.
    """

    pipeline: Pipeline
    machine: Machine
    definition: Mapping[str, Any]
    substitutions: Mapping[str, str]
    budget: Budget
    permissions: tuple[Permission, ...]
    assets: tuple[CompiledAsset, ...]


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


def database_name(pipeline: Pipeline) -> str:
    """Return the name of the pipeline's Glue database."""
    return pipeline.catalog.database or pipeline.name


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
        yield Layer(_layer_id(engine), engine, found.key)


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


def _layer_id(engine: str) -> str:
    return names.logical_id("Layer", engine)


def _pipeline(each: CompiledPipeline) -> Iterator[Resource]:
    pipeline = each.pipeline
    for item in each.assets:
        yield from _function(each, item) if item.script_key is None else _job(pipeline, item)
        yield _table(pipeline, item)
    yield from _crawler(pipeline)
    yield TrackingTable(names.tracking_id(pipeline.name), pipeline.name)
    yield Topic(names.topic_id(pipeline.name), pipeline.alerts.email, pipeline.name)
    yield from _machine(each)
    yield from _trigger(pipeline)
    functions = [item.asset.name for item in each.assets if item.script_key is None]
    jobs = [item.asset.name for item in each.assets if item.script_key is not None]
    yield from monitoring.alarms(pipeline, functions)
    yield monitoring.dashboard(pipeline, functions, jobs)


def _environment(pipeline: Pipeline, asset: IngestionAsset) -> dict[str, str]:
    destination = asset.destination
    return {
        "DESTINATION": f"s3://${{{names.bucket_id(destination.bucket.name)}}}/{destination.prefix}",
        "QUARANTINE": f"s3://${{{names.bucket_id(pipeline.quarantine.name)}}}/",
    }


def _tags(asset: IngestionAsset) -> dict[str, str]:
    return {"asset": asset.name, **asset.tags}


def _description(asset: IngestionAsset, limit: int = 256) -> str:
    first = (asset.description or asset.name).partition("\n")[0]
    return first if len(first) <= limit else first[: limit - 1] + "…"


def _function(each: CompiledPipeline, item: CompiledAsset) -> Iterator[Resource]:
    pipeline, asset = each.pipeline, item.asset
    key = (pipeline.name, asset.name)
    role, logs = names.logical_id("FunctionRole", *key), names.logical_id("FunctionLogs", *key)
    yield LogGroup(
        logs,
        f"/aws/lambda/${{AWS::StackName}}/{pipeline.name}/{asset.name}",
        pipeline.log_retention_days,
        pipeline.name,
    )
    yield Role(
        role,
        "lambda.amazonaws.com",
        permissions.function(pipeline, asset, logs),
        pipeline.name,
        uses_data_key=True,
        in_vpc=True,
    )
    yield Function(
        id=names.function_id(*key),
        role=role,
        layer=_layer_id(item.plan.engine),
        log_group=logs,
        key=item.bundle.key,
        handler=f"{ENTRY_POINTS['lambda']}.handler",
        memory_mb=asset.processor.memory_mb,
        storage_mb=asset.processor.storage_mb,
        timeout_seconds=asset.processor.timeout_seconds,
        environment={**_environment(pipeline, asset), "POWERTOOLS_SERVICE_NAME": pipeline.name},
        description=_description(asset),
        pipeline=pipeline.name,
        tags=_tags(asset),
    )


def _job(pipeline: Pipeline, item: CompiledAsset) -> Iterator[Resource]:
    asset = item.asset
    key = (pipeline.name, asset.name)
    role = names.logical_id("JobRole", *key)
    script = item.script_key or ""
    places, logs = _environment(pipeline, asset), permissions.job_logs(pipeline, asset)
    for kind in ("output", "error"):
        yield LogGroup(
            names.logical_id(f"Job{kind.title()}Logs", *key),
            f"{logs}/{kind}",
            pipeline.log_retention_days,
            pipeline.name,
        )
    yield Role(
        role,
        "glue.amazonaws.com",
        permissions.job(pipeline, asset, (item.bundle.key, item.plan_key or "", script)),
        pipeline.name,
        uses_data_key=True,
    )
    yield GlueJob(
        id=names.job_id(*key),
        role=role,
        script_key=script,
        arguments={
            "--additional-python-modules": ",".join(item.modules),
            # https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging-enable.html
            "--custom-logGroup-prefix": logs,
            "--destination": places["DESTINATION"],
            "--enable-continuous-cloudwatch-log": "true",
            "--enable-job-insights": "true",
            "--enable-metrics": "true",
            "--enable-observability-metrics": "true",
            "--extra-py-files": f"s3://${{ArtifactsBucket}}/{item.bundle.key}",
            "--job-language": "python",
            "--plan": f"s3://${{ArtifactsBucket}}/{item.plan_key}",
            "--quarantine": places["QUARANTINE"],
        },
        workers=asset.processor.workers,
        timeout_minutes=-(-asset.processor.timeout_seconds // 60),
        concurrent_runs=CONCURRENT_JOB_RUNS,
        description=_description(asset),
        pipeline=pipeline.name,
        tags=_tags(asset),
    )


#: Runs of one job at a time. More executions wait in their retries, which is cheaper than workers.
CONCURRENT_JOB_RUNS = 10


def _table(pipeline: Pipeline, item: CompiledAsset) -> CatalogTable:
    asset, contract = item.asset, item.plan.output.contract
    by_name = {column.name: column for column in contract.columns}

    def column(given: Column) -> CatalogColumn:
        kind = hive_type(given.type, f"{contract.name}.{given.name}", asset.where)
        return CatalogColumn(given.name, kind, given.description[:255])

    keys = tuple(
        CatalogColumn(by.name, column(by_name[by.column]).type if by.transform == "identity" else "string")
        for by in item.plan.output.partition_by
    )
    return CatalogTable(
        id=names.table_id(pipeline.name, asset.name),
        database=names.database_id(database_name(pipeline)),
        name=permissions.table_name(asset),
        location=_environment(pipeline, asset)["DESTINATION"],
        columns=tuple(column(given) for given in contract.columns),
        partition_keys=keys,
        compression=asset.destination.compression,
        description=_description(asset, 2048),
    )


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
