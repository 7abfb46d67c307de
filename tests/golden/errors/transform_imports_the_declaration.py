"""A transform in the file that declares it."""

import ingestion_assets as ia
from tests.pipelines.diamond import schemas


def copied(readings):
    """Readings as they are."""
    return readings


readings = ia.S3Source(
    name="readings",
    bucket=ia.Bucket("sensors"),
    prefix="readings/",
    format=ia.Json(),
    contract=schemas.Reading,
)
clean = ia.ingestion_asset(
    contract=schemas.CleanReading, destination=ia.S3Parquet(ia.Bucket("climate"), "clean/")
)(copied)
pipeline = ia.Pipeline(
    name="climate", sources=(readings,), assets=(clean,), trigger=ia.S3Event(source="readings")
)
