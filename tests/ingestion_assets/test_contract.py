"""What a Pandera model becomes, and what is refused with which code, place and hint."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from decimal import Decimal
from typing import Any

import pandera.polars as pa
import polars as pl
import pyarrow  # noqa: ICN001 - `pa` is Pandera here
import pytest

from aws_runtime.contract import Contract, Drift, Severity
from ingestion_assets.arrow import arrow_schema
from ingestion_assets.contract import lower_contract
from ingestion_assets.errors import CompileError, Where, relative

HERE = Where("somewhere.py", 1, "shop", "orders")


def model(annotation: Any, field: Any = None, config: dict[str, Any] | None = None, **more: Any) -> Any:
    body: dict[str, Any] = {"__annotations__": {"x": annotation}, **more}
    if field is not None:
        body["x"] = field
    if config is not None:
        body["Config"] = type("Config", (), config)
    return type("Made", (pa.DataFrameModel,), body)


def lowered(*args: Any, **kwargs: Any) -> Contract:
    return lower_contract(model(*args, **kwargs), HERE)


@pytest.mark.parametrize(
    ("annotation", "neutral", "arrow"),
    [
        (str, "string", pyarrow.string()),
        (pl.Categorical, "string", pyarrow.string()),
        (bool, "boolean", pyarrow.bool_()),
        (int, "int64", pyarrow.int64()),
        (pl.UInt8, "uint8", pyarrow.int16()),
        (pl.UInt64, "uint64", pyarrow.decimal128(20, 0)),
        (float, "float64", pyarrow.float64()),
        (pl.Decimal(10, 2), "decimal(10,2)", pyarrow.decimal128(10, 2)),
        (pl.Date, "date", pyarrow.date32()),
        (dt.datetime, "timestamp[us]", pyarrow.timestamp("us")),
        (pl.Datetime("ms", "Europe/Paris"), "timestamp[us, Europe/Paris]", pyarrow.timestamp("us", "UTC")),
        (bytes, "binary", pyarrow.binary()),
        (
            pl.List(pl.Struct({"price": pl.Float64})),
            "list<struct<price: float64>>",
            pyarrow.list_(pyarrow.struct([("price", pyarrow.float64())])),
        ),
        (pl.Array(pl.Int64, 3), "list<int64>", pyarrow.list_(pyarrow.int64())),
    ],
)
def test_types(annotation: Any, neutral: str, arrow: Any) -> None:
    contract = lowered(annotation)
    assert str(contract.columns[0].type) == neutral
    assert arrow_schema(contract).field("x").type == arrow


def rule_of(annotation: Any, **check: Any) -> tuple[str, Any]:
    (rule,) = lowered(annotation, pa.Field(**check)).columns[0].rules
    return rule.id, dict(rule.args)


def test_checks_keep_panderas_names_and_json_arguments() -> None:
    assert rule_of(pl.Decimal(10, 2), ge=Decimal("1.50")) == (
        "x.greater_than_or_equal_to",
        {"min_value": "1.50"},
    )
    assert rule_of(pl.Date, lt=dt.date(2025, 1, 2)) == ("x.less_than", {"max_value": "2025-01-02"})
    assert rule_of(str, isin={"b", "a"}) == ("x.isin", {"allowed_values": ["a", "b"]})
    assert rule_of(pl.Enum(["b", "a"])) == ("x.isin", {"allowed_values": ["a", "b"]})
    assert rule_of(pl.Array(pl.Int8, 2)) == ("x.array_width", {"value": 2})
    assert rule_of(str, str_length={"max_value": 3}) == ("x.str_length", {"max_value": 3})
    # Pandera anchors the start only, and so only the first alternative.
    assert rule_of(str, str_matches="a|bc")[1]["portable"] == r"(?:\Aa|bc)"


def test_flags_names_and_severity() -> None:
    class Base(pa.DataFrameModel):
        """What every file has."""

        key: str = pa.Field(alias="Key", unique=True, description="The shop's own key")

    class Model(Base):
        x: int = pa.Field(nullable=True, default=3, ge=0, raise_warning=True, ignore_na=False)

        class Config:
            coerce = True
            unique = ["Key", "x"]  # noqa: RUF012 - as Pandera's users write it

    contract = lower_contract(Model, HERE)
    key, x = contract.columns
    assert (key.name, key.unique, key.description, key.coerce) == ("Key", True, "The shop's own key", True)
    assert (x.nullable, x.default, x.rules[0].severity, x.rules[0].ignore_na) == (
        True,
        3,
        Severity.WARN,
        False,
    )
    assert contract.unique == (("Key", "x"),)
    assert lower_contract(Model, HERE) is contract


def test_two_rules_of_one_name_have_two_ids() -> None:
    body = {"columns": {"x": pa.Column(pl.Enum(["a", "b"]), pa.Check.isin(["a"]))}}
    schema = pa.DataFrameSchema(**body)
    made = model(pl.Enum(["a", "b"]), pa.Field(isin=["a"]))
    assert schema.columns.keys() == made.to_schema().columns.keys()
    assert [rule.id for rule in lower_contract(made, HERE).columns[0].rules] == ["x.isin", "x.isin_2"]


@pytest.mark.parametrize(
    ("config", "drift"),
    [
        ({}, Drift.EVOLVE),
        ({"strict": "filter"}, Drift.EVOLVE),
        ({"strict": True}, Drift.REORDER),
        ({"strict": True, "ordered": True}, Drift.STRICT),
        ({"add_missing_columns": True}, Drift.PERMISSIVE),
    ],
)
def test_drift(config: dict[str, Any], drift: Drift) -> None:
    assert lowered(int, pa.Field(nullable=True), config).drift is drift


def test_missing_columns_are_added_only_where_they_can_be_filled() -> None:
    config = {"add_missing_columns": True, "strict": True}
    assert lowered(int, pa.Field(nullable=True), config).columns[0].required is False
    assert lowered(int, pa.Field(default=1), config).columns[0].required is False
    assert lowered(int, None, config).columns[0].required is True


def check(function: Any, **options: Any) -> Any:
    return {"method": pa.check("x", **options)(function)}


REFUSED = {
    "pattern of names": (model(int, pa.Field(alias="x_.*", regex=True)), "ASL011", "pattern of column names"),
    "custom check": (
        model(int, None, None, **check(lambda _cls, _data: True)),
        "ASL014",
        "function of its own",
    ),
    "dataframe check": (
        model(int, None, None, whole=pa.dataframe_check(lambda _cls, _data: True)),
        "ASL014",
        "dataframe check",
    ),
    "time": (model(pl.Time), "ASL013", "Time"),
    "duration": (model(pl.Duration), "ASL013", "Duration"),
    "object": (model(object), "ASL013", "Object"),
    "nanoseconds": (model(pl.Datetime("ns")), "ASL013", "nanoseconds"),
    "list of nothing": (model(pl.List), "ASL013", "List"),
    "matrix": (model(pl.Array(pl.Int8, (2, 2))), "ASL013", "more than one dimension"),
    "nested enum": (model(pl.List(pl.Enum(["a"]))), "ASL013", "Enum or Array inside"),
    "order of booleans": (model(bool, pa.Field(ge=True)), "ASL014", "an order"),
    "order of lists": (model(pl.List(pl.Int8), pa.Field(eq=[1])), "ASL014", "cannot be compared"),
    "text check of a number": (model(int, pa.Field(str_length=3)), "ASL014", "str_length"),
    "argument of another type": (model(int, pa.Field(ge="a")), "ASL014", "'a'"),
    "infinite argument": (model(float, pa.Field(lt=float("inf"))), "ASL014", "inf"),
    "null among values": (model(int, pa.Field(isin=[1, None])), "ASL014", "None"),
    "zone of another kind": (
        model(pl.Datetime("us", "UTC"), pa.Field(ge=dt.datetime(2025, 1, 1))),  # noqa: DTZ001 - the point
        "ASL014",
        "cannot be compared",
    ),
    "look-ahead": (
        model(str, pa.Field(str_matches="a(?=b)")),
        "ASL014",
        "look-behind, which not every engine reads alike",
    ),
    "flags": (model(str, pa.Field(str_contains=re.compile("a", re.IGNORECASE))), "ASL014", "flags"),
    "default of another type": (model(int, pa.Field(default="many")), "ASL019", "'many'"),
    "whole dtype": (model(int, None, {"dtype": int}), "ASL017", "Config.dtype"),
    "dropped rows": (model(int, None, {"drop_invalid_rows": True}), "ASL017", "loses rows"),
    "ordered": (model(int, None, {"ordered": True}), "ASL017", "ordered but not strict"),
    "reserved": (model(int, pa.Field(alias="source_row")), "ASL018", "reserved"),
    "unknown key": (model(int, None, {"unique": ["y"]}), "ASL017", "'y'"),
    "no columns": (type("Empty", (pa.DataFrameModel,), {}), "ASL018", "no columns"),
    "case": (
        type("Case", (pa.DataFrameModel,), {"__annotations__": {"x": int, "X": int}}),
        "ASL018",
        "in case only",
    ),
    "case of fields": (model(pl.Struct({"a": pl.Int8, "A": pl.Int8})), "ASL018", "two fields"),
    "no model": (dict, "ASL010", "not a pandera.polars.DataFrameModel"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_lowered_is_refused(case: str) -> None:
    given, code, what = REFUSED[case]
    with pytest.raises(CompileError) as error:
        lower_contract(given, HERE)
    assert error.value.code == code
    assert what in error.value.what
    assert given.__name__ in error.value.what
    assert error.value.hint
    assert (error.value.where.pipeline, error.value.where.asset) == ("shop", "orders")


def test_the_error_points_at_the_models_own_line() -> None:
    class Late(pa.DataFrameModel):
        early: int
        opens: pl.Time

    with pytest.raises(CompileError, match=r"Late\.opens") as error:
        lower_contract(Late, HERE)
    first = inspect.getsourcelines(Late)[1]
    assert (error.value.where.file, error.value.where.line) == (relative(__file__), first + 2)
