"""A curated pipeline with a Delta table on the local AWS: declared, deployed, run twice by its state machine."""

from __future__ import annotations

import json
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aws_runtime.curation.delta import read_delta
from tests.e2e.conftest import deploy

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]

NAME = "order_table"


@pytest.fixture(scope="module")
def tables(local_aws, tmp_path_factory):
    """The pipelines of tests.table_pipelines, as a stack of their own."""
    return deploy(local_aws, tmp_path_factory.mktemp("build"), "tables", "tests.table_pipelines")


def run(stack, tmp_path, orders, **given):
    """Deliver orders of one folder and run the machine with a configuration: exit code and what it prints."""
    path = tmp_path / "dt=2024-07-01" / "region=eu" / f"{uuid.uuid4().hex}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "customer_id": [f"C{n:05d}" for n in range(len(orders))],
        "order_id": list(orders),
        "amount": list(orders.values()),
    }
    pq.write_table(pa.table(columns), path)
    asked = tmp_path / f"{uuid.uuid4().hex}.json"
    asked.write_text(json.dumps({"table_format": "delta", "processor_type": "lambda", **given}))
    words = (
        "run",
        NAME,
        path.parents[2],
        "--input",
        asked,
        "--json",
        "--timeout",
        300,
        "--stack",
        stack.name,
    )
    code, out = stack.asl(*words)
    path.unlink()
    return code, json.loads(out)


def rows(stack, patch):
    """Read the table by deltalake."""
    lake = stack.outputs["TableLakeBucket"]
    patch.setenv("AWS_ENDPOINT_URL", stack.target.endpoint)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
    patch.setenv("AWS_REGION", "us-east-1")
    with duckdb.connect() as connection:
        found = read_delta(f"s3://{lake}/orders/", "SELECT order_id, amount, region FROM t")
        return sorted(
            (key, float(amount), region) for key, amount, region in connection.from_arrow(found).fetchall()
        )


def test_two_runs_merge_into_one_table(tables, tmp_path, monkeypatch):
    how = {"write_mode": "merge", "keys": ["order_id"]}
    code, first = run(tables, tmp_path, {"a": 1.0, "b": 2.0}, **how)
    assert code == 0, first
    code, second = run(tables, tmp_path, {"b": 3.0, "c": 4.0}, **how)
    assert code == 0, second
    assert rows(tables, monkeypatch) == [("a", 1.0, "eu"), ("b", 3.0, "eu"), ("c", 4.0, "eu")]
    catalog = tables.client("glue").get_table(DatabaseName=NAME, Name="orders")["Table"]
    assert catalog["Parameters"]["table_type"] == "DELTA"
    lake = tables.outputs["TableLakeBucket"]
    assert not tables.objects(lake, "_staging/")
    commits = [key for key in tables.objects(lake, "orders/_delta_log/") if key.endswith(".json")]
    assert len(commits) == 3  # the table, and one a run
