"""Orders arrive as Parquet under `orders/dt=…/region=…/`; one machine, configured at run time, curates them."""

from ingestion_assets import (
    Bucket,
    Curation,
    Parquet,
    PartitionBy,
    Pipeline,
    Processor,
    S3Event,
    S3Parquet,
    S3Source,
    ingestion_asset,
)
from ingestion_assets.pipelines.parquet_ingestion import transforms
from ingestion_assets.pipelines.parquet_ingestion.schemas import LandedOrder, Order

landed_orders = S3Source(
    name="landed_orders",
    bucket=Bucket("my-landing-zone"),
    prefix="orders/",
    format=Parquet(),
    contract=LandedOrder,
    description="Orders of all shops, one folder a day and region.",
)

orders = ingestion_asset(
    contract=Order,
    destination=S3Parquet(
        bucket=Bucket("my-curated-zone"),
        prefix="orders/",
        partition_by=(PartitionBy("dt"), PartitionBy("region")),
    ),
    processor=Processor(kind="configured", threshold_bytes=64 * 1024 * 1024),
    owners=["team:orders"],
)(transforms.orders)

pipeline = Pipeline(
    name="parquet_ingestion",
    sources=(landed_orders,),
    assets=(orders,),
    # Writers of Parquet put this empty file when a delivery is complete: one run for all files of it.
    trigger=S3Event(source="landed_orders", suffixes=("_SUCCESS",)),
    curation=Curation(
        defaults={
            "processor_type": "auto",
            "dq_rules": {"max_null_pct": 0.05, "mandatory_columns": ["customer_id", "order_id"]},
        }
    ),
    owners=("team:orders",),
    description="Delivered orders, Parquet to a curated zone: validated, transformed, checked, loaded.",
)
