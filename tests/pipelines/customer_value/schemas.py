"""Baskets as tills send them, and what is made of them."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

ITEM = pl.Struct({"sku": pl.String, "price": pl.Float64, "pieces": pl.Int64})


class Basket(pa.DataFrameModel):
    """One basket with its items."""

    basket_id: str
    customer: str = pa.Field(nullable=True)
    day: pl.Date
    items: pl.List(ITEM) = pa.Field(nullable=True)  # type: ignore[valid-type]

    class Config:
        coerce = True


class BasketItem(pa.DataFrameModel):
    """One item of one basket."""

    basket_id: str
    customer: str
    day: pl.Date
    sku: str
    price: float = pa.Field(ge=0)
    pieces: pl.Int64 = pa.Field(ge=1, le=1_000)

    class Config:
        strict = True


class CustomerTotal(pa.DataFrameModel):
    """What one customer bought, by day."""

    customer: str
    day: pl.Date
    items: pl.Int64 = pa.Field(ge=1)
    value: float = pa.Field(ge=0)

    class Config:
        strict = True
