"""Orders arrive as Parquet; the transform is that of parquet_ingestion, and the table may be a Delta table."""

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
    bucket=Bucket("table-landing"),
    prefix="orders/",
    format=Parquet(),
    contract=LandedOrder,
)

orders = ingestion_asset(
    contract=Order,
    destination=S3Parquet(
        bucket=Bucket("table-lake"), prefix="orders/", partition_by=(PartitionBy("dt"), PartitionBy("region"))
    ),
    processor=Processor(kind="configured"),
    owners=["team:orders"],
)(transforms.orders)

pipeline = Pipeline(
    name="order_table",
    sources=(landed_orders,),
    assets=(orders,),
    trigger=S3Event(source="landed_orders", suffixes=("_SUCCESS",)),
    curation=Curation(delta=True),
    owners=("team:orders",),
    description="Delivered orders, Parquet to a Delta table.",
)
