"""Sales as branches export them from their tills, and sales as analysts read them."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl


class SalesExport(pa.DataFrameModel):
    """One line of an export, under the headings that people gave it.

    Nullable on purpose: an empty field is judged on the sale, where the reason names the column that
    analysts know.
    """

    order_id: str = pa.Field(alias="Order ID", nullable=True)
    order_date: pl.Date = pa.Field(alias="Order Date", nullable=True)
    sold_at: pl.Datetime("us") = pa.Field(alias="Sold At", nullable=True)  # type: ignore[valid-type]
    branch: str = pa.Field(alias="Branch", nullable=True)
    country: str = pa.Field(alias="Country", nullable=True)
    product: str = pa.Field(alias="Product", nullable=True)
    units: pl.Int64 = pa.Field(alias="Units", nullable=True)
    unit_price: float = pa.Field(alias="Unit Price", nullable=True)
    discount: float = pa.Field(alias="Discount %", nullable=True)
    remarks: str = pa.Field(alias="Remarks", nullable=True)

    class Config:
        coerce = True


class Sale(pa.DataFrameModel):
    """One sale."""

    order_id: str = pa.Field(str_matches=r"^S-[0-9]{7}$", unique=True)
    order_date: pl.Date
    sold_at: pl.Datetime("us") = pa.Field(nullable=True)  # type: ignore[valid-type]
    branch: str = pa.Field(str_length={"min_value": 1})
    country: str = pa.Field(isin=["AT", "CH", "DE", "DK", "FR", "IT", "SE"])
    product: str = pa.Field(str_length={"min_value": 1})
    units: pl.Int64 = pa.Field(ge=1)
    unit_price: float = pa.Field(ge=0)
    discount_share: float = pa.Field(ge=0, le=1)
    list_total: float = pa.Field(ge=0, description="Before the discount")
    line_total: float = pa.Field(ge=0, description="After the discount")
    remarks: str = pa.Field(nullable=True)

    class Config:
        strict = True
