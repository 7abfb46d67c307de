"""Declarations -> asset specs: keys, schemas, versions and everything else known before a run.

In: a pipeline. Out: an external spec for each source and a spec for each asset, so that lineage
starts where data arrives. Nothing is read but the transforms' own source text.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from aws_runtime.contract import Contract
from aws_runtime.plan import AssetPlan
from ingestion_assets.asset import DailyPartitions, IngestionAsset, S3Source
from ingestion_assets.contract import lower_contract
from ingestion_assets.days import check_days, declared_day
from ingestion_assets.engines import AS_SQL, choose_engine, runtimes
from ingestion_assets.errors import Where
from ingestion_assets.pipeline import Pipeline, PipelineCompleted, S3Batches, S3Event, S3Queue, Trigger

#: Partition keys are dates whatever the folders look like.
KEY_FORMAT = "%Y-%m-%d"
#: What runs each kind of processor: Dagster's icon, and its name for people.
_RUNNERS = {
    "lambda": ("lambda", "Lambda"),
    "glue_pyspark": ("glue", "Glue"),
    "glue_sql": ("glue", "Glue, as SQL"),
}


def source_key(pipeline: Pipeline, source: S3Source) -> dg.AssetKey:
    """`orders_etl/raw/orders`; what another pipeline published has the key that it has there."""
    trigger = pipeline.trigger
    if isinstance(trigger, PipelineCompleted) and source.name == trigger.source:
        return dg.AssetKey([trigger.pipeline, trigger.upstream])
    return dg.AssetKey([pipeline.name, "raw", source.name])


def asset_key(pipeline: Pipeline, asset: IngestionAsset) -> dg.AssetKey:
    """`orders_etl/order_lines`."""
    return dg.AssetKey([pipeline.name, asset.name])


def node_keys(pipeline: Pipeline) -> dict[str, dg.AssetKey]:
    """Return the key of each source and asset by its name."""
    keys = {source.name: source_key(pipeline, source) for source in pipeline.sources}
    return keys | {asset.name: asset_key(pipeline, asset) for asset in pipeline.assets}


def trigger_source(pipeline: Pipeline) -> S3Source:
    """Return the source whose files start executions."""
    return next(source for source in pipeline.sources if source.name == pipeline.trigger.source)


def partitions_of(partitions: DailyPartitions | None) -> dg.DailyPartitionsDefinition | None:
    """Return one partition a day from the first until today, which has begun but not ended."""
    if partitions is None:
        return None
    return dg.DailyPartitionsDefinition(start_date=partitions.start.isoformat(), end_offset=1)


def day_of(partitions: DailyPartitions, prefix: str, key: str, landed: datetime) -> date:
    """Return the day that a file belongs to: its folder's or its name's, or else the day it landed.

    Every file has one, so that no file is forgotten: one whose folder or name tells no day, or a day
    before the first or after today, belongs to the day it landed (UTC).
    """
    day = declared_day(partitions, key.removeprefix(prefix))
    if day is not None and partitions.start <= day <= datetime.now(UTC).date():
        return day
    return max(landed.astimezone(UTC).date(), partitions.start)


def table_schema(contract: Contract) -> dg.TableSchema:
    """Show a contract's columns and rules as Dagster's column schema."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type=str(column.type),
            description=column.description or None,
            constraints=dg.TableColumnConstraints(
                nullable=column.nullable,
                unique=column.unique,
                other=[
                    f"{rule.check}({', '.join(f'{key}={value!r}' for key, value in rule.args.items())})"
                    for rule in column.rules
                ],
            ),
        )
        for column in contract.columns
    ]
    together = [f"unique({', '.join(columns)})" for columns in contract.unique]
    return dg.TableSchema(columns, constraints=dg.TableConstraints(other=together) if together else None)


def code_version(
    plan: AssetPlan, transform: Callable[..., Any], defaults: Mapping[str, Any] | None = None
) -> str:
    """Hash what decides the rows: the transform's module without comments, and the lowered plan.

    Args:
        plan: The lowered plan.
        transform: The asset's.
        defaults: Of a curated asset, the configuration that a run goes on from.
    """
    module = inspect.getmodule(transform)
    text = ast.unparse(ast.parse(inspect.getsource(module if module is not None else transform)))
    lowered = json.dumps(plan.to_json(), sort_keys=True)
    configured = json.dumps(dict(defaults), sort_keys=True) if defaults else ""
    return hashlib.sha256(f"{text}\n{lowered}{configured}".encode()).hexdigest()[:16]


