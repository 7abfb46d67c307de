"""Curated orders as parquet_ingestion publishes them, and their totals."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl


class CuratedOrder(pa.DataFrameModel):
    """One order; `dt` and `region` are the folders that its file lies in."""

    customer_id: str
    order_id: str
    amount: float = pa.Field(nullable=True, ge=0, le=1e9, description="In euros; null without a price")
    is_large: bool = pa.Field(nullable=True)
    dt: pl.Date
    region: str

    class Config:
        coerce = True


class DeliveredTotal(pa.DataFrameModel):
    """What one delivery brought for one day and region: a day's total is the sum over its deliveries."""

    dt: pl.Date = pa.Field(description="Day of the orders")
    region: str
    orders: int = pa.Field(ge=1)
    unpriced: int = pa.Field(ge=0, description="Orders without an amount")
    large_orders: int = pa.Field(ge=0, description="1,000 euros or more")
    revenue_cents: int = pa.Field(ge=0, description="In euro cents: sums are the same in any order")

    class Config:
        strict = True
