"""The zip of orders_etl runs alone: its own code and its layer, and nothing else of this project."""

import json
import os
import subprocess
import sys

import boto3
import pytest
from moto.server import ThreadedMotoServer

from asl.emit.bundle import bundle
from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
from ingestion_assets.plan import asset_plan

#: What neither the zip nor its layer holds.
ABSENT = (
    "asl",
    "dagster",
    "ingestion_assets",
    "pandas",
    "pandera",
    "polars",
    "pyarrow",
    "pyspark",
    "aws_xray_sdk",
)
#: What Lambda does, in short: import the handler from the code's root, call it with JSON, print JSON.
LAMBDA = f"""
import json, os, sys
from types import SimpleNamespace

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
from aws_runtime.handlers.materialize import handler
import aws_runtime
assert aws_runtime.__file__.startswith(os.environ["LAMBDA_TASK_ROOT"]), aws_runtime.__file__
context = SimpleNamespace(
    function_name="f", memory_limit_in_mb="512", invoked_function_arn="arn", aws_request_id="r"
)
print("RECORD " + json.dumps(handler(json.load(sys.stdin), context)))
"""


@pytest.fixture
def s3(monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    for bucket in ("landing", "staging", "quarantine"):
        client.create_bucket(Bucket=bucket)
    yield client
    server.stop()


def test_the_zip_runs_with_its_layer_alone(s3, tmp_path):
    root = tmp_path / "task"
    for name, content in bundle(order_lines, asset_plan(pipeline, order_lines)).files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    order = {
        "order_id": "O-1",
        "order_date": "2025-01-17",
        "total_amount": 10,
        "customer": {"customer_id": "C-1", "name": "Ada", "email": "ada@example.com", "address": None},
        "products": [{"product_id": "P-1", "name": "Cup", "category": "home", "price": 5.0, "quantity": 2}],
    }
    made = s3.put_object(Bucket="landing", Key="orders/a b.json", Body=json.dumps(order).encode())
    event = {
        "execution": "run-1",
        "event_time": "2025-01-17T10:15:02Z",
        "inputs": {
            "orders": {
                "objects": [{"bucket": "landing", "key": "orders/a b.json", "etag": made["ETag"].strip('"')}]
            }
        },
    }
    environment = {
        **{name: os.environ[name] for name in os.environ if name.startswith("AWS_")},
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
        "DESTINATION": "s3://staging/orders_parquet_datalake/",
        "LAMBDA_TASK_ROOT": str(root),
        "POWERTOOLS_SERVICE_NAME": "orders_etl",
        "QUARANTINE": "s3://quarantine/",
        "TMPDIR": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-c", LAMBDA],
        input=json.dumps(event),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    (line,) = (line for line in run.stdout.splitlines() if line.startswith("RECORD "))
    record = json.loads(line.removeprefix("RECORD "))
    assert (record["status"], record["rows_out"], record["partitions"]) == (
        "completed",
        1,
        [{"values": [["2025-01-17"]], "paths": ["dt=2025-01-17/"]}],
    )
    (written,) = s3.list_objects_v2(Bucket="staging", Prefix="orders_parquet_datalake/")["Contents"]
    assert f"s3://staging/{written['Key']}" == record["outputs"][0]
    assert list(tmp_path.iterdir()) == [root]
