"""Merge and scd2 on files: DuckDB and Spark make the same table of the same runs, also taking turns."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.keyed import row_contract
from aws_runtime.curation.merging import Keyed, local_files, meet
from aws_runtime.engines import InputFile, Limits
from aws_runtime.plan import AssetPlan
from aws_runtime.step import StepResult, run_step

KEYS = ("at", "shop", "id")
SCHEMA = pa.schema(
    [
        ("at", pa.timestamp("us", "UTC")),
        ("shop", pa.string()),
        ("id", pa.int64()),
        ("price", pa.float64()),
        ("cost", pa.decimal128(9, 2)),
        ("seen", pa.timestamp("us")),
        ("tags", pa.list_(pa.string())),
        ("count", pa.int16()),
    ]
)
TYPES: dict[str, Any] = {
    "at": {"name": "timestamp", "timezone": "UTC"},
    "shop": {"name": "string"},
    "id": {"name": "int64"},
    "price": {"name": "float64"},
    "cost": {"name": "decimal", "precision": 9, "scale": 2},
    "seen": {"name": "timestamp"},
    "tags": {"name": "list", "item": {"name": "string"}},
    "count": {"name": "uint8"},
}
FIRST = dt.datetime(2024, 7, 1, tzinfo=dt.UTC)

hours = st.sampled_from([FIRST, FIRST + dt.timedelta(hours=1, microseconds=5), FIRST + dt.timedelta(days=1)])
keys = st.tuples(hours, st.sampled_from(["a", "it's/é", "", "x y%"]), st.integers(0, 2))
values = st.tuples(
    st.none() | st.sampled_from([0.0, -0.0, 1.5, float("inf")]),
    st.none() | st.decimals(0, 9, places=2),
    st.none() | st.sampled_from([dt.datetime.fromisoformat("1969-12-31T23:59:59.999999")]),
    st.none() | st.lists(st.none() | st.sampled_from(["u", ""]), max_size=2),
    st.none() | st.integers(0, 255),
)
runs = st.lists(st.dictionaries(keys, values, min_size=1, max_size=5), min_size=2, max_size=3)


def same(landed: Any) -> Any:
    return landed


def plan(engine: str, by: Sequence[dict[str, str]]) -> AssetPlan:
    columns = [
        {"name": name, "type": kind, "nullable": name not in KEYS, "coerce": True}
        for name, kind in TYPES.items()
    ]
    contract = {"name": "Sale", "columns": columns}
    found = AssetPlan.from_json(
        {
            "pipeline": "shop",
            "asset": "sales",
            "transform": "test_merge_parity:same",
            "inputs": [{"name": "landed", "format": {"name": "parquet"}, "contract": contract}],
            "output": {"contract": contract, "partition_by": list(by)},
            "engine": engine,
        }
    )
    kept = row_contract(found.output.contract, KEYS, found.output.partition_by)
    return dataclasses.replace(found, output=dataclasses.replace(found.output, contract=kept))


#: By column and by what is derived of one.
LAYOUTS: dict[str, tuple[dict[str, str], ...]] = {
    "none": (),
    "day and shop": (
        {"name": "day", "column": "at", "transform": "day"},
        {"name": "shop", "column": "shop"},
    ),
    "moment": ({"name": "at", "column": "at"},),
}


def run(folder: Path, asset: AssetPlan, rows: dict[Any, Any], how: Keyed, number: int) -> StepResult:
    source, table, new = folder / f"{number}.parquet", folder / "table", folder / f"new-{number}"
    listed = [dict(zip(SCHEMA.names, (*key, *value), strict=True)) for key, value in rows.items()]
    pq.write_table(pa.Table.from_pylist(listed, SCHEMA), source)
    replaced: list[str] = []

    def met(engine: Any, result: StepResult) -> StepResult:
        existing = local_files(table, result.files, asset.output.contract, asset.output.partition_by)
        replaced.extend(file.path for file in existing)
        found = meet(
            engine,
            asset,
            how,
            incoming=result.files,
            existing=existing,
            destination=str(new),
            scratch=str(folder / "scratch"),
            stem=f"run-{number}",
        )
        counts = {"existing": found.rows_existing, "merged": found.rows_merged, "staged": found.rows_staged}
        return dataclasses.replace(result, files=found.files, met=counts)

    result = run_step(
        asset,
        {"landed": [InputFile(str(source), "s3://landing/sales.parquet")]},
        destination=str(folder / f"incoming-{number}"),
        quarantine=str(folder / f"quarantine-{number}"),
        stem=f"run-{number}",
        limits=Limits(512 * 2**20, 2, str(folder)),
        meet=met,
    )
    for path in replaced:
        Path(path).unlink()
    for file in result.files:
        target = table / Path(file.path).relative_to(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(file.path).replace(target)
    return result


def table(folder: Path) -> tuple[list[str], list[str]]:
    """Return every row with the folder that it lies in, and the schemas of the files."""
    rows: list[str] = []
    schemas = set()
    for path in sorted((folder / "table").rglob("*.parquet")):
        found = pq.ParquetFile(path).read()
        schemas.add(str([(f.name, str(f.type).replace("large_", "")) for f in found.schema]))
        where = path.parent.relative_to(folder / "table").as_posix()
        rows += [repr((where, list(row.values()))) for row in found.to_pylist()]
    return sorted(rows), sorted(schemas)


@pytest.mark.spark
@pytest.mark.parametrize(
    ("mode", "layout"),
    [
        (WriteMode.MERGE, "none"),
        (WriteMode.MERGE, "day and shop"),
        (WriteMode.SCD2, "day and shop"),
        (WriteMode.SCD2, "moment"),
    ],
)
def test_engines_make_the_same_table(mode: WriteMode, layout: str, spark: Any) -> None:
    @settings(max_examples=2, deadline=None)
    @given(runs)
    def compare(deliveries: list[dict[Any, Any]]) -> None:
        turns = {"duckdb": ["duckdb"], "spark": ["spark"], "both": ["spark", "duckdb"]}
        with tempfile.TemporaryDirectory() as place:
            outcomes = {name: Path(place, name) for name in turns}
            for name, engines in turns.items():
                outcomes[name].mkdir()
                for number, rows in enumerate(deliveries):
                    how = Keyed(mode, KEYS, FIRST + dt.timedelta(days=number))
                    asset = plan(engines[number % len(engines)], LAYOUTS[layout])
                    result = run(outcomes[name], asset, rows, how, number)
                    refused = sum(not key[1] for key in rows) if "shop" in layout else 0
                    assert (result.rows_in, result.rows_quarantined) == (len(rows), refused)
            tables = {name: table(folder) for name, folder in outcomes.items()}
            assert tables["spark"] == tables["duckdb"]
            assert tables["both"] == tables["duckdb"]

    compare()
