"""Merge and SCD2 against a model in plain Python, on every engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.curation.write_modes import merge, scd2
from aws_runtime.engines import Limits
from aws_runtime.engines.spark_session import session

Row = dict[str, Any]
SCHEMA = pa.schema(
    [("shop", pa.string()), ("id", pa.int64()), ("name", pa.string()), ("price", pa.float64())]
)
HISTORY = pa.schema(
    [
        *SCHEMA,
        pa.field("valid_from", pa.timestamp("us")),
        pa.field("valid_to", pa.timestamp("us")),
        pa.field("is_current", pa.bool_()),
    ]
)
KEYS = ("shop", "id")
START = dt.datetime.fromisoformat("2024-07-01T00:00:00")

keys = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3))
values = st.tuples(st.none() | st.sampled_from(["x", "y"]), st.none() | st.sampled_from([0.0, 1.5]))
tables = st.dictionaries(keys, values, max_size=6)


def rows(table: dict[tuple[str, int], tuple[str | None, float | None]]) -> list[Row]:
    return [dict(zip(SCHEMA.names, (*key, *value), strict=True)) for key, value in table.items()]


def on_polars(table: pa.Table) -> nw.LazyFrame[Any]:
    return nw.from_native(pl.from_arrow(table).lazy())  # type: ignore[union-attr]


def on_duckdb(connection: duckdb.DuckDBPyConnection) -> Callable[[pa.Table], nw.LazyFrame[Any]]:
    return lambda table: nw.from_native(connection.from_arrow(table)).lazy()


def collected(frame: nw.LazyFrame[Any], schema: pa.Schema) -> list[tuple[Any, ...]]:
    table = frame.collect("pyarrow").to_native().select(schema.names).cast(schema)
    found = [tuple(row[name] for name in schema.names) for row in table.to_pylist()]
    return sorted(found, key=repr)


def expected(table: Sequence[Row], schema: pa.Schema) -> list[tuple[Any, ...]]:
    return sorted((tuple(row[name] for name in schema.names) for row in table), key=repr)


@settings(max_examples=60, deadline=None)
@given(tables, tables)
def test_merge(before: dict[Any, Any], run: dict[Any, Any]) -> None:
    wanted = expected(rows(before | run), SCHEMA)
    with duckdb.connect() as connection:
        for engine in (on_polars, on_duckdb(connection)):
            there = engine(pa.Table.from_pylist(rows(before), SCHEMA))
            here = engine(pa.Table.from_pylist(rows(run), SCHEMA))
            assert collected(merge(there, here, KEYS), SCHEMA) == wanted


def remembered(history: list[Row], run: list[Row], at: dt.datetime) -> list[Row]:
    """Return what SCD2 means, row by row."""
    result = [dict(row) for row in history]
    for new in run:
        same = [row for row in result if row["is_current"] and all(row[k] == new[k] for k in KEYS)]
        if same and all(same[0][name] == new[name] for name in SCHEMA.names):
            continue
        for row in same:
            row |= {"valid_to": at, "is_current": False}
        result.append(new | {"valid_from": at, "valid_to": None, "is_current": True})
    return result


@settings(max_examples=40, deadline=None)
@given(st.lists(tables, min_size=1, max_size=3))
def test_scd2(runs: list[dict[Any, Any]]) -> None:
    with duckdb.connect() as connection:
        for engine in (on_polars, on_duckdb(connection)):
            history: list[Row] = []
            for number, run in enumerate(runs):
                at = START + dt.timedelta(days=number)
                there = engine(pa.Table.from_pylist(history, HISTORY))
                here = engine(pa.Table.from_pylist(rows(run), SCHEMA))
                found = collected(scd2(there, here, KEYS, at), HISTORY)
                history = remembered(history, rows(run), at)
                assert found == expected(history, HISTORY)
                again = engine(pa.Table.from_pylist(history, HISTORY))
                assert collected(scd2(again, here, KEYS, at), HISTORY) == found


@pytest.mark.parametrize("mode", ["merge", "scd2"])
def test_spark_does_the_same(mode: str) -> None:
    before = {("a", 1): ("x", 1.5), ("a", 2): (None, None), ("b", 1): ("y", 0.0)}
    run = {("a", 1): ("x", 1.5), ("a", 2): ("x", None), ("b", 7): (None, 1.5)}
    if mode == "merge":
        schema, there = SCHEMA, rows(before)
        wanted = rows(before | run)
    else:
        schema, there = HISTORY, remembered([], rows(before), START)
        wanted = remembered(there, rows(run), START + dt.timedelta(days=1))
    spark = session(Limits(1 << 30, 2, ""))
    spark_types = "shop string, id bigint, name string, price double"
    if mode == "scd2":
        spark_types += ", valid_from timestamp_ntz, valid_to timestamp_ntz, is_current boolean"

    def engine(table: list[Row], names: list[str], types: str) -> nw.LazyFrame[Any]:
        data = [tuple(row[name] for name in names) for row in table]
        return nw.from_native(spark.createDataFrame(data, types)).lazy()

    left = engine(there, schema.names, spark_types)
    right = engine(rows(run), SCHEMA.names, "shop string, id bigint, name string, price double")
    made = merge(left, right, KEYS) if mode == "merge" else scd2(left, right, KEYS, START + dt.timedelta(1))
    native: Any = nw.to_native(made)
    found = sorted((tuple(row[name] for name in schema.names) for row in native.collect()), key=repr)
    assert found == expected(wanted, schema)
