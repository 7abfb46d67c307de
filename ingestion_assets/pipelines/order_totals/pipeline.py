"""Each completed run of parquet_ingestion starts this one, over the files that it published."""

from ingestion_assets import (
    Bucket,
    Parquet,
    PartitionBy,
    Pipeline,
    PipelineCompleted,
    S3Parquet,
    S3Source,
    ingestion_asset,
)
from ingestion_assets.pipelines.order_totals import transforms
from ingestion_assets.pipelines.order_totals.schemas import CuratedOrder, DeliveredTotal

orders = S3Source(
    name="orders",
    bucket=Bucket("my-curated-zone"),
    prefix="orders/",
    format=Parquet(),
    contract=CuratedOrder,
    description="Orders that parquet_ingestion published.",
)

delivered_totals = ingestion_asset(
    contract=DeliveredTotal,
    destination=S3Parquet(
        bucket=Bucket("my-curated-zone"),
        prefix="delivered_totals/",
        partition_by=(PartitionBy("month", column="dt", transform="month"),),
    ),
    owners=["team:orders"],
)(transforms.delivered_totals)

pipeline = Pipeline(
    name="order_totals",
    sources=(orders,),
    assets=(delivered_totals,),
    # A run sees the files of one delivery, so a day's total is the sum over its deliveries.
    trigger=PipelineCompleted(pipeline="parquet_ingestion", source="orders"),
    owners=("team:orders",),
    description="What each delivery of orders brought, by day and region.",
)
