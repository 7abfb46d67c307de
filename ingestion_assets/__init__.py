"""What is ingested: the authoring vocabulary and the declared pipelines.

from ingestion_assets import Bucket, Json, Pipeline, S3Event, S3Parquet, S3Source, ingestion_asset
"""

from aws_runtime.warehouses.targets import RedshiftTable, SnowflakeTable
from ingestion_assets.asset import (
    Bucket,
    DailyPartitions,
    IngestionAsset,
    PartitionBy,
    Processor,
    S3Parquet,
    S3Source,
    ingestion_asset,
)
from ingestion_assets.curation import Curation
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.formats import Csv, Json, Parquet
from ingestion_assets.pipeline import (
    Alerts,
    Catalog,
    Pipeline,
    PipelineCompleted,
    S3Batches,
    S3Event,
    S3Queue,
    Tracking,
)

__all__ = [
    "Alerts",
    "Bucket",
    "Catalog",
    "CompileError",
    "Csv",
    "Curation",
    "DailyPartitions",
    "IngestionAsset",
    "Json",
    "Parquet",
    "PartitionBy",
    "Pipeline",
    "PipelineCompleted",
    "Processor",
    "RedshiftTable",
    "S3Batches",
    "S3Event",
    "S3Parquet",
    "S3Queue",
    "S3Source",
    "SnowflakeTable",
    "Tracking",
    "Where",
    "ingestion_asset",
]
