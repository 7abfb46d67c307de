"""An asset that the pipeline that is followed has not."""

import ingestion_assets as ia
from tests.pipelines.diamond import schemas, transforms

readings = ia.S3Source(
    name="readings",
    bucket=ia.Bucket("sensors"),
    prefix="readings/",
    format=ia.Parquet(),
    contract=schemas.Reading,
)
clean = ia.ingestion_asset(
    contract=schemas.CleanReading,
    destination=ia.S3Parquet(ia.Bucket("lake"), "clean_readings/"),
    processor=ia.Processor(kind="configured"),
)(transforms.clean_readings)
first = ia.Pipeline(
    name="climate",
    sources=(readings,),
    assets=(clean,),
    trigger=ia.S3Event(source="readings"),
    curation=ia.Curation(),
)

published = ia.S3Source(
    name="clean_readings",
    bucket=ia.Bucket("lake"),
    prefix="clean_readings/",
    format=ia.Parquet(),
    contract=schemas.CleanReading,
)
highest = ia.ingestion_asset(
    contract=schemas.Highest, destination=ia.S3Parquet(ia.Bucket("lake"), "highest/")
)(transforms.highest)
second = ia.Pipeline(
    name="extremes",
    sources=(published,),
    assets=(highest,),
    trigger=ia.PipelineCompleted("climate", "clean_readings", asset="readings"),
)
pipelines = (
    first,
    second,
)
