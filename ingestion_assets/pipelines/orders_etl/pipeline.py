"""Order JSON files arrive under `orders/`; order lines land as Parquet, partitioned by order date."""

from datetime import date

from ingestion_assets import (
    Alerts,
    Bucket,
    Catalog,
    DailyPartitions,
    Json,
    PartitionBy,
    Pipeline,
    S3Event,
    S3Parquet,
    S3Source,
    ingestion_asset,
)
from ingestion_assets.pipelines.orders_etl import transforms
from ingestion_assets.pipelines.orders_etl.schemas import Order, OrderLine

orders = S3Source(
    name="orders",
    bucket=Bucket("landing"),
    prefix="orders/",
    format=Json(),
    contract=Order,
    partitions=DailyPartitions(start=date(2025, 1, 1)),
    description="Order files as shops upload them: a JSON array, a single object, or NDJSON.",
)

order_lines = ingestion_asset(
    contract=OrderLine,
    destination=S3Parquet(
        bucket=Bucket("staging"),
        prefix="orders_parquet_datalake/",
        partition_by=(PartitionBy("dt", column="order_date", transform="day"),),
    ),
    owners=["team:orders"],
)(transforms.order_lines)

pipeline = Pipeline(
    name="orders_etl",
    sources=(orders,),
    assets=(order_lines,),
    trigger=S3Event(source="orders"),
    alerts=Alerts(),
    catalog=Catalog(crawler="etl_pipeline_crawler"),
    owners=("team:orders",),
    description="Serverless order pipeline: JSON orders to Parquet order lines.",
)
