"""Pure transforms of sales exports; ships to AWS, so it imports nothing but the dataframe API."""

import narwhals as nw


def sales(sales_exports: nw.LazyFrame) -> nw.LazyFrame:
    """One row for each line of an export, with columns named alike everywhere and totals computed."""
    units, price = nw.col("Units"), nw.col("Unit Price")
    # No discount was typed as 0 by some branches and left empty by others.
    share = nw.coalesce(nw.col("Discount %"), nw.lit(0.0)) / 100.0
    return sales_exports.select(
        nw.col("source_uri", "source_row"),
        nw.col("Order ID").alias("order_id"),
        nw.col("Order Date").alias("order_date"),
        nw.col("Sold At").alias("sold_at"),
        nw.col("Branch").str.strip_chars(" ").alias("branch"),
        nw.col("Country").alias("country"),
        nw.col("Product").str.strip_chars(" ").alias("product"),
        units.alias("units"),
        price.alias("unit_price"),
        share.alias("discount_share"),
        (units * price).alias("list_total"),
        (units * price * (1.0 - share)).alias("line_total"),
        nw.col("Remarks").alias("remarks"),
    )
