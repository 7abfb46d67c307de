"""Every asset of every pipeline, on DuckDB and on Spark: the same rows, types, quarantine and counts."""

from __future__ import annotations

import dataclasses
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contract_data import line, value

from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.plan import AssetPlan, InputPlan
from aws_runtime.step import StepResult, run_step
from ingestion_assets.arrow import arrow_schema
from ingestion_assets.pipelines import discover
from ingestion_assets.plan import asset_plan

pytestmark = pytest.mark.spark

STEM = "20250117T101502Z-0123456789abcdef"
PLANS = [asset_plan(pipeline, asset) for pipeline in discover() for asset in pipeline.assets]
by_asset = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.pipeline}-{plan.asset}")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """All that a step leaves, in a form that compares."""

    rejected: str | None = None
    rows: tuple[str, ...] = ()
    schemas: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    quarantine: tuple[str, ...] = ()
    counts: tuple[Any, ...] = ()


def outcome(plan: AssetPlan, engine: str, inputs: dict[str, list[InputFile]], folder: Path) -> Outcome:
    try:
        result = run_step(
            dataclasses.replace(plan, engine=engine),
            inputs,
            destination=str(folder / engine / "out"),
            quarantine=str(folder / engine / "quarantine"),
            stem=STEM,
            limits=Limits(512 * 2**20, 2, str(folder / engine / "spill")),
        )
    except RejectedFile as error:
        return Outcome(rejected=f"{error.code}: {error.uri}")
    assert result.rows_in == result.rows_out + result.rows_quarantined
    return read_back(result, folder / engine / "out")


def read_back(result: StepResult, out: Path) -> Outcome:
    rows, schemas, quarantine = [], set(), []
    for file in result.files:
        table = pq.ParquetFile(file.path).read()
        assert table.num_rows == file.rows
        schemas.add(str([(f.name, str(f.type)) for f in table.schema]))
        rows += [repr((sorted(file.partition.items()), list(row.values()))) for row in table.to_pylist()]
    for file in result.quarantine:
        table = pq.ParquetFile(file.path).read()
        assert table.num_rows == file.rows
        for row in table.to_pylist():
            try:
                record = json.loads(row["record"])
            except ValueError:
                record = row["record"]
            quarantine.append(
                repr((row["stage"], row["source_uri"], row["source_row"], sorted(row["reasons"]), record))
            )
    return Outcome(
        rows=tuple(sorted(rows)),
        schemas=frozenset(schemas),
        names=tuple(sorted(Path(f.path).relative_to(out).as_posix() for f in result.files)),
        quarantine=tuple(sorted(quarantine)),
        counts=(
            dict(result.records_in),
            result.rows_in,
            result.rows_out,
            result.rows_quarantined,
            dict(sorted(result.violations.items())),
        ),
    )


def assert_equal(plan: AssetPlan, inputs: dict[str, list[InputFile]], folder: Path) -> Outcome:
    small = outcome(plan, "duckdb", inputs, folder)
    large = outcome(plan, "spark", inputs, folder)
    for field in dataclasses.fields(Outcome):
        assert getattr(large, field.name) == getattr(small, field.name), field.name
    return small


def write_input(given: InputPlan, rng: random.Random, folder: Path, badness: float, count: int) -> InputFile:
    """Write a file of random records as the input is read: NDJSON, or Parquet of an upstream asset."""
    if given.format.name == "json":
        path = folder / f"{given.name}.json"
        path.write_bytes(b"".join(line(rng, given.contract, badness) + b"\n" for _ in range(count)))
    else:
        path = folder / f"{given.name}.parquet"
        rows = [
            {c.name: value(rng, c.type, badness / 2 if c.nullable else 0) for c in given.contract.columns}
            for _ in range(count)
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(given.contract)), path)
    return InputFile(str(path), f"s3://landing/{given.name}")


@by_asset
@pytest.mark.parametrize(("seed", "badness"), [(1, 0.0), (2, 0.03), (3, 0.15), (4, 0.5)])
def test_same_result_on_random_records(
    plan: AssetPlan, seed: int, badness: float, spark: Any, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    inputs = {given.name: [write_input(given, rng, tmp_path, badness, 400)] for given in plan.inputs}
    both = assert_equal(plan, inputs, tmp_path)
    assert both.rejected is None
    assert both.rows or badness == 0.5
    assert both.quarantine
