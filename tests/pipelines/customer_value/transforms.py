"""Pure transforms of baskets."""

import narwhals as nw

from .money import value_of


def basket_items(baskets: nw.LazyFrame) -> nw.LazyFrame:
    """One row for each item of each basket."""
    item = nw.col("items").struct
    return baskets.explode("items").select(
        nw.col("source_row", "basket_id", "customer", "day"),
        item.field("sku").alias("sku"),
        item.field("price").alias("price"),
        item.field("pieces").alias("pieces"),
    )


def customer_totals(basket_items: nw.LazyFrame) -> nw.LazyFrame:
    """Items and their value, by customer and day."""
    return (
        basket_items.with_columns(value=value_of("price", "pieces"))
        .group_by("customer", "day")
        .agg(nw.col("pieces").sum().cast(nw.Int64).alias("items"), nw.col("value").sum().alias("value"))
    )
