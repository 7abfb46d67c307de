"""Curated Parquet in Hive folders: DuckDB, Spark's function and Spark's SQL give the same rows and quarantine."""

from __future__ import annotations

import dataclasses
import sys
import types
from datetime import date
from pathlib import Path
from typing import Any

import narwhals as nw
import pandera.polars as pandera
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from step_outcome import Outcome, outcome

from aws_runtime.engines import InputFile
from aws_runtime.plan import AssetPlan
from ingestion_assets.asset import (
    Bucket,
    IngestionAsset,
    PartitionBy,
    Processor,
    ProcessorKind,
    S3Parquet,
    S3Source,
    ingestion_asset,
)
from ingestion_assets.curation import Curation
from ingestion_assets.errors import CompileError
from ingestion_assets.formats import Parquet
from ingestion_assets.pipeline import Pipeline, S3Event
from ingestion_assets.plan import asset_plan

WRITTEN = "SELECT source_uri, source_row, order_id, amount * 2 AS amount, dt, region\nFROM sales\nWHERE order_id <> 'skip'"


class Sale(pandera.DataFrameModel):
    order_id: str
    amount: float
    dt: date = pandera.Field(coerce=True)
    region: str


class Doubled(pandera.DataFrameModel):
    order_id: str
    amount: float = pandera.Field(ge=0)
    dt: pl.Date
    region: str


def doubled(sales: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return sales.filter(nw.col("order_id") != "skip").with_columns(amount=nw.col("amount") * 2)


def declared(kind: ProcessorKind) -> tuple[Pipeline, IngestionAsset]:
    module = sys.modules.setdefault("curated_transforms", types.ModuleType("curated_transforms"))
    module.doubled = doubled  # type: ignore[attr-defined] # where the plan's text finds it
    doubled.__module__ = "curated_transforms"
    source = S3Source("sales", Bucket("landing"), "sales/", Parquet(), Sale)
    by = (PartitionBy("dt"), PartitionBy("region"))
    asset = ingestion_asset(
        contract=Doubled,
        destination=S3Parquet(Bucket("curated"), "sales/", by),
        processor=Processor(kind=kind),
        name="orders",
    )(doubled)
    return Pipeline("curated", (source,), (asset,), S3Event("sales")), asset


def plan_of(kind: ProcessorKind, sql: str | Path | None = None) -> AssetPlan:
    pipeline, asset = declared(kind)
    return asset_plan(dataclasses.replace(pipeline, curation=Curation(sql=sql)), asset)


def written(folder: Path, name: str, columns: dict[str, Any], **partition: str) -> InputFile:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table(columns), path)
    return InputFile(str(path), f"s3://landing/{name}", partition)


def outcomes(plans: dict[str, AssetPlan], files: list[InputFile], folder: Path) -> list[Outcome]:
    return [outcome(plan, plan.engine, {"sales": files}, folder / name) for name, plan in plans.items()]


@pytest.mark.spark
def test_same_rows_on_every_processor(spark: Any, tmp_path: Path) -> None:
    files = [
        written(tmp_path, "a", {"order_id": ["1", "skip", "2"], "amount": [1.5, 2.0, -3.0]}, dt="2024-07-02", region="eu"),
        # Columns in another order and of another type, and one folder's value in the file too.
        written(tmp_path, "b", {"amount": [4, 5], "order_id": ["3", None], "region": ["us", "us"]}, dt="2024-07-03", region="us"),
        written(tmp_path, "c", {"order_id": ["6"], "amount": [6.0]}, dt="2024-13-45", region="it's"),
    ]  # fmt: skip
    plans = {
        "lambda": plan_of("lambda"),
        "pyspark": plan_of("glue_pyspark"),
        "sql": plan_of("glue_sql"),
        "written": plan_of("glue_sql", WRITTEN),
        "written-lambda": plan_of("lambda", WRITTEN),
    }
    first, *others = outcomes(plans, files, tmp_path)
    assert first.names == (
        "dt=2024-07-02/region=eu/part-20250117T101502Z-0123456789abcdef.zstd.parquet",
        "dt=2024-07-03/region=us/part-20250117T101502Z-0123456789abcdef.zstd.parquet",
    )
    assert len(first.rows) == 2
    assert len(first.quarantine) == 3
    for name, other in zip(list(plans)[1:], others, strict=True):
        for field in dataclasses.fields(Outcome):
            assert getattr(other, field.name) == getattr(first, field.name), (name, field.name)


@pytest.mark.spark
def test_file_that_contradicts_its_folder_is_rejected(spark: Any, tmp_path: Path) -> None:
    columns = {"order_id": ["1"], "amount": [1.0], "dt": [date(2024, 7, 2)]}
    file = written(tmp_path, "a", columns, dt="2024-07-03", region="eu")
    for found in outcomes({"a": plan_of("lambda"), "b": plan_of("glue_sql")}, [file], tmp_path):
        assert found == Outcome(rejected="PartitionContradicted: s3://landing/a")


@pytest.mark.parametrize(
    ("sql", "line", "said"),
    [
        ("SELECT order_id,\n  amonut\nFROM sales", 2, "amonut"),
        ("SELECT order_id\nFROM slaes", 2, "slaes"),
        ("SELECT order_id FROM\n sales WHERE (", 2, "no Spark SQL"),
        ("DELETE FROM sales", 1, "one SELECT"),
    ],
)
def test_mistakes_in_a_file_name_its_line(sql: str, line: int, said: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.sql"
    file.write_text(sql, encoding="utf-8")
    with pytest.raises(CompileError, match=said) as caught:
        plan_of("glue_sql", file)
    assert (caught.value.code, caught.value.where.line) == ("ASL051", line)
    assert caught.value.where.file.endswith("orders.sql")


def test_generated_sql_is_the_same_each_time() -> None:
    one, other = plan_of("glue_sql"), plan_of("glue_sql")
    assert one.sql == other.sql
    assert "`sales`" in one.sql
    assert plan_of("lambda").sql == ""
