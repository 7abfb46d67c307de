"""What the role of one function, job, machine or crawler may do, on exact ARNs.

In: a pipeline and its asset. Out: `Permission`s. Which S3 calls a materialization makes, and why,
is the table at the end of docs/guarantees.md.
"""

from __future__ import annotations

from asl import names
from asl.ir import Permission
from ingestion_assets.asset import IngestionAsset, S3Source
from ingestion_assets.pipeline import Pipeline, PipelineCompleted, S3Batches

READ = ("s3:GetObject", "s3:GetObjectVersion")
WRITE = ("s3:PutObject", "s3:AbortMultipartUpload")

#: https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
TRACES = Permission(
    ("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
    ("*",),
    reason="X-Ray has no resource for a trace that is being written",
)
#: https://docs.aws.amazon.com/step-functions/latest/dg/xray-iam.html
SAMPLING = Permission(
    ("xray:GetSamplingRules", "xray:GetSamplingTargets"),
    ("*",),
    reason="X-Ray's sampling rules are read as a whole",
)
#: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
LOG_DELIVERY = Permission(
    (
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
    ),
    ("*",),
    reason="CloudWatch's log delivery API supports no resource types",
)


def arn(service: str, rest: str) -> str:
    """Return the ARN template of a resource of this account and region."""
    return f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}"


def objects(bucket: str, prefix: str) -> str:
    """Return the ARN template of the objects of a logical bucket below a key prefix."""
    return f"${{{names.bucket_id(bucket)}.Arn}}/{prefix}*"


def data(pipeline: Pipeline, asset: IngestionAsset) -> tuple[Permission, ...]:
    """Return what materializing `asset` does to S3."""
    if pipeline.curation:
        return _configured(pipeline, asset)
    destination, quarantine = asset.destination, pipeline.quarantine.name
    runs = f"_runs/{pipeline.name}/"
    written = (
        objects(destination.bucket.name, destination.prefix),
        objects(quarantine, f"rows/{pipeline.name}/{asset.name}/"),
    )
    records = objects(destination.bucket.name, f"{runs}{asset.name}/")
    listed = {destination.bucket.name}
    read: list[str] = []
    nodes: tuple[S3Source | IngestionAsset, ...] = (*pipeline.sources, *pipeline.assets)
    upstream = {node.name: node for node in nodes}
    for name in asset.inputs.values():
        node = upstream[name]
        if isinstance(node, S3Source):
            read.append(objects(node.bucket.name, node.prefix))
            if isinstance(pipeline.trigger, S3Batches):
                read.append(objects(node.bucket.name, pipeline.trigger.manifests))
            if isinstance(pipeline.trigger, PipelineCompleted):  # the manifests of what was published
                read.append(objects(node.bucket.name, f"_runs/{pipeline.trigger.pipeline}/"))
            listed.add(node.bucket.name)
        else:
            bucket = node.destination.bucket.name
            read += [objects(bucket, node.destination.prefix), objects(bucket, f"{runs}{node.name}/")]
            listed.add(bucket)
    return (
        Permission(READ, tuple(read)),
        Permission((*WRITE, "s3:DeleteObject"), written),
        Permission(("s3:GetObject", "s3:PutObject"), (records,)),
        Permission(WRITE, (objects(quarantine, f"rejected/{pipeline.name}/"),)),
        # Without it, S3 answers 403 instead of 404 for an object that is gone.
        Permission(("s3:ListBucket",), tuple(f"${{{names.bucket_id(name)}.Arn}}" for name in sorted(listed))),
    )


def _configured(pipeline: Pipeline, asset: IngestionAsset) -> tuple[Permission, ...]:
    """Return what the transform of a curated pipeline does to S3: it reads and writes the run's staging."""
    bucket, quarantine = asset.destination.bucket.name, pipeline.quarantine.name
    staging, runs = objects(bucket, f"_staging/{pipeline.name}/"), objects(bucket, f"_runs/{pipeline.name}/")
    rows = objects(quarantine, f"rows/{pipeline.name}/{asset.name}/")
    return (
        # Of the curated files, those that a run's rows are merged into.
        Permission(READ, (staging, runs, objects(bucket, asset.destination.prefix))),
        Permission((*WRITE, "s3:DeleteObject"), (staging, rows)),
        Permission(("s3:PutObject",), (runs,)),
        Permission(WRITE, (objects(quarantine, f"rejected/{pipeline.name}/"),)),
        Permission(("s3:ListBucket",), (f"${{{names.bucket_id(bucket)}.Arn}}",)),
    )


