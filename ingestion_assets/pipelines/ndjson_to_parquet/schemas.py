"""Events as apps and pages send them, and events as analysts read them."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

USER = pl.Struct({"id": pl.String, "country": pl.String})
DEVICE = pl.Struct({"os": pl.String, "app_version": pl.String})
PAGE = pl.Struct({"path": pl.String, "referrer": pl.String})


class ClickstreamEvent(pa.DataFrameModel):
    """One event as sent.

    Nullable on purpose: what is missing is judged on the flattened event, where the reason names the
    column that analysts know.
    """

    event_id: str = pa.Field(nullable=True)
    event_type: str = pa.Field(nullable=True)
    event_date: pl.Date = pa.Field(nullable=True)
    occurred_at: pl.Datetime("us", "UTC") = pa.Field(nullable=True)  # type: ignore[valid-type]
    user: USER = pa.Field(nullable=True)  # type: ignore[valid-type]
    device: DEVICE = pa.Field(nullable=True)  # type: ignore[valid-type]
    page: PAGE = pa.Field(nullable=True)  # type: ignore[valid-type]
    amount: float = pa.Field(nullable=True)
    currency: str = pa.Field(nullable=True)

    class Config:
        coerce = True


class Event(pa.DataFrameModel):
    """One event, without nesting."""

    event_id: str = pa.Field(str_length={"min_value": 1}, unique=True)
    event_type: str = pa.Field(isin=["view", "search", "cart", "purchase"])
    event_date: pl.Date
    occurred_at: pl.Datetime("us", "UTC")  # type: ignore[valid-type]
    user_id: str = pa.Field(str_length={"min_value": 1})
    country: str = pa.Field(nullable=True, str_matches=r"^[A-Z]{2}$")
    os: str = pa.Field(nullable=True)
    app_version: str = pa.Field(nullable=True)
    path: str = pa.Field(str_startswith="/")
    referrer: str = pa.Field(nullable=True)
    is_purchase: bool
    amount: float = pa.Field(nullable=True, ge=0)
    currency: str = pa.Field(nullable=True, isin=["CHF", "EUR", "USD"])

    class Config:
        strict = True
