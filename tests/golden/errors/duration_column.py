"""A column that the Data Catalog has no type for."""

import pandera.polars as pa
import polars as pl

import ingestion_assets as ia
from tests.pipelines.diamond import schemas, transforms


class Spell(pa.DataFrameModel):
    """How long it was warm."""

    lasted: pl.Duration


readings = ia.S3Source(
    name="readings",
    bucket=ia.Bucket("sensors"),
    prefix="readings/",
    format=ia.Json(),
    contract=schemas.Reading,
)
clean = ia.ingestion_asset(
    contract=Spell, destination=ia.S3Parquet(ia.Bucket("climate"), "clean/"), name="spells"
)(transforms.clean_readings)
pipeline = ia.Pipeline(
    name="climate", sources=(readings,), assets=(clean,), trigger=ia.S3Event(source="readings")
)
