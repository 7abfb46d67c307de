"""Pure transforms of order data; ships to AWS, so it imports nothing but the dataframe API."""

import narwhals as nw


def order_lines(orders: nw.LazyFrame) -> nw.LazyFrame:
    """One row for each product of each order, with the order's and the customer's columns."""
    customer, product = nw.col("customer").struct, nw.col("products").struct
    return orders.explode("products").select(
        nw.col("source_uri", "source_row", "order_id", "order_date", "total_amount"),
        customer.field("customer_id").alias("customer_id"),
        customer.field("name").alias("customer_name"),
        customer.field("email").alias("email"),
        customer.field("address").alias("address"),
        product.field("product_id").alias("product_id"),
        product.field("name").alias("product_name"),
        product.field("category").alias("category"),
        product.field("price").alias("price"),
        product.field("quantity").alias("quantity"),
    )
