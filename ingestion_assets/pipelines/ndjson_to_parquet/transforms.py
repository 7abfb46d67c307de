"""Pure transforms of clickstream data; ships to AWS, so it imports nothing but the dataframe API."""

import narwhals as nw


def events(clickstream: nw.LazyFrame) -> nw.LazyFrame:
    """One row for each event, with the user's, the device's and the page's fields as columns."""
    user, device, page = (nw.col(name).struct for name in ("user", "device", "page"))
    return clickstream.select(
        nw.col("source_uri", "source_row", "event_id", "event_type", "event_date", "occurred_at"),
        user.field("id").alias("user_id"),
        user.field("country").alias("country"),
        device.field("os").alias("os"),
        device.field("app_version").alias("app_version"),
        page.field("path").alias("path"),
        page.field("referrer").alias("referrer"),
        (nw.col("event_type") == "purchase").alias("is_purchase"),
        nw.col("amount", "currency"),
    )
