"""Merging where a row of a key could lie in two folders."""

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
    destination=ia.S3Parquet(ia.Bucket("climate"), "clean/", (ia.PartitionBy("day"),)),
    processor=ia.Processor(kind="configured"),
)(transforms.clean_readings)
pipeline = ia.Pipeline(
    name="climate",
    sources=(readings,),
    assets=(clean,),
    trigger=ia.S3Event(source="readings"),
    curation=ia.Curation(defaults={"write_mode": "merge", "keys": ["sensor"]}),
)
