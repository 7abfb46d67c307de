"""Many files in one unit, of one type or of several: the same rows on DuckDB and Spark, and no number changed."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from step_outcome import Outcome, outcome

from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.engines import InputFile
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan

pytestmark = pytest.mark.spark


def plan(kind: DataType) -> AssetPlan:
    module = sys.modules.setdefault("many_transforms", ModuleType("many_transforms"))
    module.same = lambda orders: orders  # type: ignore[attr-defined] # where the plan's text finds it
    columns = (Column("n", kind, nullable=True, coerce=True), Column("day", DataType("string")))
    contract = Contract("Order", columns)
    given = InputPlan("orders", FormatPlan("parquet"), contract)
    return AssetPlan("p", "a", "many_transforms:same", (given,), OutputPlan(contract))


def outcomes(kind: DataType, arrays: list[pa.Array], folder: Path) -> tuple[Outcome, Outcome]:
    files = []
    for number, array in enumerate(arrays):
        path = folder / f"{number:04d}.parquet"
        pq.write_table(pa.table({"n": array}), path)
        files.append(InputFile(str(path), f"s3://landing/a b+{number}", {"day": f"d{number % 7}"}))
    first, other = (outcome(plan(kind), engine, {"orders": files}, folder) for engine in ("duckdb", "spark"))
    return first, other


def test_each_row_is_told_its_own_files_folder(spark: Any, tmp_path: Path) -> None:
    arrays = [pa.array([number, -1]) for number in range(90)]
    first, other = outcomes(DataType("int64"), arrays, tmp_path)
    assert first == other
    rows = sorted(row for row in first.rows if "-1" not in row)
    assert rows == sorted(repr(([], [number, f"d{number % 7}"])) for number in range(90))


@pytest.mark.parametrize(
    ("arrays", "kind"),
    [
        ([pa.array([1, 2]), pa.array([1.0, None])], DataType("int64")),
        ([pa.array([2**53, -(2**53)]), pa.array([0.5])], DataType("float64")),
        ([pa.array([2**24], pa.int32()), pa.array([0.5], pa.float32())], DataType("float64")),
        ([pa.array([Decimal("12.25")]), pa.array([0.5])], DataType("decimal", precision=12, scale=2)),
        ([pa.array([2**62]), pa.array(["7"])], DataType("int64")),
    ],
    ids=("whole numbers", "large numbers", "float32", "decimal", "text"),
)
def test_types_that_are_united(arrays: list[pa.Array], kind: DataType, spark: Any, tmp_path: Path) -> None:
    first, other = outcomes(kind, arrays, tmp_path)
    assert first == other
    assert first.rejected is None
    assert len(first.rows) == sum(len(array) for array in arrays)


@pytest.mark.parametrize(
    "exact",
    [
        pa.array([1, 2**53 + 1]),
        pa.array([-(2**53) - 1]),
        pa.array([2**63], pa.uint64()),
        pa.array([Decimal("90071992547409.93")]),
    ],
    ids=("int64", "negative", "uint64", "decimal"),
)
def test_numbers_that_floats_would_change_name_their_file(
    exact: pa.Array, spark: Any, tmp_path: Path
) -> None:
    arrays = [pa.array([0.5]), exact, pa.array([3])]
    first, other = outcomes(DataType("decimal", precision=38, scale=2), arrays, tmp_path)
    assert first == other == Outcome(rejected="InexactNumbers: s3://landing/a b+1")
