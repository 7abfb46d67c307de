"""Steps by configuration: the same rows on every engine, and a mistake names its step."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pyarrow as pa
import pytest

from aws_runtime.curation.config import ConfigError, Step
from aws_runtime.curation.expressions import ExpressionError, columns, expression
from aws_runtime.curation.steps import apply, check
from aws_runtime.engines import Limits
from aws_runtime.engines.spark_session import session

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 3, None], pa.int64()),
        "price": [2.5, 0.0, -1.0, 4.0, None],
        "quantity": pa.array([4, 0, 2, 1, None], pa.int64()),
        "name": [" Ann ", "bob", None, "Zoë Ölund", ""],
        "day": pa.array([dt.date(2024, 7, day) for day in (1, 2, 3, 4, 5)]),
        "flag": [True, False, None, True, False],
    }
)
SPARK_TYPES = "id bigint, price double, quantity bigint, name string, day date, flag boolean"


def on_engines(steps: tuple[Step, ...]) -> dict[str, list[dict[str, Any]]]:
    spark = session(Limits(1 << 30, 2, ""))
    given = [tuple(row.values()) for row in ROWS.to_pylist()]
    made: dict[str, list[dict[str, Any]]] = {}
    with duckdb.connect() as connection:
        frames = {
            "polars": nw.from_native(pl.from_arrow(ROWS).lazy()),  # type: ignore[union-attr]
            "duckdb": nw.from_native(connection.from_arrow(ROWS)).lazy(),
            "spark": nw.from_native(spark.createDataFrame(given, SPARK_TYPES)).lazy(),
        }
        for name, frame in frames.items():
            result = apply(steps, frame)
            if name == "spark":
                native: Any = nw.to_native(result)
                rows = [row.asDict() for row in native.collect()]
            else:
                rows = result.collect("pyarrow").to_native().to_pylist()
            made[name] = sorted(rows, key=lambda row: repr(sorted(row.items())))
    return made


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("price * quantity", [10.0, 0.0, -2.0, 4.0, None]),
        ("price / quantity", [0.625, None, -0.5, 4.0, None]),
        ("-price + 1", [-1.5, 1.0, 2.0, -3.0, None]),
        ("id > 2 AND NOT flag", [False, False, None, False, None]),
        ("flag OR id = 2", [True, True, None, True, None]),
        ("id IN (1, 3)", [True, False, True, True, None]),
        ("price BETWEEN 0 AND 2.5", [True, True, False, False, None]),
        ("name IS NULL", [False, False, True, False, False]),
        ("name IS NOT NULL", [True, True, False, True, True]),
        ("CASE WHEN price < 0 THEN 'refund' WHEN price = 0 THEN 'free' ELSE 'paid' END", None),
        ("CASE WHEN price < 0 THEN 1 END", [None, None, 1, None, None]),
        ("coalesce(name, 'nobody')", [" Ann ", "bob", "nobody", "Zoë Ölund", ""]),
        ("nullif(quantity, 0)", [4, None, 2, 1, None]),
        ("upper(trim(name))", ["ANN", "BOB", None, "ZOË ÖLUND", ""]),
        ("length(name)", [5, 3, None, 9, 0]),
        ("substring(name, 2, 3)", ["Ann", "ob", None, "oë ", ""]),
        ("name || '!' ", [" Ann !", "bob!", None, "Zoë Ölund!", "!"]),
        ("abs(price)", [2.5, 0.0, 1.0, 4.0, None]),
        ("year(day) * 100 + month(day)", [202407] * 5),
        ("day >= DATE '2024-07-03'", [False, False, True, True, True]),
        ("CAST(quantity AS DOUBLE)", [4.0, 0.0, 2.0, 1.0, None]),
    ],
)
def test_an_expression_is_the_same_on_every_engine(text: str, values: list[Any] | None) -> None:
    made = on_engines((Step(derive={"result": text}),))
    assert made["polars"] == made["duckdb"] == made["spark"]
    if values is not None:
        found = {row["day"]: row["result"] for row in made["duckdb"]}
        assert [found[day] for day in sorted(found)] == values


@pytest.mark.parametrize(
    ("step", "ids"),
    [
        (Step(filter="price > 0"), [1, 3]),
        (Step(deduplicate=("id",), by=("price",)), [1, 2, 3, None]),
        (Step(deduplicate=("flag",), by=("day",)), [3, 3, None]),
        (Step(deduplicate=("flag",), by=("price",)), [2, 3, 3]),
        (Step(cast={"quantity": "float64"}), [1, 2, 3, 3, None]),
        (Step(drop=("name", "flag")), [1, 2, 3, 3, None]),
    ],
)
def test_a_step_is_the_same_on_every_engine(step: Step, ids: list[int | None]) -> None:
    made = on_engines((step,))
    assert made["polars"] == made["duckdb"] == made["spark"]
    assert sorted((row["id"] for row in made["duckdb"]), key=repr) == sorted(ids, key=repr)


def test_of_equal_keys_the_greatest_stays() -> None:
    made = on_engines((Step(deduplicate=("id",), by=("price",)),))["duckdb"]
    assert [row["price"] for row in made if row["id"] == 3] == [4.0]


def test_steps_see_what_steps_before_them_made() -> None:
    steps = (
        Step(rename={"name": "customer"}),
        Step(derive={"total": "price * quantity"}),
        Step(filter="total > 0 AND customer <> ''"),
        Step(drop=("flag", "day")),
    )
    made = on_engines(steps)
    assert made["polars"] == made["duckdb"] == made["spark"]
    assert {row["customer"]: row["total"] for row in made["duckdb"]} == {" Ann ": 10.0, "Zoë Ölund": 4.0}


def test_a_column_that_is_not_there_is_named() -> None:
    frame = nw.from_native(pl.LazyFrame({"a": [1]}))
    with pytest.raises(ConfigError, match=r"steps\[1\]: there is no column 'b'; there are a"):
        apply((Step(filter="a > 0"), Step(derive={"c": "b + 1"})), frame)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step(derive={"x": "a +"}), "steps[0].derive.x: 'a +' is not an SQL expression"),
        (Step(derive={"x": "a, b"}), "steps[0].derive.x: 'a, b' is not one SQL expression"),
        (Step(derive={"x": "1 FROM orders"}), "steps[0].derive.x: '1 FROM orders' is not one SQL expression"),
        (Step(filter="a > 1; DROP TABLE t"), "steps[0].filter: 'a > 1; DROP TABLE t' is not one SQL"),
        (Step(filter="random() > 0.5"), "steps[0].filter: 'RANDOM()' is not supported; there are columns"),
        (Step(filter="a IN (SELECT 1)"), "steps[0].filter: 'a IN (SELECT 1)': IN takes a list"),
        (Step(cast={"a": "money"}), "steps[0].cast.a: 'money' is no type; there are boolean"),
        (Step(derive={"x": "DATE '2024-13-01'"}), "steps[0].derive.x: "),
        (Step(rename={"a": "c", "b": "c"}), "steps[0].rename: two columns get one name"),
    ],
)
def test_a_mistake_names_its_step(step: Step, said: str) -> None:
    with pytest.raises(ConfigError) as found:
        check((step,))
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)


def test_the_columns_of_an_expression_are_known() -> None:
    assert columns("a + CASE WHEN b THEN lower(c) END") == {"a", "b", "c"}
    with pytest.raises(ExpressionError):
        expression("")
