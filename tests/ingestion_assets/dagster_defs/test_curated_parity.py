"""What Dagster publishes on a laptop is what the state machine's functions publish from the same files."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from aws_runtime import storage
from aws_runtime.curation.checking import check_output
from aws_runtime.curation.job import open_job
from aws_runtime.curation.publish import publish
from aws_runtime.curation.staging import validate
from aws_runtime.engines import Limits
from aws_runtime.events import parse_event
from aws_runtime.materialize import materialize
from aws_runtime.records import places
from ingestion_assets.curation_plan import declared_of
from ingestion_assets.dagster_defs import materialize_pipeline
from ingestion_assets.pipelines.parquet_ingestion.pipeline import orders, pipeline
from ingestion_assets.pipelines.parquet_ingestion.sample_data import write_deliveries
from ingestion_assets.plan import asset_plan

FIXTURE = Path(__file__).parents[2] / "aws_runtime/curation/fixtures/execution_input.json"
LANDING, CURATED, QUARANTINE = "my-landing-zone", "my-curated-zone", "quarantine"
KEYS = ["order_id", "dt", "region"]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    storage.s3.cache_clear()
    with mock_aws():
        client = boto3.client("s3")
        for bucket in (LANDING, CURATED, QUARANTINE):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield client
    storage.s3.cache_clear()


def upload(s3: Any, root: Path) -> None:
    for path in sorted((root / LANDING).rglob("*.parquet")):
        s3.put_object(Bucket=LANDING, Key=path.relative_to(root / LANDING).as_posix(), Body=path.read_bytes())


def run_functions(given: dict[str, Any], number: int = 0) -> None:
    """Run the functions of the machine's states, one after the other, with the transform on Lambda's engine."""
    job_id, moment = f"job-{number}", f"2024-07-04T00:0{number}:00+00:00"
    told = dataclasses.replace(declared_of(pipeline), database="")
    environment = {variable: name for name, variable in told.buckets.items()}
    environment["QUARANTINE"] = f"s3://{QUARANTINE}/"
    event = {"execution": job_id, "event_time": moment, "input": given}
    job, arrived = open_job(event, told, environment, lambda _name: None)
    answer = validate(job, arrived)
    plan = asset_plan(pipeline, orders)
    asked = parse_event(
        {
            "execution": job_id,
            "event_time": moment,
            "inputs": {"landed_orders": {"manifest": answer["manifest"]}},
            "curation": answer["curation"],
        },
        plan,
    )
    at = places(f"s3://{CURATED}/orders/", f"s3://{QUARANTINE}/", plan, job_id)

    def limits(folder: Path) -> Limits:
        (folder / "spill").mkdir()
        return Limits(512 * 2**20, 1, str(folder / "spill"))

    record = materialize(plan, asked, at, limits=limits)["record"]
    assert check_output(job, record)["status"] == "valid"
    publish(job, record)


def local(root: Path, bucket: str) -> dict[str, bytes]:
    return {
        path.relative_to(root / bucket).as_posix(): path.read_bytes()
        for path in sorted((root / bucket).rglob("*"))
        if path.is_file()
    }


def remote(s3: Any, bucket: str) -> dict[str, bytes]:
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found}


def rows(files: dict[str, bytes]) -> list[tuple[str, str]]:
    """Rows with their folders; when a row became true differs, as the runs did not happen at one time."""
    found = []
    for key, content in files.items():
        folder = unquote(key.rpartition("/")[0])
        if key.startswith("orders/") and key.endswith(".parquet"):
            table = pq.read_table(io.BytesIO(content)).to_pylist()
        elif key.startswith("orders/"):
            table = content.decode().splitlines()
        else:
            continue
        found += [(folder, repr(timeless(row) if isinstance(row, dict) else row)) for row in table]
    return sorted(found)


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value is None if name in ("valid_from", "valid_to") else value for name, value in row.items()
    }


def shape(files: dict[str, bytes]) -> list[tuple[str, str]]:
    """Folder and name of each curated file, without the run's stem."""
    return sorted(
        (key.rpartition("/")[0], key.rpartition("/")[2].partition(".")[2])
        for key in files
        if key.startswith("orders/")
    )


