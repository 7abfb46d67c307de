"""Pure transform of curated orders; ships to AWS, so it imports nothing but the dataframe API."""

import narwhals as nw


def delivered_totals(orders: nw.LazyFrame) -> nw.LazyFrame:
    """What each delivery brought for a day and region: orders, those without a price, large ones, revenue."""
    counted = orders.select(
        nw.col("dt"),
        nw.col("region"),
        (nw.col("amount").fill_null(0.0) * 100).round().cast(nw.Int64).alias("cents"),
        nw.when(nw.col("amount").is_null()).then(1).otherwise(0).alias("unpriced"),
        nw.when(nw.col("is_large").fill_null(value=False)).then(1).otherwise(0).alias("large_order"),
    )
    return counted.group_by("dt", "region").agg(
        nw.len().alias("orders"),
        nw.col("unpriced").sum().alias("unpriced"),
        nw.col("large_order").sum().alias("large_orders"),
        nw.col("cents").sum().alias("revenue_cents"),
    )