def function(pipeline: Pipeline, asset: IngestionAsset, log_group: str) -> tuple[Permission, ...]:
    """Return what the asset's Lambda function may do."""
    logs = Permission(("logs:CreateLogStream", "logs:PutLogEvents"), (f"${{{log_group}.Arn}}",))
    return (*data(pipeline, asset), logs, TRACES)


def job(
    pipeline: Pipeline, asset: IngestionAsset, artifacts: tuple[str, ...], logs: str
) -> tuple[Permission, ...]:
    """Return what the asset's Glue job may do.

    Args:
        pipeline: The asset's.
        asset: The asset.
        artifacts: Keys in the artifacts bucket.
        logs: Prefix of the job's log groups.
    """
    bucket, prefix = asset.destination.bucket.name, asset.destination.prefix
    quarantine = f"rows/{pipeline.name}/{asset.name}/"
    prefix = f"_staging/{pipeline.name}/" if pipeline.curation else prefix
    written = (objects(bucket, prefix), objects(pipeline.quarantine.name, quarantine))
    keys = tuple(f"arn:${{AWS::Partition}}:s3:::${{ArtifactsBucket}}/{key}" for key in artifacts)
    return (
        *data(pipeline, asset),
        *_into_delta(pipeline, asset),
        # Spark lists and reads what it wrote to its staging folder before it publishes it.
        Permission(("s3:GetObject",), written),
        Permission(("s3:GetObject",), keys),
        # https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
        Permission(
            ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
            (arn("logs", f"log-group:{logs}/*"),),
        ),
        Permission(
            ("cloudwatch:PutMetricData",),
            ("*",),
            reason="CloudWatch metrics have no resource; Glue names the namespace Glue itself",
        ),
    )


def _into_delta(pipeline: Pipeline, asset: IngestionAsset) -> tuple[Permission, ...]:
    """Return what writing a run into its Delta table does, and telling of it."""
    if pipeline.curation is None or not pipeline.curation.delta:
        return ()
    bucket = asset.destination.bucket.name
    places = (objects(bucket, asset.destination.prefix), objects(bucket, f"_runs/{pipeline.name}/"))
    return (Permission(("s3:GetObject", *WRITE, "s3:DeleteObject"), places),)


def job_logs(pipeline: Pipeline, asset: IngestionAsset, *, sql: bool = False) -> str:
    """Return the prefix of a job's log groups; Glue adds `/output` and `/error`."""
    return f"/aws-glue/jobs/${{AWS::StackName}}/{pipeline.name}/{asset.name}{'-sql' if sql else ''}"


def crawler(pipeline: Pipeline, database: str) -> tuple[Permission, ...]:
    """Return what the pipeline's crawler may do: read the data, and add partitions to its tables."""
    tables = tuple(table_arn(database, table_name(asset)) for asset in pipeline.assets)
    buckets = sorted({asset.destination.bucket.name for asset in pipeline.assets})
    return (
        Permission(
            ("s3:GetObject",),
            tuple(objects(a.destination.bucket.name, a.destination.prefix) for a in pipeline.assets),
        ),
        Permission(("s3:ListBucket",), tuple(f"${{{names.bucket_id(name)}.Arn}}" for name in buckets)),
        Permission(
            (
                "glue:BatchCreatePartition",
                "glue:BatchGetPartition",
                "glue:CreatePartition",
                "glue:GetDatabase",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:GetTable",
                "glue:GetTables",
                "glue:UpdatePartition",
                "glue:UpdateTable",
            ),
            (arn("glue", "catalog"), arn("glue", f"database/{database}"), *tables),
        ),
        Permission(
            ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
            (arn("logs", "log-group:/aws-glue/crawlers*"),),
        ),
    )


def table_name(asset: IngestionAsset) -> str:
    """Return the name of the asset's table in the Data Catalog."""
    return asset.destination.table or asset.name


def table_arn(database: str, table: str) -> str:
    """Return the ARN template of a catalog table."""
    return arn("glue", f"table/{database}/{table}")
