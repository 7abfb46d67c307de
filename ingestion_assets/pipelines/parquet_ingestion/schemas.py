"""Orders as shops deliver them in Parquet, and orders as analysts read them."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl


class LandedOrder(pa.DataFrameModel):
    """One row of a delivered file; `dt` and `region` also name the folders that it lies in.

    Nullable on purpose: what is missing is judged on the order, where the reason names the column that
    analysts know, and counted by the configuration's thresholds.
    """

    customer_id: str = pa.Field(nullable=True)
    order_id: str = pa.Field(nullable=True)
    amount: float = pa.Field(nullable=True)
    dt: pl.Date
    region: str

    class Config:
        coerce = True


class Order(pa.DataFrameModel):
    """One order."""

    customer_id: str = pa.Field(str_matches=r"^C[0-9]{5}$")
    order_id: str = pa.Field(unique=True, str_length={"min_value": 1})
    amount: float = pa.Field(nullable=True, ge=0, description="In euros; null while an order is not priced")
    is_large: bool = pa.Field(nullable=True, description="1,000 euros or more")
    dt: pl.Date = pa.Field(description="Day of the order")
    region: str = pa.Field(isin=["apac", "eu", "us"])

    class Config:
        strict = True
