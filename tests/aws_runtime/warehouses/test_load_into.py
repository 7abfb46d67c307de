"""A run's staged files on S3 -> the declared warehouses: PostgreSQL and fakesnow, in Redshift's and Snowflake's place."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fakesnow_server import running
from postgres_world import DataApi, database, postgres_server

from aws_runtime import storage
from aws_runtime.curation import warehouses
from aws_runtime.curation.job import Job
from aws_runtime.curation.publish import publish
from aws_runtime.curation.warehouses import load_into, stage_root
from aws_runtime.warehouses import snowflake
from aws_runtime.warehouses.load import WarehouseError
from aws_runtime.warehouses.targets import SnowflakeTable
from tests.aws_runtime.curation import curation_world as world

REDSHIFT = {
    "database": "dev",
    "copy_role": "arn:aws:iam::123456789012:role/copy",
    "workgroup": "analytics",
}
SNOWFLAKE = {
    "account": "myorg-shop",
    "user": "LOADER",
    "secret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:snow",
    "warehouse": "LOADING",
    "database": "SHOP",
    "stage": "raw.staged",
}
STEM = "20240702T100000Z-" + "b" * 16


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with world.aws(monkeypatch):
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as uri:
        yield uri


@pytest.fixture
def redshift(
    aws: None, server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DataApi]:
    """Give the function's `boto3.client("redshift-data")`, which reads manifests and files from S3."""
    with database(server, request.node.name) as uri:
        api = DataApi(uri, copied)
        monkeypatch.setattr(warehouses, "client", {"redshift-data": api}.__getitem__)
        yield api
        api.close()


def copied(manifest: str) -> list[list[Any]]:
    """Read what COPY reads: the files of a manifest, each of exactly the length that it names."""
    found = storage.get_json(manifest)
    assert found is not None
    rows: list[list[Any]] = []
    for entry in found["entries"]:
        body = world.get(*storage.parse_uri(entry["url"]))
        assert len(body) == entry["meta"]["content_length"]
        rows += [list(one.values()) for one in pq.read_table(io.BytesIO(body)).to_pylist()]
    return rows


def staged(job: Job, **regions: list[str]) -> str:
    """Stage a run's files, a region each; returns its record."""
    outputs = []
    for region, orders in regions.items():
        uri = f"{job.staging}output/dt=2024-07-02/region={region}/part-{STEM}.zstd.parquet"
        world.put(*storage.parse_uri(uri), world.orders(*orders))
        partition = {"dt": "2024-07-02", "region": region}
        outputs.append({"uri": uri, "rows": len(orders), "partition": partition})
    record = f"{job.runs}record.json"
    storage.put_json(f"{job.runs}files.json", {"outputs": outputs, "quarantine": [], "units": []})
    storage.put_json(record, {"status": "completed", "files": f"{job.runs}files.json"})
    return record


def table(client: DataApi) -> list[tuple[Any, ...]]:
    with psycopg.connect(client.uri) as connection:
        return list(connection.execute("SELECT order_id, amount, dt::text, region FROM orders ORDER BY 1, 4"))


def test_a_published_run_is_in_the_table_with_its_partitions(redshift: DataApi) -> None:
    job = world.opened(redshift=REDSHIFT)
    answer = publish(job, staged(job, eu=["1", "2"], us=["3"]))
    assert table(redshift) == [
        ("1", 1.5, "2024-07-02", "eu"),
        ("2", 1.5, "2024-07-02", "eu"),
        ("3", 1.5, "2024-07-02", "us"),
    ]
    (entry,) = answer["warehouses"]
    assert (entry["kind"], entry["table"], entry["mode"], entry["files"]) == (
        "redshift",
        "dev.public.orders",
        "append",
        2,
    )


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({}, ["1", "1", "2", "3"]),
        ({"write_mode": "overwrite_partitions"}, ["1", "2", "3"]),
        ({"write_mode": "merge", "keys": ["order_id", "dt", "region"]}, ["1", "2", "3"]),
    ],
)
def test_rows_meet_the_rows_that_are_there_by_the_write_mode(
    redshift: DataApi, given: dict[str, Any], ids: list[str]
) -> None:
    first = world.opened(given, "job-1", redshift=REDSHIFT)
    load_into(first, published(first, staged(first, eu=["1"], us=["3"])))
    second = world.opened(given, "job-2", redshift=REDSHIFT)
    load_into(second, published(second, staged(second, eu=["1", "2"])))
    assert [row[0] for row in table(redshift)] == ids


def published(job: Job, record: str) -> list[warehouses.Curated]:
    files = storage.get_json(f"{job.runs}files.json")
    assert files is not None
    return [
        warehouses.Curated("", entry["uri"], entry["rows"], entry["partition"]) for entry in files["outputs"]
    ]


