"""A page that is not what was written rejects its file, by name and on every engine; other files are not blamed."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan
from aws_runtime.step import StepResult, run_step

CONTRACT = Contract("Order", (Column("id", DataType("string")), Column("x", DataType("float64"))))
ROWS = 20_000
ENGINES = ["duckdb", "polars", pytest.param("spark", marks=pytest.mark.spark)]


def plan(engine: str) -> AssetPlan:
    module = sys.modules.setdefault("corrupt_transforms", ModuleType("corrupt_transforms"))
    module.same = lambda orders: orders  # type: ignore[attr-defined] # where the plan's text finds it
    given = InputPlan("orders", FormatPlan("parquet"), CONTRACT)
    return AssetPlan("p", "a", "corrupt_transforms:same", (given,), OutputPlan(CONTRACT), engine=engine)


def good(**options: Any) -> bytes:
    buffer = io.BytesIO()
    table = pa.table(
        {"id": [str(n) for n in range(ROWS)], "x": [float(n) for n in range(ROWS)], "more": [1] * ROWS}
    )
    pq.write_table(table, buffer, use_dictionary=False, **options)
    return buffer.getvalue()


def damaged(data: bytes, column: int = 0) -> bytes:
    """Change some bytes in the middle of a column's pages."""
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(0).column(column)
    middle = chunk.data_page_offset + chunk.total_compressed_size // 2
    return data[:middle] + bytes(byte ^ 0x55 for byte in data[middle : middle + 8]) + data[middle + 8 :]


def ran(engine: str, files: dict[str, bytes], folder: Path) -> StepResult:
    inputs = []
    for name, data in files.items():
        path = folder / f"{name}.parquet"
        path.write_bytes(data)
        inputs.append(InputFile(str(path), f"s3://landing/{name}"))
    to = {name: str(folder / name) for name in ("destination", "quarantine")}
    for name in to.values():
        Path(name).mkdir()
    limits = Limits(2**29, 2, str(folder / "spill"))
    return run_step(plan(engine), {"orders": inputs}, **to, stem="s", limits=limits)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "options",
    [
        {"compression": "none"},
        {"compression": "snappy"},
        {"compression": "gzip"},
        # These decode all the same, to other values: only the checksum tells.
        {"compression": "zstd", "write_page_checksum": True},
        {"compression": "none", "write_page_checksum": True},
        {"compression": "none", "write_page_checksum": True, "data_page_version": "2.0"},
    ],
    ids=str,
)
def test_broken_page(
    engine: str, options: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "spark":
        request.getfixturevalue("spark")
    fine = good(**options)
    with pytest.raises(RejectedFile) as found:
        ran(engine, {"good": fine, "bad": damaged(fine)}, tmp_path)
    assert (found.value.code, found.value.uri) == ("CorruptFile", "s3://landing/bad")
    assert "page" in found.value.reason
    assert "\n" not in found.value.reason
    assert str(tmp_path) not in found.value.reason


@pytest.mark.parametrize("engine", ENGINES)
def test_a_page_that_nobody_reads_may_be_broken(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "spark":
        request.getfixturevalue("spark")
    data = good(compression="none", write_page_checksum=True)
    assert ran(engine, {"bad": damaged(data, column=2)}, tmp_path).rows_out == ROWS
