"""What is measured, as data: inputs, contenders and goals of each case."""

# ruff: noqa: PLC0415 - a case's plan is compiled only when the case is run
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BENCH_PYTHON, FOLDER, Contender, repeated
from bench.orders_data import order_file
from bench.sales_data import sales_file

Medians = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Goal:
    """A figure of merit.

    Args:
        name: In the results.
        text: For people.
        value: From the medians by contender, with ours at many times the size as `larger`.
        most: It should be at most this …
        least: … or at least this.
    """

    name: str
    text: str
    value: Callable[[Medians], float]
    most: float | None = None
    least: float | None = None

    def met(self, value: float) -> bool:
        """Return whether a value reaches the goal."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)


@dataclass(frozen=True)
class Case:
    """One comparison; the first contender is ours, and reads its plan from BENCH_PLAN.

    Args:
        name: `ndjson`, `csv`.
        module: Where the contenders' functions are.
        source: Megabytes -> the input, made once.
        larger: Megabytes and how many times as many -> the input of the memory run.
        plan: Writes the plan of our step and returns its path.
        contenders: In the order of the table.
        goals: Of the case.
    """

    name: str
    module: str
    source: Callable[[int], Path]
    larger: Callable[[int, int], Path]
    plan: Callable[[], Path]
    contenders: tuple[Contender, ...]
    goals: tuple[Goal, ...]


def seconds(name: str, other: str) -> Callable[[Medians], float]:
    """Return a goal's value: how many times the seconds of `other` does `name` take."""
    return lambda medians: round(medians[name]["seconds"] / medians[other]["seconds"], 2)


def peak(name: str) -> Callable[[Medians], float]:
    """Return a goal's value: the peak MB of `name`."""
    return lambda medians: medians[name]["peak_mb"]


def orders_plan() -> Path:
    """Write the plan of orders_etl."""
    from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
    from ingestion_assets.plan import asset_plan

    path = FOLDER / "orders-plan.json"
    path.write_text(json.dumps(asset_plan(pipeline, order_lines).to_json()))
    return path


def sales_plan() -> Path:
    """Write the plan of the CSV case's asset."""
    from bench.sales_contract import checked_sales, pipeline
    from ingestion_assets.plan import asset_plan

    path = FOLDER / "sales-plan.json"
    path.write_text(json.dumps(asset_plan(pipeline, checked_sales).to_json()))
    return path


NDJSON = Case(
    name="ndjson",
    module="bench.orders_contenders",
    source=order_file,
    larger=lambda megabytes, times: repeated(order_file(megabytes), times),
    plan=orders_plan,
    contenders=(
        Contender("ours", "ours: contract, quarantine, partitioned Parquet"),
        Contender("duckdb_copy", "DuckDB COPY, no contract (the floor)"),
        Contender("duckdb_copy_tuned", "DuckDB COPY, no contract, flushed early as ours"),
        Contender("polars_streaming", "Polars streaming, no contract"),
        Contender("pandas_chunks", "pandas + pyarrow in chunks, no contract", BENCH_PYTHON, once=True),
        Contender(
            "awswrangler_chunks",
            "awswrangler in chunks over S3, no contract",
            BENCH_PYTHON,
            once=True,
            over_s3=True,
        ),
    ),
    goals=(
        Goal("times_floor", "ours / DuckDB COPY, seconds", seconds("ours", "duckdb_copy"), most=1.5),
        Goal("times_tuned_floor", "ours / tuned DuckDB COPY, seconds", seconds("ours", "duckdb_copy_tuned")),
        Goal("faster_than_pandas", "pandas / ours, seconds", seconds("pandas_chunks", "ours"), least=8),
        Goal("peak_mb", "ours, peak MB", peak("ours"), most=512),
        Goal("peak_mb_larger", "ours at many times the size, peak MB", peak("larger"), most=512),
    ),
)
CSV = Case(
    name="csv",
    module="bench.sales_contenders",
    source=sales_file,
    # Not the same lines again: their keys are unique.
    larger=lambda megabytes, times: sales_file(megabytes * times),
    plan=sales_plan,
    contenders=(
        Contender("ours", "ours: contract, quarantine, partitioned Parquet", judges=True),
        Contender("duckdb_copy", "DuckDB COPY, no contract"),
        Contender("duckdb_copy_tuned", "DuckDB COPY, no contract, flushed early"),
        Contender("polars_plain", "Polars scan and sink, no contract"),
        Contender("pandera_polars", "Pandera on Polars, quarantine", once=True, memory=6, judges=True),
        Contender(
            "pandera_pandas", "Pandera on pandas, quarantine", BENCH_PYTHON, once=True, memory=9, judges=True
        ),
        Contender(
            "pandera_pandas_chunks", "Pandera on pandas in chunks, quarantine", BENCH_PYTHON, once=True
        ),
        Contender("pandas_whole", "pandas, no contract", BENCH_PYTHON, once=True, memory=6),
        Contender("pandas_chunks", "pandas in chunks, no contract", BENCH_PYTHON, once=True),
        Contender(
            "awswrangler_chunks",
            "awswrangler in chunks over S3, no contract",
            BENCH_PYTHON,
            once=True,
            over_s3=True,
        ),
    ),
    goals=(
        Goal("times_duckdb", "ours / DuckDB COPY, seconds", seconds("ours", "duckdb_copy"), most=1.5),
        Goal(
            "times_duckdb_tuned",
            "ours / tuned DuckDB COPY, seconds",
            seconds("ours", "duckdb_copy_tuned"),
            most=1.5,
        ),
        Goal("times_polars", "ours / plain Polars, seconds", seconds("ours", "polars_plain"), most=1.5),
        Goal(
            "faster_than_pandera_pandas",
            "Pandera on pandas / ours, seconds",
            seconds("pandera_pandas", "ours"),
            least=7,
        ),
        Goal(
            "faster_than_pandera_polars",
            "Pandera on Polars / ours, seconds",
            seconds("pandera_polars", "ours"),
        ),
        Goal("peak_mb", "ours, peak MB", peak("ours"), most=600),
        Goal("peak_mb_larger", "ours at many times the size, peak MB", peak("larger"), most=600),
    ),
)
CASES = {case.name: case for case in (NDJSON, CSV)}