def test_scd2_loads_whole_partitions_with_its_columns(redshift: DataApi) -> None:
    given = {"write_mode": "scd2", "keys": ["order_id", "dt", "region"]}
    job = world.opened(given, redshift=REDSHIFT)
    record = staged(job, eu=[])
    uri = published(job, record)[0].staged
    history = world.pa.table(
        {
            "order_id": ["1", "1"],
            "amount": [1.0, 2.0],
            "valid_from": ["2024-07-01 00:00:00", "2024-07-02 00:00:00"],
            "valid_to": ["2024-07-02 00:00:00", None],
            "is_current": [False, True],
        }
    )
    world.put(*storage.parse_uri(uri), world.parquet(history))
    files = [warehouses.Curated("", uri, 2, {"dt": "2024-07-02", "region": "eu"})]
    for _ in range(2):
        assert load_into(job, files)[0]["mode"] == "overwrite_partitions"
    with psycopg.connect(redshift.uri) as connection:
        found = list(connection.execute("SELECT amount, valid_to::text, is_current FROM orders ORDER BY 1"))
    assert found == [(1.0, "2024-07-02 00:00:00", False), (2.0, None, True)]


def test_a_load_that_failed_is_made_up_for_by_a_retry_of_the_state(redshift: DataApi) -> None:
    job = world.opened(redshift=REDSHIFT)
    record = staged(job, eu=["1"])
    with psycopg.connect(redshift.uri) as connection:
        connection.execute("CREATE TABLE orders (order_id text)")
    with pytest.raises(WarehouseError, match="amount"):
        publish(job, record)
    assert storage.get_json(f"{job.runs}published.json") is None
    with psycopg.connect(redshift.uri) as connection:
        connection.execute("DROP TABLE orders")
    assert publish(job, record)["warehouses"]
    assert publish(job, record)["warehouses"]
    assert [row[0] for row in table(redshift)] == ["1"]


def test_nothing_is_asked_of_warehouses_where_none_is_declared_or_nothing_was_published(aws: None) -> None:
    job = world.opened()
    assert load_into(job, published(job, staged(job, eu=["1"]))) == []
    assert load_into(world.opened(redshift=REDSHIFT, snowflake=SNOWFLAKE), []) == []


class Secrets:
    """Secrets Manager with one secret."""

    def __init__(self, text: str) -> None:
        self.text, self.asked = text, ""

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 (boto3's)
        self.asked = SecretId
        return {"SecretString": self.text}


def test_a_secret_that_is_no_key_loads_nothing(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    job, secrets = world.opened(snowflake=SNOWFLAKE), Secrets("no key")
    monkeypatch.setattr(warehouses, "client", {"secretsmanager": secrets}.__getitem__)
    with pytest.raises(WarehouseError, match="no private key"):
        load_into(job, published(job, staged(job, eu=["1"])))
    assert secrets.asked == SNOWFLAKE["secret"]


@pytest.mark.fake_snowflake
def test_a_published_run_is_in_snowflake_too(
    aws: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    secrets = Secrets(json.dumps({"private_key": key.decode()}))
    monkeypatch.setattr(warehouses, "client", {"secretsmanager": secrets}.__getitem__)
    job = world.opened(snowflake=SNOWFLAKE)
    record = staged(job, eu=["1", "2"], us=["3"])
    for file in published(job, record):
        path = tmp_path / file.staged.removeprefix("s3://")
        path.parent.mkdir(parents=True)
        path.write_bytes(world.get(*storage.parse_uri(file.staged)))
    with running(tmp_path) as port:
        place = {"host": "127.0.0.1", "port": port, "protocol": "http", "account": "fakesnow"}
        session = snowflake.session
        monkeypatch.setattr(snowflake, "session", lambda at, key: session(at, key, **place))
        at = SnowflakeTable(**SNOWFLAKE)
        stage = stage_root(job).removeprefix("s3://")
        with snowflake.session(at, snowflake.private_key(key.decode())) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE SCHEMA IF NOT EXISTS raw")
            cursor.execute(f"CREATE STAGE raw.staged URL = 'file://{tmp_path}/{stage}'")
            answer = publish(job, record)
            found = cursor.execute("SELECT order_id, dt, region FROM public.orders ORDER BY 1").fetchall()
    day = date(2024, 7, 2)
    assert found == [("1", day, "eu"), ("2", day, "eu"), ("3", day, "us")]
    assert [(one["kind"], one["table"]) for one in answer["warehouses"]] == [
        ("snowflake", "SHOP.PUBLIC.orders")
    ]


def test_the_connector_is_imported_by_a_load_into_snowflake_alone() -> None:
    code = "import sys, aws_runtime.handlers.load; sys.exit('snowflake.connector' in sys.modules)"
    environment = {**os.environ, "POWERTOOLS_SERVICE_NAME": "shop"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_the_stage_stands_for_the_pipelines_staging(aws: None) -> None:
    job = world.opened(snowflake=SNOWFLAKE)
    assert job.staging.startswith(stage_root(job))
