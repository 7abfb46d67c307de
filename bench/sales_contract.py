"""The CSV case's pipeline: its contract of some twenty rules with a unique key, and its asset."""

from __future__ import annotations

from datetime import datetime

import pandera.polars as pa
import polars as pl

from bench import sales_transform
from bench.sales_data import COUNTRIES, STATUSES
from ingestion_assets import (
    Bucket,
    Csv,
    PartitionBy,
    Pipeline,
    S3Event,
    S3Parquet,
    S3Source,
    ingestion_asset,
)


class SalesLine(pa.DataFrameModel):
    """A line as it is sent; what does not convert to its type is quarantined."""

    order_id: str = pa.Field(nullable=True)
    sold_at: pl.Datetime("us") = pa.Field(nullable=True)
    customer_id: str = pa.Field(nullable=True)
    email: str = pa.Field(nullable=True)
    country: str = pa.Field(nullable=True)
    status: str = pa.Field(nullable=True)
    sku: str = pa.Field(nullable=True)
    quantity: pl.Int64 = pa.Field(nullable=True)
    unit_price: float = pa.Field(nullable=True)
    discount: float = pa.Field(nullable=True)
    gift: bool = pa.Field(nullable=True)
    remarks: str = pa.Field(nullable=True)


class CheckedSale(pa.DataFrameModel):
    """A line as it should be."""

    order_id: str = pa.Field(str_matches=r"^S[0-9]{9}$", unique=True)
    sold_at: pl.Datetime("us") = pa.Field(ge=datetime(2020, 1, 1), le=datetime(2030, 1, 1))  # noqa: DTZ001
    customer_id: str = pa.Field(str_matches=r"^C[0-9]{6}$")
    email: str = pa.Field(str_matches=r"^[^@\s]+@[^@\s]+\.[a-z]+$")
    country: str = pa.Field(isin=list(COUNTRIES))
    status: str = pa.Field(isin=list(STATUSES))
    sku: str = pa.Field(str_startswith="SKU-", str_length={"min_value": 10, "max_value": 10})
    quantity: pl.Int64 = pa.Field(ge=1, le=1000)
    unit_price: float = pa.Field(ge=0, le=10_000)
    discount: float = pa.Field(ge=0, le=1)
    gift: bool
    remarks: str = pa.Field(nullable=True, str_length={"max_value": 200})
    amount: float = pa.Field(ge=0)

    class Config:
        strict = True


lines = S3Source("lines", Bucket("in"), "sales/", Csv(), SalesLine)
checked_sales = ingestion_asset(
    contract=CheckedSale,
    destination=S3Parquet(Bucket("out"), "sales/", (PartitionBy("dt", "sold_at", "day"),)),
)(sales_transform.checked_sales)
pipeline = Pipeline("bench_sales", (lines,), (checked_sales,), S3Event("lines"))
