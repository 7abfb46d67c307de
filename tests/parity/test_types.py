"""A contract of every type and every check, from each format, on every engine that can."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from contract_data import same
from step_outcome import assert_equal, engines
from test_parity import write_input

from aws_runtime.contract import Column, Contract, DataType, Field, Rule, Severity
from aws_runtime.engines import InputFile
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan, PartitionPlan

pytestmark = pytest.mark.spark

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
LEAVES = (
    *(DataType(name) for name in (*INTEGERS, "float32", "float64", "string", "boolean", "date", "binary")),
    DataType("decimal", precision=10, scale=2),
    DataType("decimal", precision=38, scale=0),
    DataType("timestamp"),
    DataType("timestamp", timezone="Europe/Paris"),
)
NESTED = (
    DataType("list", item=DataType("decimal", precision=5, scale=1)),
    DataType("list", item=DataType("list", item=DataType("int32"))),
    DataType("struct", fields=(Field("at", DataType("timestamp", timezone="UTC")), Field("b'`\"", DataType("uint8")))),
    DataType("list", item=DataType("struct", fields=(Field("day", DataType("date")), Field("n", DataType("list", item=DataType("float64")))))),
)  # fmt: skip


def contract(name: str, *, loose: bool) -> Contract:
    """Columns of every type; the output's has the rules, the source's is `loose`."""
    columns = tuple(
        Column(f"c{i} {kind.name}", kind, nullable=loose or i % 3 > 0, coerce=True)
        for i, kind in enumerate((*LEAVES, *NESTED))
    )
    return Contract(name, columns)


def flat(name: str, *, loose: bool) -> Contract:
    """As `contract`, without what CSV cannot hold."""
    whole = contract(name, loose=loose)
    return Contract(name, whole.columns[: len(LEAVES)])


def ruled(severity: Severity) -> Contract:
    """One column for each check, over the types that the check is for."""
    integer, real, text = DataType("int64"), DataType("float64"), DataType("string")
    decimal, day = DataType("decimal", precision=10, scale=2), DataType("date")
    checks: tuple[tuple[str, DataType, dict[str, Any]], ...] = (
        ("equal_to", integer, {"value": 7}),
        ("not_equal_to", text, {"value": "O'Neil"}),
        ("greater_than", real, {"min_value": 0.0}),
        ("greater_than_or_equal_to", decimal, {"min_value": "1.00"}),
        ("less_than", day, {"max_value": "2025-01-17"}),
        ("less_than_or_equal_to", integer, {"max_value": 42}),
        ("in_range", real, {"min_value": -2.25, "max_value": 19.99, "include_min": False, "include_max": True}),
        ("isin", text, {"allowed_values": ["x", "back\\slash", "$5 ${x} \\u0041", "Zoë", "two\nlines"]}),
        ("notin", integer, {"forbidden_values": [1, 7]}),
        ("str_startswith", text, {"string": "na"}),
        ("str_endswith", text, {"string": 'i"'}),
        ("str_length", text, {"min_value": 1, "max_value": 12}),
    )  # fmt: skip
    columns = tuple(
        Column(
            f"r{i}",
            kind,
            nullable=True,
            coerce=True,
            rules=(Rule(f"r{i}.{check}", check, args, severity),),
        )
        for i, (check, kind, args) in enumerate(checks)
    )
    unique = Column("key", DataType("decimal", precision=20, scale=0), nullable=True, unique=True)
    # Few values are drawn, so all rows repeat a key: with it, none could be written.
    return Contract("Ruled", (*columns, unique) if severity is Severity.ERROR else columns)


def plan(source: Contract, output: Contract, form: str, by: tuple[PartitionPlan, ...] = ()) -> AssetPlan:
    given = InputPlan("frame", FormatPlan(form), source, origin="asset" if form == "parquet" else "source")
    return AssetPlan("types", "all", f"{same.__module__}:{same.__name__}", (given,), OutputPlan(output, by))


@pytest.mark.parametrize(("form", "seed"), [("json", 1), ("json", 2), ("parquet", 3)])
def test_every_type(form: str, seed: int, spark: Any, tmp_path: Path) -> None:
    made = plan(contract("Loose", loose=True), contract("Strict", loose=False), form)
    inputs = {"frame": [write_input(made.inputs[0], random.Random(seed), tmp_path, 0.02, 200)]}
    both = assert_equal(made, inputs, tmp_path)
    assert both.rows
    assert both.quarantine


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_leaf(form: str, spark: Any, tmp_path: Path) -> None:
    made = plan(flat("Loose", loose=True), flat("Strict", loose=False), form)
    assert "polars" in engines(made)
    inputs = {"frame": [write_input(made.inputs[0], random.Random(4), tmp_path, 0.02, 300)]}
    both = assert_equal(made, inputs, tmp_path)
    assert both.rows
    assert both.quarantine


@pytest.mark.parametrize("form", ["json", "csv"])
def test_records_that_cannot_be_read_break_no_rule(form: str, spark: Any, tmp_path: Path) -> None:
    text, number = DataType("string"), DataType("int64")
    given = Contract("Keyed", (Column("key", text, nullable=True, unique=True), Column("n", number)))
    path = tmp_path / "file"
    sound = {"json": '{"key": null, "n": 1}', "csv": ",1"}[form]
    path.write_text("\n".join([*(["key,n"] if form == "csv" else []), sound, "oops", "oops"]))
    both = assert_equal(
        plan(given, given, form), {"frame": [InputFile(str(path), "s3://landing/f")]}, tmp_path
    )
    assert (len(both.rows), both.counts[-1]) == (1, {"frame.record.malformed": 2})


@pytest.mark.parametrize(
    ("severity", "form"), [(Severity.ERROR, "json"), (Severity.WARN, "json"), (Severity.WARN, "csv")]
)
def test_every_check(severity: Severity, form: str, spark: Any, tmp_path: Path) -> None:
    made = plan(ruled(severity), ruled(severity), form)
    inputs = {"frame": [write_input(made.inputs[0], random.Random(5), tmp_path, 0.02, 300)]}
    both = assert_equal(made, inputs, tmp_path)
    violated = {rule for rule in both.counts[-1] if rule.startswith("frame.r")}
    assert len(violated) >= 12
    assert bool(both.rows) == (severity is Severity.WARN)


@pytest.mark.parametrize(
    "transform", ["identity", "day", "month", "year", "hour", "month_of_year", "day_of_month"]
)
def test_every_partition(transform: str, spark: Any, tmp_path: Path) -> None:
    kind = "string" if transform == "identity" else "timestamp" if transform == "hour" else "date"
    given = Contract(
        "Parts", (Column("p", DataType(kind), nullable=True), Column("n", DataType("int64"), nullable=True))
    )
    made = plan(given, given, "parquet", (PartitionPlan("part", "p", transform),))
    inputs = {"frame": [write_input(made.inputs[0], random.Random(6), tmp_path, 0.2, 60)]}
    both = assert_equal(made, inputs, tmp_path)
    assert len(both.names) > 1
