"""Orders as shops send them, and order lines as analysts read them."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

PRODUCT = pl.Struct(
    {
        "product_id": pl.String,
        "name": pl.String,
        "category": pl.String,
        "price": pl.Float64,
        "quantity": pl.Int64,
    }
)
CUSTOMER = pl.Struct({"customer_id": pl.String, "name": pl.String, "email": pl.String, "address": pl.String})


class Order(pa.DataFrameModel):
    """One order as sent: a customer and a list of products.

    Nullable on purpose: a missing customer or an empty list is judged on the order line, where
    the reason names the column that analysts know.
    """

    order_id: str = pa.Field(nullable=True)
    order_date: pl.Date = pa.Field(nullable=True)
    total_amount: float = pa.Field(nullable=True)
    customer: CUSTOMER = pa.Field(nullable=True)  # type: ignore[valid-type]
    products: pl.List(PRODUCT) = pa.Field(nullable=True)  # type: ignore[valid-type]

    class Config:
        coerce = True


class OrderLine(pa.DataFrameModel):
    """One product of one order."""

    order_id: str = pa.Field(str_length={"min_value": 1})
    order_date: pl.Date
    total_amount: float = pa.Field(ge=0)
    customer_id: str = pa.Field(str_length={"min_value": 1})
    customer_name: str = pa.Field(nullable=True)
    email: str = pa.Field(nullable=True, str_matches=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    address: str = pa.Field(nullable=True)
    product_id: str = pa.Field(str_length={"min_value": 1})
    product_name: str = pa.Field(nullable=True)
    category: str = pa.Field(nullable=True)
    price: float = pa.Field(ge=0)
    quantity: pl.Int64 = pa.Field(ge=1)

    class Config:
        strict = True
