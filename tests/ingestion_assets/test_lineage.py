"""Each output column is followed to the columns that it is computed from."""

from dataclasses import replace

import narwhals as nw
import pandera.polars as pa
import polars as pl
import pytest

from ingestion_assets import Pipeline, ingestion_asset
from ingestion_assets import lineage as lineage_module
from ingestion_assets.lineage import LineageUnavailableError, column_lineage
from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
from ingestion_assets.pipelines.orders_etl.schemas import Order, OrderLine


def shown(pipeline: Pipeline, transform: object, contract: type = OrderLine) -> dict[str, list[str]]:
    asset = ingestion_asset(contract=contract, destination=order_lines.destination, name="derived")(transform)
    lineage = column_lineage(replace(pipeline, assets=(order_lines, asset)), asset)
    return {column: [str(source) for source in sources] for column, sources in lineage.columns.items()}


def test_orders_etl_needs_no_annotation() -> None:
    lineage = column_lineage(pipeline, order_lines)
    assert {column: [str(s) for s in sources] for column, sources in lineage.columns.items()} == {
        "order_id": ["orders.order_id"],
        "order_date": ["orders.order_date"],
        "total_amount": ["orders.total_amount"],
        "customer_id": ["orders.customer.customer_id"],
        "customer_name": ["orders.customer.name"],
        "email": ["orders.customer.email"],
        "address": ["orders.customer.address"],
        "product_id": ["orders.products.product_id"],
        "product_name": ["orders.products.name"],
        "category": ["orders.products.category"],
        "price": ["orders.products.price"],
        "quantity": ["orders.products.quantity"],
    }
    assert "EXPLODE(`products`)" in lineage.sql


def test_names_are_spelled_as_declared() -> None:
    class Sent(pa.DataFrameModel):
        order_id: str = pa.Field(alias="Order ID")
        customer: pl.Struct({"fullName": pl.String}) = pa.Field(alias="Customer")  # type: ignore[valid-type]

    class Kept(pa.DataFrameModel):
        OrderId: str
        name: str

    def derived(ordersSent: nw.LazyFrame) -> nw.LazyFrame:  # noqa: N803 - what is tested
        name = nw.col("Customer").struct.field("fullName")
        return ordersSent.select(nw.col("Order ID").alias("OrderId"), name.alias("name"))

    source = replace(pipeline.sources[0], name="ordersSent", contract=Sent)
    found = shown(replace(pipeline, sources=(source,)), derived, Kept)
    assert found == {"OrderId": ["ordersSent.Order ID"], "name": ["ordersSent.Customer.fullName"]}


def test_a_join_an_aggregate_an_expression_and_a_constant() -> None:
    def derived(order_lines: nw.LazyFrame, orders: nw.LazyFrame) -> nw.LazyFrame:
        revenue = (nw.col("price") * nw.col("quantity")).sum()
        per_order = order_lines.group_by("order_id").agg(
            revenue.alias("total_amount"), nw.col("price").max(), nw.len().alias("quantity")
        )
        names = orders.select(
            "order_id",
            nw.col("customer").struct.field("name").str.to_uppercase().alias("customer_name"),
            nw.lit("none").alias("category"),
        )
        return per_order.join(names, on="order_id", how="left")

    found = shown(pipeline, derived)
    assert found["order_id"] == ["order_lines.order_id"]
    assert found["total_amount"] == ["order_lines.price", "order_lines.quantity"]
    assert found["price"] == ["order_lines.price"]
    assert found["customer_name"] == ["orders.customer.name"]
    assert found["quantity"] == []
    assert found["category"] == []


def test_columns_that_only_filter_are_no_sources() -> None:
    def derived(order_lines: nw.LazyFrame) -> nw.LazyFrame:
        return order_lines.filter(nw.col("quantity") > 1).select("price")

    assert shown(pipeline, derived)["price"] == ["order_lines.price"]


def test_branches_of_a_union_and_of_a_condition_all_count() -> None:
    def derived(order_lines: nw.LazyFrame) -> nw.LazyFrame:
        either = nw.when(nw.col("quantity") > 1).then(nw.col("customer_name")).otherwise(nw.col("email"))
        first = order_lines.select(nw.col("product_name").alias("category"), either.alias("address"))
        second = order_lines.select(nw.col("category"), nw.col("address"))
        return nw.concat([first, second])

    found = shown(pipeline, derived)
    assert found["category"] == ["order_lines.category", "order_lines.product_name"]
    assert found["address"] == [
        "order_lines.address",
        "order_lines.customer_name",
        "order_lines.email",
        "order_lines.quantity",
    ]


def test_a_renamed_struct_keeps_its_path() -> None:
    def derived(orders: nw.LazyFrame) -> nw.LazyFrame:
        renamed = orders.select(nw.col("customer").alias("who"))
        return renamed.select(
            nw.col("who").struct.field("email").alias("email"), nw.col("who").alias("customer")
        )

    found = shown(pipeline, derived)
    assert found["email"] == ["orders.customer.email"]
    assert shown(pipeline, derived, Order)["customer"] == ["orders.customer"]


def test_the_work_grows_with_the_explodes_and_not_by_their_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each explode reads its input twice: without remembering, each would double the work."""
    resolve = lineage_module._resolve_once
    calls: list[str] = []

    def counted(scope: object, column: str, *rest: object) -> object:
        calls.append(column)
        return resolve(scope, column, *rest)

    monkeypatch.setattr(lineage_module, "_resolve_once", counted)

    def work(explodes: int) -> int:
        def derived(orders: nw.LazyFrame) -> nw.LazyFrame:
            frame = orders.with_columns(kept=nw.col("products"))
            for _ in range(explodes):
                frame = frame.explode("products").with_columns(products=nw.col("kept"))
            return frame.select("products", "order_id")

        calls.clear()
        assert shown(pipeline, derived, Order)["order_id"] == ["orders.order_id"]
        return len(calls)

    two, four, six = work(2), work(4), work(6)
    assert six - four == four - two


def test_the_same_input_name_with_other_columns_is_not_confused() -> None:
    """SQLFrame's one session remembers tables; the next asset's may have the same name."""
    column_lineage(pipeline, order_lines)
    other = replace(pipeline, sources=(replace(pipeline.sources[0], contract=OrderLine),))

    def derived(orders: nw.LazyFrame) -> nw.LazyFrame:
        return orders.select(nw.col("product_name").alias("category"))

    asset = ingestion_asset(contract=OrderLine, destination=order_lines.destination)(derived)
    lineage = column_lineage(replace(other, assets=(asset,)), asset)
    assert [str(source) for source in lineage.columns["category"]] == ["orders.product_name"]


def test_a_transform_without_sql_says_which_and_why() -> None:
    def derived(orders: nw.LazyFrame) -> nw.LazyFrame:
        return orders.select(nw.col("no_such_column"))

    with pytest.raises(LineageUnavailableError, match=r"orders_etl/derived: .*no_such_column"):
        shown(pipeline, derived)
