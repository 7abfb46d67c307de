"""A transform without a name to import it by."""

import ingestion_assets as ia
from tests.pipelines.diamond import schemas

readings = ia.S3Source(
    name="readings",
    bucket=ia.Bucket("sensors"),
    prefix="readings/",
    format=ia.Json(),
    contract=schemas.Reading,
)
clean = ia.ingestion_asset(
    contract=schemas.CleanReading, destination=ia.S3Parquet(ia.Bucket("climate"), "clean/"), name="clean"
)(lambda readings: readings)
pipeline = ia.Pipeline(
    name="climate", sources=(readings,), assets=(clean,), trigger=ia.S3Event(source="readings")
)
