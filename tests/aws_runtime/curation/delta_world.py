"""A bucket of the local AWS with a pipeline's runs that are to be written into a Delta table."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import curation_world as world
import duckdb
import pytest

from aws_runtime import storage
from aws_runtime.curation import catalog
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.delta import read_delta
from aws_runtime.curation.delta_run import DeltaRun

FOLDER = "dt=2024-07-02/region=eu/"
KEYED = (WriteMode.MERGE, WriteMode.SCD2)
Row = tuple[str, float | None]


@contextmanager
def bucket(endpoint: str) -> Iterator[str]:
    """Make a bucket, and what a function of this process finds in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_REGION": "eu-west-1",
            "POWERTOOLS_SERVICE_NAME": "shop",
        }.items():
            patch.setenv(name, value)
        _forget()
        name = f"curated-{uuid.uuid4().hex[:12]}"
        made(name)
        yield name
    _forget()


def _forget() -> None:
    storage.s3.cache_clear()
    catalog.glue.cache_clear()


def made(name: str) -> None:
    """Make a bucket."""
    storage.s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def staged(
    name: str,
    job: str,
    rows: list[Row],
    mode: WriteMode = WriteMode.APPEND,
    *,
    folder: str = FOLDER,
    event_time: str = "2024-07-02T10:00:00+00:00",
    table: str = "orders",
) -> DeltaRun:
    """Stage rows as a transform does, and return what is asked of the table."""
    runs = f"s3://{name}/_runs/shop/orders/{job}/"
    staging = f"s3://{name}/_staging/shop/{job}/output/"
    uri = f"{staging}{folder}part-{job}.zstd.parquet"
    world.put(
        *storage.parse_uri(uri), world.orders(*(row[0] for row in rows), amount=[row[1] for row in rows])
    )
    partition = dict(part.split("=") for part in folder.rstrip("/").split("/"))
    entry = {"uri": uri, "rows": len(rows), "partition": partition}
    storage.put_json(f"{runs}files.json", {"outputs": [entry]})
    storage.put_json(f"{runs}record.json", {"status": "completed", "files": f"{runs}files.json"})
    return DeltaRun(
        job_id=job,
        event_time=event_time,
        table=f"s3://{name}/{table}/",
        runs=runs,
        staging=staging,
        locks=f"s3://{name}/_runs/shop/",
        mode=mode,
        keys=("order_id",) if mode in KEYED else (),
        record=f"{runs}record.json",
    )


def table(name: str, columns: str = "order_id, amount", path: str = "orders") -> list[Any]:
    """Read a table by deltalake."""
    with duckdb.connect() as connection:
        rows = read_delta(f"s3://{name}/{path}/", f"SELECT {columns} FROM t")
        return sorted(connection.from_arrow(rows).fetchall(), key=repr)


def sail_python() -> Path:
    """Return the interpreter of Sail's environment."""
    return Path(__file__).parents[3] / ".venv-sail" / "bin" / "python"


def sail_environment() -> dict[str, str]:
    """Return the environment of a driver on Sail, which finds S3 where this process does."""
    root = str(Path(__file__).parents[3])
    kept = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return {
        **kept,
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": root,
        "AWS_ENDPOINT": os.environ["AWS_ENDPOINT_URL"],
        "AWS_ALLOW_HTTP": "true",
        "RUST_LOG": "error",
    }
