"""The clickstream of ndjson_to_parquet, two files a batch, both through one Spark session."""

from dataclasses import replace

from ingestion_assets import Pipeline, Processor, S3Batches
from ingestion_assets.pipelines.ndjson_to_parquet.pipeline import clickstream, events

pipeline = Pipeline(
    name="clickstream",
    sources=(clickstream,),
    # A byte is always exceeded, so `auto` always chooses the job.
    assets=(replace(events, processor=Processor(kind="auto", threshold_bytes=1)),),
    trigger=S3Batches(source="clickstream", files=2),
)
