"""The Glue script as Glue runs it, a process with job arguments, against an S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

import aws_runtime
import aws_runtime.glue.materialize as script
from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.step import run_step
from ingestion_assets.pipelines.orders_etl import transforms
from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
from ingestion_assets.pipelines.orders_etl.sample_data import write_orders
from ingestion_assets.plan import asset_plan

TIME = "2025-01-17T10:15:02Z"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Any:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    for bucket in ("landing", "staging", "quarantine"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    plan = asset_plan(pipeline, order_lines).to_json()
    plan |= {"engine": "spark", "transform": "pipeline_code.orders_etl.transforms:order_lines"}
    client.put_object(Bucket="staging", Key="plan.json", Body=json.dumps(plan))
    return client


def extra_py_files(folder: Path) -> Path:
    """The zip that Glue puts on the path of driver and workers."""
    path = folder / "extra.zip"
    package = Path(aws_runtime.__file__).parent
    with zipfile.ZipFile(path, "w") as extra:
        for module in sorted(package.rglob("*.py")):
            extra.write(module, module.relative_to(package.parent))
        for empty in ("pipeline_code/__init__.py", "pipeline_code/orders_etl/__init__.py"):
            extra.writestr(empty, "")
        extra.write(transforms.__file__, "pipeline_code/orders_etl/transforms.py")
    return path


def run_job(
    endpoint: str, execution: str, orders: dict[str, Any], folder: Path
) -> subprocess.CompletedProcess[str]:
    event = {"execution": execution, "event_time": TIME, "inputs": {"orders": orders}}
    given = {
        "JOB_NAME": "orders_etl-order_lines",
        "plan": "s3://staging/plan.json",
        "event": json.dumps(event),
        "destination": "s3://staging/lake/",
        "quarantine": "s3://quarantine/",
        "enable-metrics": "true",
    }
    # -S and the path: nothing but the zip and installed distributions, so not this checkout.
    installed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    path = os.pathsep.join([str(extra_py_files(folder)), *dict.fromkeys(installed)])
    job = folder / "materialize.py"
    job.write_bytes(Path(script.__file__).read_bytes())
    return subprocess.run(
        [sys.executable, "-S", str(job), *(part for n, v in given.items() for part in (f"--{n}", v))],
        env={
            **os.environ,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": endpoint,
            "TMPDIR": str(folder),
            "PYTHONPATH": path,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def objects(key: str) -> dict[str, Any]:
    return {"objects": [{"bucket": "landing", "key": key}]}


def record(s3: Any, execution: str) -> Any:
    key = f"_runs/orders_etl/order_lines/{execution}.json"
    return json.loads(s3.get_object(Bucket="staging", Key=key)["Body"].read())


def rows(paths: list[Path]) -> list[str]:
    return sorted(repr(row) for path in paths for row in pq.ParquetFile(path).read().to_pylist())


def quarantined(paths: list[Path]) -> list[str]:
    tables = [pq.ParquetFile(path).read(["stage", "source_row", "reasons"]) for path in paths]
    return sorted(repr(row) for table in tables for row in table.to_pylist())


@pytest.mark.spark
def test_same_rows_as_duckdb(endpoint: str, s3: Any, tmp_path: Path) -> None:
    write_orders(tmp_path / "orders", files=9, seed=3)
    readable = [p.read_bytes() for p in sorted((tmp_path / "orders").rglob("*.json"))]
    lines = b"".join(c for c in readable if b"\n" in c and c.split(b"\n")[0].endswith(b"}"))
    source = tmp_path / "orders.json"
    source.write_bytes(lines + b'{"order_id": "cut\n')
    key = "orders/2025-01-17/a b+c%2Fd=é.json"
    s3.upload_file(str(source), "landing", key)

    done = run_job(endpoint, "run-1", objects(key), tmp_path)

    assert done.returncode == 0, done.stderr[-3000:]
    made = record(s3, "run-1")
    assert json.loads(done.stdout.splitlines()[-1])["rows_out"] == made["rows_out"]
    expected = run_step(
        asset_plan(pipeline, order_lines),
        {"orders": [InputFile(str(source), f"s3://landing/{key}")]},
        destination=str(tmp_path / "out"),
        quarantine=str(tmp_path / "quarantine"),
        stem="expected",
        limits=Limits(512 * 2**20, 2, str(tmp_path / "spill")),
    )
    counts = ("rows_in", "rows_out", "rows_quarantined", "violations")
    assert {name: made[name] for name in counts} == {name: getattr(expected, name) for name in counts}
    assert made["status"] == "completed"
    assert made["rows_quarantined"] > 0
    fetched = {"outputs": [], "quarantine": []}
    for kind, paths in fetched.items():
        for number, uri in enumerate(made[kind]):
            bucket, _, found = uri.removeprefix("s3://").partition("/")
            paths.append(tmp_path / f"{kind}-{number}.parquet")
            s3.download_file(bucket, found, str(paths[-1]))
    assert rows(fetched["outputs"]) == rows([Path(f.path) for f in expected.files])
    assert quarantined(fetched["quarantine"]) == quarantined([Path(f.path) for f in expected.quarantine])


@pytest.mark.spark
def test_rejected_file_is_an_answer(endpoint: str, s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="landing", Key="orders/cut.json", Body=b'[{"order_id": "1"}, {"order_')

    done = run_job(endpoint, "run-2", objects("orders/cut.json"), tmp_path)

    assert done.returncode == 0, done.stderr[-3000:]
    made = record(s3, "run-2")
    assert made["status"] == "rejected"
    assert made["reason"]["code"] == "MalformedJson"
    kept = s3.list_objects_v2(Bucket="quarantine", Prefix="rejected/orders_etl/")["Contents"]
    assert sorted(item["Key"].rpartition("/")[2] for item in kept) == ["cut.json", "reason.json"]


@pytest.mark.spark
def test_a_batch_runs_file_by_file_in_one_session(endpoint: str, s3: Any, tmp_path: Path) -> None:
    write_orders(tmp_path / "orders", files=6, seed=7)
    names = sorted((tmp_path / "orders").rglob("*.json"))
    contents = [path.read_bytes() for path in names]
    listed = []
    for number, content in enumerate([*contents, b'[{"order_id": "1"}, {"order_']):
        key = f"batch/{number}.json"
        etag = s3.put_object(Bucket="landing", Key=key, Body=content)["ETag"].strip('"')
        listed.append(
            {"bucket": "landing", "key": key, "etag": etag, "size": len(content), "event_time": TIME}
        )
    document = {"pipeline": "orders_etl", "date": "2025-01-17", "batch": 1, "bytes": 1, "files": listed}
    s3.put_object(Bucket="landing", Key="manifests/one.json", Body=json.dumps(document))

    done = run_job(endpoint, "batch-1", {"manifest": "s3://landing/manifests/one.json"}, tmp_path)

    assert done.returncode == 0, done.stderr[-3000:]
    made = record(s3, "batch-1")
    expected, rejected, conserved = 0, 1, 0
    for number, path in enumerate(names):
        try:
            alone = run_step(
                asset_plan(pipeline, order_lines),
                {"orders": [InputFile(str(path), f"s3://landing/batch/{number}.json")]},
                destination=str(tmp_path / f"out-{number}"),
                quarantine=str(tmp_path / f"quarantine-{number}"),
                stem="expected",
                limits=Limits(512 * 2**20, 2, str(tmp_path / "spill")),
            )
        except RejectedFile:
            rejected += 1
        else:
            expected, conserved = expected + alone.rows_in, conserved + alone.rows_out
    assert (made["status"], made["files_in"], made["files_rejected"]) == ("completed", 7, rejected)
    assert (made["rows_in"], made["rows_out"]) == (expected, conserved)
    assert len({uri.rpartition("-")[2] for uri in made["outputs"]}) == 7 - rejected


def test_arguments_of_glue_itself_are_left_alone() -> None:
    given = script.arguments(
        ["--JOB_NAME", "j", "--plan", "p", "--event", "{}", "--destination=d", "--quarantine", "q", "--x"]
    )
    assert vars(given) == {"plan": "p", "event": "{}", "destination": "d", "quarantine": "q"}


def test_missing_argument_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script.arguments(["--plan", "p", "--event", "{}", "--destination", "d"])
    assert "--quarantine" in capsys.readouterr().err
