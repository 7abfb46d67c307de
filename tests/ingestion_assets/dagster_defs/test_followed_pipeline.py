"""order_totals in Dagster: an asset behind parquet_ingestion's own, made from what each of its runs published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import polars as pl
import pytest
from moto import mock_aws

from aws_runtime import storage
from ingestion_assets.dagster_defs import build_definitions, materialize_pipeline, s3_site
from ingestion_assets.dagster_defs.ledger import Ledger
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.pipelines.order_totals.pipeline import pipeline as totals
from ingestion_assets.pipelines.parquet_ingestion.pipeline import pipeline as ingestion

ORDERS = "my-curated-zone/orders"
MADE = "my-curated-zone/delivered_totals"
STEMS = ("20240704T000000Z-0123456789abcdef", "20240705T000000Z-fedcba9876543210")


def publish(
    root: Path, stem: str, day: str, region: str, amounts: list[float | None], part: str = ""
) -> Path:
    """Write a curated file as parquet_ingestion does: the partition columns are in its path alone."""
    path = root / ORDERS / f"dt={day}" / f"region={region}" / f"part-{stem}{part}.zstd.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(
        {
            "customer_id": [f"C{n:05d}" for n in range(len(amounts))],
            "order_id": [f"{path.parent.name}-{stem}-{part}-{n}" for n in range(len(amounts))],
            "amount": amounts,
        },
        schema_overrides={"amount": pl.Float64},
    )
    frame.with_columns((pl.col("amount") >= 1000).alias("is_large")).write_parquet(path)
    return path


def run(root: Path) -> Ledger:
    return materialize_pipeline(totals, root).assets["delivered_totals"]


def rows(root: Path) -> list[tuple[Any, ...]]:
    frame = pl.concat([pl.read_parquet(path) for path in sorted((root / MADE).rglob("*.parquet"))])
    return sorted((str(dt), *rest) for dt, *rest in frame.drop("month", strict=False).rows())


def test_the_graph_has_one_edge_from_the_asset_that_publishes() -> None:
    definitions = build_definitions([totals, ingestion])
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    assert sorted(specs) == [
        "order_totals/delivered_totals",
        "parquet_ingestion/orders",
        "parquet_ingestion/raw/landed_orders",
    ]
    (dep,) = specs["order_totals/delivered_totals"].deps
    assert dep.asset_key == dg.AssetKey(["parquet_ingestion", "orders"])
    assert specs["order_totals/delivered_totals"].metadata["trigger"].startswith("PipelineCompleted")
    alone = build_definitions([totals]).resolve_all_asset_specs()
    assert sorted(spec.key.to_user_string() for spec in alone) == [
        "order_totals/delivered_totals",
        "parquet_ingestion/orders",
    ]


def test_each_delivery_is_one_unit_whatever_its_partitions(tmp_path: Path) -> None:
    publish(tmp_path, STEMS[0], "2024-07-01", "eu", [1.5, None, 1200.0])
    publish(tmp_path, STEMS[0], "2024-07-01", "eu", [0.5], part="-1")
    publish(tmp_path, STEMS[0], "2024-07-01", "us", [20.25])
    publish(tmp_path, STEMS[1], "2024-07-01", "eu", [1000.0])
    ledger = run(tmp_path)
    assert (ledger.files, ledger.rows_out, ledger.rows_quarantined) == (2, 3, 0)
    assert rows(tmp_path) == [
        ("2024-07-01", "eu", 1, 0, 1, 100_000),
        ("2024-07-01", "eu", 4, 1, 1, 120_200),
        ("2024-07-01", "us", 1, 0, 0, 2_025),
    ]
    before = {path: path.read_bytes() for path in (tmp_path / MADE).rglob("*.parquet")}
    run(tmp_path)
    assert {path: path.read_bytes() for path in (tmp_path / MADE).rglob("*.parquet")} == before


def test_totals_of_a_delivery_that_is_gone_go_with_it(tmp_path: Path) -> None:
    gone = publish(tmp_path, STEMS[0], "2024-07-01", "eu", [1.0])
    run(tmp_path)
    gone.unlink()
    publish(tmp_path, STEMS[1], "2024-07-01", "eu", [2.0])
    assert run(tmp_path).files == 1
    assert rows(tmp_path) == [("2024-07-01", "eu", 1, 0, 0, 200)]


def test_a_file_that_is_not_what_it_should_be_rejects_its_delivery(tmp_path: Path) -> None:
    publish(tmp_path, STEMS[0], "2024-07-01", "eu", [1.0])
    bad = publish(tmp_path, STEMS[0], "2024-07-01", "us", [1.0])
    bad.write_bytes(b"no parquet")
    publish(tmp_path, STEMS[1], "2024-07-01", "eu", [3.0])
    ledger = run(tmp_path)
    assert len(ledger.rejected) == 1
    assert rows(tmp_path) == [("2024-07-01", "eu", 1, 0, 0, 300)]
    (kept,) = (tmp_path / "quarantine/rejected/order_totals").rglob("*.parquet")
    assert kept.read_bytes() == b"no parquet"


def test_nothing_published_is_nothing_totalled(tmp_path: Path) -> None:
    assert run(tmp_path).files == 0


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in [n for n in os.environ if n.startswith(("AWS_", "INGESTION"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "INGESTION_STORAGE": "s3",
        "INGESTION_STACK": "shops",
    }.items():
        monkeypatch.setenv(name, value)
    caches = (storage.s3, s3_site._account)
    with mock_aws():
        for cache in caches:
            cache.cache_clear()
        client = boto3.client("s3")
        for bucket in ("my-curated-zone", "quarantine"):
            client.create_bucket(Bucket=f"shops-{bucket}-123456789012")
        yield client
    for cache in caches:
        cache.cache_clear()


def test_the_deployed_bucket_gives_the_same_rows(tmp_path: Path, s3: Any) -> None:
    bucket, zone = "shops-my-curated-zone-123456789012", tmp_path / "my-curated-zone"
    publish(tmp_path, STEMS[0], "2024-07-01", "eu", [1.5, None])
    publish(tmp_path, STEMS[0], "2024-07-01", "us", [20.25])
    for path in sorted(zone.rglob("*.parquet")):
        s3.put_object(Bucket=bucket, Key=path.relative_to(zone).as_posix(), Body=path.read_bytes())
    job = build_definitions([totals]).resolve_job_def("order_totals_all")
    job.execute_in_process(resources={"storage": Storage()})
    found = s3.list_objects_v2(Bucket=bucket, Prefix="delivered_totals/")["Contents"]
    local = tmp_path / "there" / MADE
    local.mkdir(parents=True)
    for number, item in enumerate(found):
        s3.download_file(bucket, item["Key"], str(local / f"{number}.parquet"))
    run(tmp_path)
    assert rows(tmp_path / "there") == rows(tmp_path)
