"""A function that is given files which its /tmp cannot hold."""

import ingestion_assets as ia
from tests.pipelines.diamond import schemas, transforms

readings = ia.S3Source(
    name="readings",
    bucket=ia.Bucket("sensors"),
    prefix="readings/",
    format=ia.Json(),
    contract=schemas.Reading,
)
clean = ia.ingestion_asset(
    contract=schemas.CleanReading,
    destination=ia.S3Parquet(ia.Bucket("climate"), "clean/"),
    processor=ia.Processor(kind="auto", threshold_bytes=1024**3, storage_mb=1024),
)(transforms.clean_readings)
pipeline = ia.Pipeline(
    name="climate", sources=(readings,), assets=(clean,), trigger=ia.S3Event(source="readings")
)
