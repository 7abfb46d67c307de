"""One compiled asset -> its resources: a function or a Glue job, with role and logs, and its table."""

from __future__ import annotations

from collections.abc import Iterator

from asl import names, permissions
from asl.compiled import ON_GLUE_SQL, CompiledAsset
from asl.emit.bundle import ENTRY_POINTS
from asl.emit.hive import hive_type
from asl.resources import CatalogColumn, CatalogTable, Function, GlueJob, LogGroup, Resource, Role
from aws_runtime.contract import Column
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.pipeline import Pipeline

#: Runs of one job at a time. More executions wait in their retries, which is cheaper than workers.
CONCURRENT_JOB_RUNS = 10

#: Spark's Delta in a job, as AWS says it: each setting after the first brings its own `--conf`.
#: https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-format-delta-lake.html
DELTA = {
    "--conf": (
        "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension "
        "--conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog "
        "--conf spark.delta.logStore.class=org.apache.spark.sql.delta.storage.S3SingleDriverLogStore"
    ),
    "--datalake-formats": "delta",
}


def database_name(pipeline: Pipeline) -> str:
    """Return the name of the pipeline's Glue database."""
    return pipeline.catalog.database or pipeline.name


def _places(pipeline: Pipeline, asset: IngestionAsset) -> dict[str, str]:
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


def function(pipeline: Pipeline, item: CompiledAsset) -> Iterator[Resource]:
    """Yield a Lambda function with its log group and its role."""
    asset = item.asset
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
        id=item.runner,
        role=role,
        layer=names.layer_id(item.pins.engine if item.pins else item.plan.engine),
        log_group=logs,
        key=item.bundle.key,
        handler=f"{ENTRY_POINTS['lambda']}.handler",
        memory_mb=asset.processor.memory_mb,
        storage_mb=asset.processor.storage_mb,
        timeout_seconds=asset.processor.timeout_seconds,
        environment={**_places(pipeline, asset), "POWERTOOLS_SERVICE_NAME": pipeline.name},
        description=_description(asset),
        pipeline=pipeline.name,
        tags=_tags(asset),
    )


def job(pipeline: Pipeline, item: CompiledAsset) -> Iterator[Resource]:
    """Yield a Glue job with its two log groups and its role."""
    asset = item.asset
    key = (pipeline.name, asset.name)
    second = "Sql" if item.suffix == ON_GLUE_SQL else ""
    role = names.logical_id(f"{second}JobRole", *key)
    script = item.script_key or ""
    places, logs = _places(pipeline, asset), permissions.job_logs(pipeline, asset, sql=bool(second))
    for kind in ("output", "error"):
        yield LogGroup(
            names.logical_id(f"{second}Job{kind.title()}Logs", *key),
            f"{logs}/{kind}",
            pipeline.log_retention_days,
            pipeline.name,
        )
    yield Role(
        role,
        "glue.amazonaws.com",
        permissions.job(pipeline, asset, (item.bundle.key, item.plan_key or "", script), logs),
        pipeline.name,
        uses_data_key=True,
    )
    yield GlueJob(
        id=item.runner,
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
            **(DELTA if pipeline.curation and pipeline.curation.delta else {}),
        },
        workers=asset.processor.workers,
        timeout_minutes=-(-asset.processor.timeout_seconds // 60),
        concurrent_runs=CONCURRENT_JOB_RUNS,
        description=_description(asset),
        pipeline=pipeline.name,
        tags=_tags(asset),
    )


def table(pipeline: Pipeline, item: CompiledAsset) -> CatalogTable:
    """Return the asset's table in the Data Catalog, its columns those of its files.

    Raises:
        CompileError: ASL040, when the catalog has no type for a column.
    """
    asset, contract = item.asset, item.plan.output.contract
    by_name = {column.name: column for column in contract.columns}
    folders = {by.name for by in item.plan.output.partition_by}

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
        location=_places(pipeline, asset)["DESTINATION"],
        # A partition key that has a column's name stands for it: its files leave it out.
        columns=tuple(column(given) for given in contract.columns if given.name not in folders),
        partition_keys=keys,
        compression=asset.destination.compression,
        description=_description(asset, 2048),
    )
