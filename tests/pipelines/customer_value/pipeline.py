"""Baskets arrive under `baskets/`; a Lambda asset flattens them, a Glue asset sums them up."""

from ingestion_assets import (
    Alerts,
    Bucket,
    Json,
    PartitionBy,
    Pipeline,
    Processor,
    S3Event,
    S3Parquet,
    S3Source,
    ingestion_asset,
)
from tests.pipelines.customer_value import transforms
from tests.pipelines.customer_value.schemas import Basket, BasketItem, CustomerTotal

baskets = S3Source(
    name="baskets",
    bucket=Bucket("shop"),
    prefix="baskets/",
    format=Json(),
    contract=Basket,
    description="Tills.",
)

basket_items = ingestion_asset(
    contract=BasketItem,
    destination=S3Parquet(
        bucket=Bucket("shop-lake"),
        prefix="basket_items/",
        partition_by=(PartitionBy("dt", column="day", transform="day"),),
    ),
)(transforms.basket_items)

customer_totals = ingestion_asset(
    contract=CustomerTotal,
    destination=S3Parquet(bucket=Bucket("shop-lake"), prefix="customer_totals/", compression="snappy"),
    processor=Processor(kind="glue_pyspark", timeout_seconds=900),
    tags={"cost-centre": "sales"},
)(transforms.customer_totals)

pipeline = Pipeline(
    name="customer_value",
    sources=(baskets,),
    assets=(basket_items, customer_totals),
    trigger=S3Event(source="baskets", suffixes=(".json", ".json.gz")),
    alerts=Alerts(email="sales@example.com"),
    owners=("team:sales",),
    description="Baskets to what customers are worth.",
)
