"""A partition by the day of a number."""

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
    destination=ia.S3Parquet(
        ia.Bucket("climate"), "clean/", (ia.PartitionBy("dt", column="celsius", transform="day"),)
    ),
)(transforms.clean_readings)
pipeline = ia.Pipeline(
    name="climate", sources=(readings,), assets=(clean,), trigger=ia.S3Event(source="readings")
)
