"""An orchestrator's bucket, part of which goes to another queue."""

import ingestion_assets as ia
from tests.pipelines.diamond import schemas, transforms


def declare(name, prefix, trigger):
    readings = ia.S3Source(
        name="readings",
        bucket=ia.Bucket("sensors"),
        prefix=prefix,
        format=ia.Json(),
        contract=schemas.Reading,
    )
    clean = ia.ingestion_asset(
        contract=schemas.CleanReading, destination=ia.S3Parquet(ia.Bucket("climate"), f"{name}/")
    )(transforms.clean_readings)
    return ia.Pipeline(name=name, sources=(readings,), assets=(clean,), trigger=trigger)


pipelines = (
    declare("climate", "readings/", ia.S3Queue(source="readings")),
    declare("weather", "forecasts/", ia.S3Batches(source="readings")),
)
