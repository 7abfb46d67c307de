"""What end-to-end tests share: rows as they are there, rows as the step gives them here."""

from __future__ import annotations

import io
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from asl import selection
from aws_runtime.engines import InputFile, Limits
from aws_runtime.step import run_step
from ingestion_assets.engines import runtimes
from ingestion_assets.plan import asset_plan


def until(condition, seconds=60):
    """Wait for something that happens in the background, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return found


def fetched(stack, uris) -> dict[str, bytes]:
    """Objects by key."""
    s3, found = stack.client("s3"), {}
    for uri in uris:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        found[key] = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return found


def folder(key: str) -> str:
    """The part of a key that names its partitions."""
    return "/".join(part for part in key.split("/") if "=" in part)


def there(stack, uris) -> tuple[pa.Schema | None, Counter]:
    """The schema and the rows of Parquet objects, each row with its partition's folder."""
    return _rows((folder(key), io.BytesIO(body)) for key, body in fetched(stack, uris).items())


def here(name: str, path: Path, uri: str, work: Path):
    """Run the asset's step of pipeline `name` over one file in this process: result, schema, rows."""
    pipeline = selection.selected([name])[0]
    plan = asset_plan(pipeline, runtimes(pipeline.assets[0])[0])
    spill = work / "spill"
    spill.mkdir(parents=True)
    result = run_step(
        plan, {plan.inputs[0].name: [InputFile(str(path), uri)]},
        destination=str(work / "rows"), quarantine=str(work / "quarantine"), stem="s",
        limits=Limits(512 * 2**20, 1, str(spill)),
    )  # fmt: skip
    return result, *_rows((folder(each.path), each.path) for each in result.files)


def _rows(parts):
    schema, rows = None, Counter()
    for place, source in parts:
        part = pq.ParquetFile(source).read()
        assert schema is None or schema.equals(part.schema)
        schema = part.schema
        rows.update(
            (place, *row) for row in zip(*(column.to_pylist() for column in part.columns), strict=True)
        )
    return schema, rows
