"""Orders to order lines to totals: a DAG of two assets over the transforms of `orders_etl`."""

from datetime import date

import narwhals as nw
import pandera.polars as pa
import polars as pl

from ingestion_assets import (
    Bucket,
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


class CategoryTotal(pa.DataFrameModel):
    """Pieces and revenue of one category in one file."""

    category: str = pa.Field(nullable=True)
    pieces: pl.Int64 = pa.Field(ge=1)
    revenue: float = pa.Field(ge=0)


def category_totals(order_lines: nw.LazyFrame) -> nw.LazyFrame:
    """One row for each category."""
    return (
        order_lines.with_columns(revenue=nw.col("price") * nw.col("quantity"))
        .group_by("category")
        .agg(nw.col("quantity").sum().cast(nw.Int64).alias("pieces"), nw.col("revenue").sum())
    )


orders = S3Source(
    name="orders",
    bucket=Bucket("landing"),
    prefix="orders/",
    format=Json(),
    contract=Order,
    partitions=DailyPartitions(start=date(2025, 1, 1), folder="%Y/%m/%d"),
)
order_lines = ingestion_asset(
    contract=OrderLine,
    destination=S3Parquet(Bucket("staging"), "lines/", (PartitionBy("dt", "order_date", "day"),)),
)(transforms.order_lines)
totals = ingestion_asset(contract=CategoryTotal, destination=S3Parquet(Bucket("staging"), "totals/"))(
    category_totals
)
shop = Pipeline(
    name="shop",
    sources=(orders,),
    assets=(totals, order_lines),
    trigger=S3Event("orders"),
    owners=("team:shop",),
)
