"""Clickstream NDJSON arrives in many small files; batches of one date land as Parquet by event date."""

from datetime import date

from ingestion_assets import (
    Bucket,
    DailyPartitions,
    Json,
    PartitionBy,
    Pipeline,
    Processor,
    S3Batches,
    S3Parquet,
    S3Source,
    ingestion_asset,
)
from ingestion_assets.pipelines.ndjson_to_parquet import transforms
from ingestion_assets.pipelines.ndjson_to_parquet.schemas import ClickstreamEvent, Event

clickstream = S3Source(
    name="clickstream",
    bucket=Bucket("input"),
    prefix="pipeline/input/",
    format=Json(),
    contract=ClickstreamEvent,
    # 2025-01-17-file001.ndjson
    partitions=DailyPartitions(start=date(2025, 1, 1), name="%Y-%m-%d"),
    description="Events of apps and pages, a file every few seconds, named after its date.",
)

events = ingestion_asset(
    contract=Event,
    destination=S3Parquet(
        bucket=Bucket("output"),
        prefix="pipeline/output/",
        partition_by=(
            PartitionBy("year", column="event_date", transform="year"),
            PartitionBy("month", column="event_date", transform="month_of_year"),
            PartitionBy("day", column="event_date", transform="day_of_month"),
        ),
        compression="snappy",
    ),
    processor=Processor(kind="auto"),
    owners=["team:web"],
)(transforms.events)

pipeline = Pipeline(
    name="ndjson_to_parquet",
    sources=(clickstream,),
    assets=(events,),
    trigger=S3Batches(source="clickstream", files=10, manifests="manifests/"),
    owners=("team:web",),
    description="Clickstream events, NDJSON to Parquet, ten files of one date at a time.",
)
