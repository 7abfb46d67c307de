"""A faulty transform is the code's fault: one line that says where, and no file is rejected for it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import narwhals as nw
import pytest

from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import TransformError
from aws_runtime.step import run_step
from aws_runtime.unit_run import MemoryExhaustedError, resources_named
from aws_runtime.units import Unit
from ingestion_assets.plan import asset_plan
from tests.pipelines.diamond.pipeline import pipeline

ASSET = next(asset for asset in pipeline.assets if set(asset.inputs.values()) == {"readings"})
PLAN = asset_plan(pipeline, ASSET)


def raises(readings: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    del readings
    raise KeyError("oops")


def misspells(readings: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return readings.select("no_such_column")


def returns_native(readings: nw.LazyFrame[Any]) -> Any:
    return readings.to_native()


def returns_nothing(readings: nw.LazyFrame[Any]) -> None:
    del readings


def drops_columns(readings: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return readings.select("source_row")


def exhausts(readings: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    del readings
    raise MemoryError


def run(transform, folder):
    sent = folder / "readings.json"
    sent.write_text(json.dumps({c.name: None for c in PLAN.inputs[0].contract.columns}) + "\n")
    return run_step(
        replace(PLAN, transform=f"{__name__}:{transform.__name__}"),
        {"readings": [InputFile(str(sent), "s3://sensors/readings.json")]},
        destination=str(folder / "out"),
        quarantine=str(folder / "quarantine"),
        stem="stem",
        limits=Limits(200_000_000, 1, str(folder / "spill")),
    )


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (
            raises,
            f"raises at test_transform_faults.py:{raises.__code__.co_firstlineno + 2}: KeyError: 'oops'",
        ),
        (misspells, f"raises at test_transform_faults.py:{misspells.__code__.co_firstlineno + 1}: Column"),
        (returns_native, "DuckDBPyRelation; return the Narwhals LazyFrame itself"),
        (returns_nothing, "returns NoneType; return the Narwhals LazyFrame itself"),
        (drops_columns, "returns too few columns: "),
    ],
)
def test_fault_is_one_line_that_names_the_transform(transform, said, tmp_path):
    with pytest.raises(TransformError) as caught:
        run(transform, tmp_path)
    line = str(caught.value)
    assert line.startswith(f"{PLAN.pipeline}/{PLAN.asset}: {__name__}:{transform.__name__} ")
    assert said in line
    assert "\n" not in line


def test_exhausted_memory_keeps_its_own_name(tmp_path):
    unit = Unit("0" * 16, "0" * 16, datetime(2025, 1, 17, tzinfo=UTC), "", {}, {})
    with pytest.raises(MemoryExhaustedError), resources_named(PLAN, unit):
        run(exhausts, tmp_path)
