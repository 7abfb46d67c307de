"""The demo runs every pipeline, and tells when the two lives of one disagree."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from ingestion_assets.pipelines import discover
from ingestion_assets.sample_files import Sample

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def demo(monkeypatch):
    """The demo's modules, which are scripts and in no package."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import compare  # noqa: PLC0415 - found by the line above
    import examples  # noqa: PLC0415
    import outcome  # noqa: PLC0415

    yield SimpleNamespace(compare=compare, examples=examples, outcome=outcome)
    for name in ("compare", "examples", "outcome"):
        del sys.modules[name]


def test_every_pipeline_is_part_of_the_demo(demo):
    assert sorted(e.name for e in demo.examples.EXAMPLES) == sorted(p.name for p in discover())


def test_a_sample_is_written_anew(demo, tmp_path):
    example = next(e for e in demo.examples.EXAMPLES if e.name == "ndjson_to_parquet")
    stale = [
        tmp_path / "input/pipeline/input/2025-01-01-old.ndjson",
        tmp_path / "output/pipeline/output/year=2025/old.parquet",
        tmp_path / "output/_runs/ndjson_to_parquet/events/0.json",
        tmp_path / "quarantine/rows/ndjson_to_parquet/events/old.parquet",
    ]
    kept = tmp_path / "quarantine/rows/orders_etl/order_lines/other.parquet"
    for path in (*stale, kept):
        path.parent.mkdir(parents=True)
        path.touch()
    made = example.generate(tmp_path, 3)
    assert made.files == len(list((tmp_path / "input/pipeline/input").iterdir())) == 3
    assert not any(path.exists() for path in stale)
    assert kept.exists()


def test_a_large_file_exceeds_the_threshold_of_its_asset(demo, tmp_path):
    example = next(e for e in demo.examples.EXAMPLES if e.name == "csv_to_parquet")
    example.generate(tmp_path, 4)
    sizes = [p.stat().st_size for p in example.landing(tmp_path).rglob("*") if p.is_file()]
    assert sum(size > example.asset.processor.threshold_bytes for size in sizes) == 1


def test_rows_are_compared_as_bags(demo, tmp_path):
    for name, folder, rows in (("a", "left", [1, 2, 2]), ("b", "right", [2, 1]), ("c", "right", [2])):
        path = tmp_path / folder / f"k={name == 'x'}" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"n": rows, "where": [name] * len(rows)}).write_parquet(path)
    same = demo.compare.compare_parquet(tmp_path / "left", tmp_path / "right", ("where",))
    assert (same.equal, same.left_rows, same.right_rows) == (True, 3, 3)
    assert not demo.compare.compare_parquet(tmp_path / "left", tmp_path / "right").equal
    pl.DataFrame({"n": [2], "where": ["c"]}).write_parquet(tmp_path / "right" / "k=False" / "d.parquet")
    twice = demo.compare.compare_parquet(tmp_path / "left", tmp_path / "right", ("where",))
    assert (twice.only_left, twice.only_right) == (0, 1)


@pytest.mark.parametrize(
    ("there", "problem"),
    [
        ({}, None),
        ({"rows_out": 7}, "the state machine lost rows"),
        ({"rows_in": 9, "rows_out": 7}, "the counts differ"),
        ({"rejected": ()}, "the state machine rejected 0 files, 1 are broken"),
        ({"rows_in": 9, "rows_quarantined": 1}, "the state machine quarantined 1 rows, 2 are bad"),
        ({"unfinished": ("b.csv: RUNNING",)}, "the state machine has not finished b.csv: RUNNING"),
    ],
)
def test_what_is_wrong_is_said(demo, there, problem):
    well = demo.outcome.Outcome(rows_in=10, rows_out=8, rows_quarantined=2, rejected=("a.csv",))
    verdict = demo.outcome.Verdict("sales", Sample(3, 1, 10, 2), well, replace(well, **there), {}, "")
    assert bool(verdict.problems) == (problem is not None)
    assert problem is None or any(said.startswith(f"sales: {problem}") for said in verdict.problems)


def test_rows_that_differ_are_a_problem(demo):
    well = demo.outcome.Outcome(rows_in=10, rows_out=8, rows_quarantined=2, rejected=("a.csv",))
    differ = {"rows": demo.compare.Difference(8, 8, 1, 1, ())}
    verdict = demo.outcome.Verdict("sales", Sample(3, 1, 10, 2), well, well, differ, "")
    assert verdict.problems == ("sales: rows differ",)
