"""Readings arrive under `readings/`; two assets read the clean ones, a fourth joins the two."""

from ingestion_assets import (
    Bucket,
    Json,
    PartitionBy,
    Pipeline,
    S3Event,
    S3Parquet,
    S3Source,
    ingestion_asset,
)
from tests.pipelines.diamond import transforms
from tests.pipelines.diamond.schemas import CleanReading, Highest, Lowest, Reading, Span

BY_DAY = (PartitionBy("dt", column="day", transform="day"),)
LAKE = Bucket("climate")

readings = S3Source(
    name="readings", bucket=Bucket("sensors"), prefix="readings/", format=Json(), contract=Reading
)

clean_readings = ingestion_asset(
    contract=CleanReading, destination=S3Parquet(LAKE, "clean_readings/", partition_by=BY_DAY)
)(transforms.clean_readings)
highest = ingestion_asset(contract=Highest, destination=S3Parquet(LAKE, "highest/"))(transforms.highest)
lowest = ingestion_asset(contract=Lowest, destination=S3Parquet(LAKE, "lowest/"))(transforms.lowest)
spans = ingestion_asset(contract=Span, destination=S3Parquet(LAKE, "spans/", partition_by=BY_DAY))(
    transforms.spans
)

pipeline = Pipeline(
    name="diamond",
    sources=(readings,),
    assets=(spans, lowest, highest, clean_readings),
    trigger=S3Event(source="readings"),
    description="Spans of temperature, by sensor and day.",
)
