"""With INGESTION_STORAGE=s3 the same assets are made from, and in, the deployed buckets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from conftest import order
from moto import mock_aws
from shop_pipeline import shop

from aws_runtime import storage
from aws_runtime.engines import Limits
from aws_runtime.events import parse_event
from aws_runtime.materialize import materialize
from aws_runtime.records import places
from ingestion_assets.dagster_defs import build_definitions, s3_site
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.plan import asset_plan

ACCOUNT = "123456789012"
BUCKETS = {name: f"shops-{name}-{ACCOUNT}" for name in ("landing", "staging", "quarantine")}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
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
        for bucket in BUCKETS.values():
            client.create_bucket(Bucket=bucket)
        yield client
    for cache in caches:
        cache.cache_clear()


def keys(s3: Any, bucket: str) -> list[str]:
    return sorted(item["Key"] for item in s3.list_objects_v2(Bucket=BUCKETS[bucket]).get("Contents", ()))


def test_the_same_job_runs_on_the_deployed_buckets(s3: Any) -> None:
    for key, content in {
        "orders/2025/01/17/a.json": json.dumps([order(1), order(2)]),
        "orders/2025/01/17/broken.json": "[{",
    }.items():
        s3.put_object(Bucket=BUCKETS["landing"], Key=key, Body=content.encode())
    job = build_definitions([shop]).resolve_job_def("shop_all")

    def run() -> dict[str, dict[str, object]]:
        result = job.execute_in_process(partition_key="2025-01-17", resources={"storage": Storage()})
        return {
            event.materialization.asset_key.path[-1]: {
                name: value.value for name, value in event.materialization.metadata.items()
            }
            for event in result.get_asset_materialization_events()
        }

    made = run()
    assert made["order_lines"]["rows_out"] == 4
    assert made["order_lines"]["files_rejected"] == 1
    assert made["order_lines"]["dagster/uri"] == f"s3://{BUCKETS['staging']}/lines/"
    assert made["category_totals"]["rows_out"] == 2
    parquet = [key for key in keys(s3, "staging") if key.endswith(".parquet")]
    assert [key.rsplit("/", 1)[0] for key in parquet] == ["lines/dt=2025-01-17", "totals"]
    assert any(
        key.startswith("rejected/shop/") and key.endswith("/broken.json") for key in keys(s3, "quarantine")
    )
    run()
    assert [key for key in keys(s3, "staging") if key.endswith(".parquet")] == parquet


def test_the_sensor_sees_what_lands_in_the_bucket(s3: Any) -> None:
    s3.put_object(Bucket=BUCKETS["landing"], Key="orders/2025/01/17/a b+c%2F=é.json", Body=b"[]")
    etag = s3.head_object(Bucket=BUCKETS["landing"], Key="orders/2025/01/17/a b+c%2F=é.json")["ETag"].strip(
        '"'
    )
    definitions = build_definitions([shop])
    sensor = definitions.resolve_sensor_def("shop_landed")
    with dg.build_sensor_context(resources={"storage": Storage()}, definitions=definitions) as context:
        (request,) = sensor(context).run_requests
    assert request.partition_key == "2025-01-17"
    assert request.run_key.endswith(etag)


def test_what_an_execution_wrote_is_replaced_and_not_doubled(s3: Any, tmp_path: Path) -> None:
    s3.put_bucket_versioning(Bucket=BUCKETS["landing"], VersioningConfiguration={"Status": "Enabled"})
    key = "orders/2025/01/17/a.json"
    put = s3.put_object(Bucket=BUCKETS["landing"], Key=key, Body=json.dumps([order(1)]).encode())
    (lines,) = (asset for asset in shop.assets if asset.name == "order_lines")
    plan = asset_plan(shop, lines)
    event = {
        "execution": "by-the-state-machine",
        "event_time": "2025-01-17T10:15:02Z",
        "inputs": {
            "orders": {
                "objects": [
                    {
                        "bucket": BUCKETS["landing"],
                        "key": key,
                        "version_id": put["VersionId"],
                        "etag": put["ETag"].strip('"'),
                    }
                ]
            }
        },
    }
    at = places(
        f"s3://{BUCKETS['staging']}/lines/", f"s3://{BUCKETS['quarantine']}/", plan, event["execution"]
    )
    limits = Limits(512 * 1024 * 1024, 1, str(tmp_path))
    materialize(plan, parse_event(event, plan), at, limits=lambda _: limits)
    before = [key for key in keys(s3, "staging") if key.endswith(".parquet")]
    assert len(before) == 1
    job = build_definitions([shop]).resolve_job_def("shop_all")
    job.execute_in_process(partition_key="2025-01-17", resources={"storage": Storage()})
    after = [key for key in keys(s3, "staging") if key.startswith("lines/") and key.endswith(".parquet")]
    assert len(after) == 1
    assert after != before
