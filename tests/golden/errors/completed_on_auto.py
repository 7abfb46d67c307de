"""A processor by bytes, which the event of a completed run does not tell."""

import ingestion_assets as ia
from tests.pipelines.diamond import schemas, transforms

published = ia.S3Source(
    name="clean_readings",
    bucket=ia.Bucket("lake"),
    prefix="clean_readings/",
    format=ia.Parquet(),
    contract=schemas.CleanReading,
)
highest = ia.ingestion_asset(
    contract=schemas.Highest,
    destination=ia.S3Parquet(ia.Bucket("lake"), "highest/"),
    processor=ia.Processor(kind="auto"),
)(transforms.highest)
second = ia.Pipeline(
    name="extremes",
    sources=(published,),
    assets=(highest,),
    trigger=ia.PipelineCompleted("climate", "clean_readings"),
)
pipelines = (second,)