def source_spec(pipeline: Pipeline, source: S3Source) -> dg.AssetSpec:
    """Describe a source as an external asset: Dagster shows it and never materializes it.

    Raises:
        CompileError: What its days or its contract get wrong.
    """
    check_days(source, replace(source.where, pipeline=pipeline.name, asset=source.name))
    return dg.AssetSpec(
        key=source_key(pipeline, source),
        description=source.description or None,
        group_name=pipeline.name,
        kinds={"s3", source.format.name},
        owners=list(source.owners or pipeline.owners),
        tags={"pipeline": pipeline.name, "layer": "raw"},
        metadata={
            "dagster/column_schema": table_schema(lower_contract(source.contract, source.where)),
            "dagster/uri": f"s3://{source.bucket.name}/{source.prefix}",
            "dagster/code_references": _code_references(source.contract),
        },
        partitions_def=partitions_of(source.partitions),
    )


def asset_spec(pipeline: Pipeline, asset: IngestionAsset, plan: AssetPlan) -> dg.AssetSpec:
    """Describe an asset with all that is known before it is materialized."""
    source = trigger_source(pipeline)
    keys = node_keys(pipeline)
    to = asset.destination
    table = f"{pipeline.catalog.database or pipeline.name}.{to.table or asset.name}"
    layout = "/".join(f"{by.name}=…" for by in to.partition_by)
    return dg.AssetSpec(
        key=asset_key(pipeline, asset),
        deps=[keys[name] for name in dict.fromkeys(asset.inputs.values())],
        description=asset.description or None,
        group_name=pipeline.name,
        kinds={plan.engine, "parquet", *(_RUNNERS[given.processor.kind][0] for given in runtimes(asset))},
        owners=list(asset.owners or pipeline.owners),
        tags={"pipeline": pipeline.name, "layer": "staging", **asset.tags},
        code_version=code_version(
            plan, asset.transform, pipeline.curation.defaults if pipeline.curation else None
        ),
        metadata={
            "dagster/column_schema": table_schema(plan.output.contract),
            "dagster/table_name": table,
            "dagster/uri": f"s3://{to.bucket.name}/{to.prefix}{layout}",
            "dagster/code_references": _code_references(asset.transform, asset.contract),
            "processor": processor_text(pipeline, asset, plan),
            "trigger": trigger_text(pipeline.trigger, curated=pipeline.curation is not None),
        },
        partitions_def=partitions_of(source.partitions),
        automation_condition=dg.AutomationCondition.eager(),
        freshness_policy=_freshness(source),
    )


def processor_text(pipeline: Pipeline, asset: IngestionAsset, plan: AssetPlan) -> str:
    """Say what runs an asset on AWS: `Lambda (duckdb) up to 256 MiB, Glue (spark) beyond`."""
    formats = {given.format.name for given in plan.inputs}
    foldered = pipeline.curation is not None
    variants = []
    for given in runtimes(asset):
        # Not by its plan: generating SQL takes a second.
        sql = bool(plan.sql) or given.processor.kind in AS_SQL
        engine = choose_engine(given, formats, folder_columns=foldered, sql=sql)
        variants.append(f"{_RUNNERS[given.processor.kind][1]} ({engine})")
    if len(variants) == 1:
        return variants[0]
    if asset.processor.kind == "configured":
        return f"{', '.join(variants[:-1])} or {variants[-1]}, as a run's configuration says"
    small, large = variants
    return f"{small} up to {asset.processor.threshold_bytes / 2**20:,.4g} MiB, {large} beyond"


def trigger_text(trigger: Trigger, *, curated: bool = False) -> str:
    """Say what starts an execution on AWS: `S3Batches: 10 files of one date, or after 900 s`."""
    match trigger:
        case S3Event(suffixes=suffixes) if curated and suffixes:
            return f"S3Event: each {' or '.join(suffixes)} starts a run over all files below its folder"
        case S3Event():
            return "S3Event: each file, through EventBridge"
        case S3Queue():
            return "S3Queue: each file, through SQS and the bucket's orchestrator"
        case S3Batches(files=files, max_bytes=most, max_wait_seconds=wait):
            size = f" or {most / 2**20:,.4g} MiB" if most is not None else ""
            return f"S3Batches: {files} files{size} of one date, or after {wait} s"
        case PipelineCompleted(pipeline=upstream):
            return f"PipelineCompleted: each completed run of {upstream}, through EventBridge"


def _freshness(source: S3Source) -> dg.FreshnessPolicy | None:
    """A source with a folder a day is late when a day and some hours brought nothing."""
    if source.partitions is None:
        return None
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=26))


def _place(item: Any) -> Where:
    """Return where a transform or a contract is written; one of a `defs.yaml` says so itself."""
    declared = getattr(item, "declared_at", None)
    return declared or Where(inspect.getfile(item), inspect.getsourcelines(item)[1])


def _code_references(*objects: Any) -> dg.CodeReferencesMetadataValue:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # said at every load, and ours to heed
        references: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
            dg.LocalFileCodeReference(
                file_path=str(Path(place.file).resolve()),
                line_number=place.line,
                label=item.__name__,
            )
            for item in objects
            for place in (_place(item),)
        ]
        return dg.CodeReferencesMetadataValue(code_references=references)