def quarantined(files: dict[str, bytes]) -> list[tuple[str, str]]:
    tables = [pq.read_table(io.BytesIO(files[key])) for key in files if key.startswith("rows/")]
    return sorted((row["record"], repr(row["reasons"])) for table in tables for row in table.to_pylist())


def rejected(files: dict[str, bytes]) -> dict[str, str]:
    reasons = [json.loads(files[key]) for key in files if key.endswith("reason.json")]
    return {reason["uri"].partition(LANDING)[2]: reason["code"] for reason in reasons}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"processor_type": "glue_sql", "output_format": "csv"},
        {"output_format": "json", "write_mode": "overwrite_partitions"},
        {
            "steps": [
                {"filter": "amount < 1000 OR region = 'eu'"},
                {"derive": {"amount": "amount * 2"}},
                {"deduplicate": ["customer_id"], "by": ["amount"]},
            ],
            "dq_rules": {"min_rows": 100},
        },
        {"write_mode": "merge", "keys": KEYS},
        {"write_mode": "scd2", "keys": KEYS},
    ],
    ids=["fixture", "sql", "overwrite", "steps", "merge", "scd2"],
)
def test_rows_files_and_reasons_are_those_of_the_functions(
    s3: Any, tmp_path: Path, changes: dict[str, Any]
) -> None:
    given = {**json.loads(FIXTURE.read_text()), **changes}
    write_deliveries(tmp_path / LANDING / "orders")
    upload(s3, tmp_path)
    materialize_pipeline(pipeline, tmp_path, config=given)
    run_functions(given)
    here, there = local(tmp_path, CURATED), remote(s3, CURATED)
    assert len(rows(here)) > 500
    assert rows(here) == rows(there)
    assert shape(here) == shape(there)
    here, there = local(tmp_path, QUARANTINE), remote(s3, QUARANTINE)
    assert quarantined(here) == quarantined(there) != []
    assert rejected(here) == rejected(there)
    assert len(rejected(here)) == 5


@pytest.mark.parametrize("mode", ["append", "overwrite_partitions", "merge", "scd2"])
def test_a_second_delivery_meets_the_first_alike(s3: Any, tmp_path: Path, mode: str) -> None:
    given = {**json.loads(FIXTURE.read_text()), "dq_rules": {}, "write_mode": mode}
    given |= {"keys": KEYS} if mode in ("merge", "scd2") else {}
    first, second = tmp_path / "first", tmp_path / "second"
    write_deliveries(first / LANDING / "orders", files=8, seed=1, rows=(10, 20))
    keyed = mode in ("merge", "scd2")
    # All of the first day: orders of the same numbers where these are keys, and others elsewhere.
    write_deliveries(second / LANDING / "orders", files=8 if keyed else 16, seed=2, days=1, rows=(10, 20))
    for path in () if keyed else second.rglob("orders-00[1-8].parquet"):
        path.unlink()
    for number, delivery in enumerate((first, second)):
        upload(s3, delivery)
        if number and mode == "overwrite_partitions":
            # On AWS a run moves its files away, so that here a day's new delivery takes the place of the old one.
            shutil.rmtree(tmp_path / LANDING / "orders/dt=2024-07-01")
        for path in sorted((delivery / LANDING).rglob("*.parquet")):
            target = tmp_path / path.relative_to(delivery).with_name(f"{number}-{path.name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        run_functions(given, number)
        materialize_pipeline(pipeline, tmp_path, config=given)
    here = rows(local(tmp_path, CURATED))
    assert len({folder for folder, _ in here}) > 3
    assert here == rows(remote(s3, CURATED))
