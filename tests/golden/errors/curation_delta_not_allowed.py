"""A default that asks for a Delta table, which the declaration does not allow."""

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
    destination=ia.S3Parquet(ia.Bucket("climate"), "clean/"),
    processor=ia.Processor(kind="configured"),
)(transforms.clean_readings)
pipeline = ia.Pipeline(
    name="climate",
    sources=(readings,),
    assets=(clean,),
    trigger=ia.S3Event(source="readings"),
    curation=ia.Curation(defaults={"table_format": "delta"}),
)
