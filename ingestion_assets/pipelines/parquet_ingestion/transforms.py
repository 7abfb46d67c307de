"""Pure transforms of delivered orders; ships to AWS, so it imports nothing but the dataframe API."""

import narwhals as nw


def orders(landed_orders: nw.LazyFrame) -> nw.LazyFrame:
    """One row for each delivered order, its identifiers trimmed, large orders marked."""
    amount = nw.col("amount")
    return landed_orders.select(
        nw.col("source_uri", "source_row"),
        nw.col("customer_id").str.strip_chars(" ").alias("customer_id"),
        nw.col("order_id").str.strip_chars(" ").alias("order_id"),
        amount,
        (amount >= 1000.0).alias("is_large"),
        nw.col("dt"),
        nw.col("region"),
    )
