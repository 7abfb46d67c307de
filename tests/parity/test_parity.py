"""Every asset of every pipeline, on every engine that can: the same rows, types, quarantine and counts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contract_data import Wishes, csv_file, line, value, wished, wishes
from step_outcome import assert_equal

from aws_runtime.engines import InputFile
from aws_runtime.plan import AssetPlan, InputPlan
from ingestion_assets.arrow import arrow_schema
from ingestion_assets.pipelines import discover
from ingestion_assets.plan import asset_plan

pytestmark = pytest.mark.spark

PLANS = [asset_plan(pipeline, asset) for pipeline in discover() for asset in pipeline.assets]
by_asset = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.pipeline}-{plan.asset}")


def write_input(
    given: InputPlan,
    rng: random.Random,
    folder: Path,
    badness: float,
    count: int,
    wanted: Wishes | None = None,
) -> InputFile:
    """Write a file of random records as the input is read: NDJSON, CSV, or Parquet of an upstream asset."""
    if given.format.name == "csv":
        path = folder / f"{given.name}.csv"
        path.write_bytes(csv_file(rng, given.contract, given.format.options, badness, count, wanted))
    elif given.format.name == "json":
        path = folder / f"{given.name}.json"
        path.write_bytes(b"".join(line(rng, given.contract, badness, wanted) + b"\n" for _ in range(count)))
    else:
        path = folder / f"{given.name}.parquet"
        rows = [
            {
                c.name: wished(rng, c.name, c.type, wanted or {})
                or value(rng, c.type, badness / 2 if c.nullable else 0)
                for c in given.contract.columns
            }
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
    wanted = wishes(plan.output.contract)
    inputs = {given.name: [write_input(given, rng, tmp_path, badness, 400, wanted)] for given in plan.inputs}
    both = assert_equal(plan, inputs, tmp_path)
    assert both.rejected is None
    assert both.rows or badness == 0.5
    assert both.quarantine
