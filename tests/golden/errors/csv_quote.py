"""A quote that is the delimiter."""

import ingestion_assets as ia
from tests.pipelines.diamond import schemas, transforms

readings = ia.S3Source(
    name="readings",
    bucket=ia.Bucket("sensors"),
    prefix="readings/",
    format=ia.Csv(delimiter=";", quote=";"),
    contract=schemas.Reading,
)
clean = ia.ingestion_asset(
    contract=schemas.CleanReading, destination=ia.S3Parquet(ia.Bucket("climate"), "clean/")
)(transforms.clean_readings)
pipeline = ia.Pipeline(
    name="climate", sources=(readings,), assets=(clean,), trigger=ia.S3Event(source="readings")
)
