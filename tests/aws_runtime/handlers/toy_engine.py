"""A small engine on Polars for tests of what surrounds an engine: NDJSON of {"id", "day", "n"}.

A negative `n` quarantines its row; a line that is not JSON rejects the file. It reads and writes
local paths and, as Spark on Glue does, `s3://` URIs.
"""

import contextlib
import io
import json
from pathlib import Path

import narwhals as nw
import polars as pl

from aws_runtime import storage
from aws_runtime.engines import Capabilities, Checked, Written, WrittenFile
from aws_runtime.errors import RejectedFile
from aws_runtime.partitions import part_name

CAPABILITIES = Capabilities("toy", frozenset({"json"}), nested=False, runs_in=frozenset({"lambda"}))
SCHEMA = {"id": pl.String, "day": pl.String, "n": pl.Int64}


def keep(orders):
    return orders


def union(orders, others):
    return nw.concat([orders, others])


def later(orders):
    """A later version of the transform, which puts every row into another partition."""
    return orders.with_columns(day=nw.lit("2030-01-01"))


def load(path):
    if not path.startswith("s3://"):
        return Path(path).read_bytes()
    bucket, key = storage.parse_uri(path)
    return storage.s3().get_object(Bucket=bucket, Key=key)["Body"].read()


def save(rows, folder, name):
    """Write rows below a folder or prefix and return the path."""
    content = io.BytesIO()
    rows.write_parquet(content)
    if folder.startswith("s3://"):
        bucket, key = storage.parse_uri(folder + name)
        storage.s3().put_object(Bucket=bucket, Key=key, Body=content.getvalue())
        return folder + name
    path = Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.getvalue())
    return str(path)


class Engine:
    def __init__(self, limits):
        self.limits = limits
        self.rows = {}

    def read(self, files, format, contract):  # noqa: A002 - the protocol's name
        frames = [pl.LazyFrame(schema=SCHEMA)]
        for file in files:
            content = load(file.path)
            if content[:4] == b"PAR1":
                frames.append(pl.read_parquet(content, hive_partitioning=False).lazy())
                continue
            try:
                records = [json.loads(line) for line in content.splitlines()]
            except ValueError as error:
                raise RejectedFile("MalformedJson", str(error), file.uri) from None
            frames.append(pl.LazyFrame(records, schema=SCHEMA))
        return pl.concat(frames)

    def check(self, frame, contract, stage):
        self.rows[stage] = frame.collect().height
        return Checked(frame.filter(pl.col("n") >= 0), frame.filter(pl.col("n") < 0))

    def write(
        self, checked, output_stage, contract, partition_by, compression, destination, quarantine, stem
    ):
        files, refused, bad = [], [], {}
        valid = checked[output_stage].valid.collect()
        for (day,), rows in sorted(valid.group_by("day")):
            path = save(rows.sort("id"), destination, f"dt={day}/{part_name(stem, compression)}")
            files.append(WrittenFile(path, rows.height, {"dt": day}))
        for stage, half in checked.items():
            rows = half.quarantined.collect()
            bad[stage] = rows.height
            if rows.height:
                refused.append(WrittenFile(save(rows, quarantine, f"{stem}.parquet"), rows.height))
        violations = {f"{stage}.n": count for stage, count in bad.items() if count}
        return Written(tuple(files), tuple(refused), dict(self.rows), valid.height, bad, violations)


@contextlib.contextmanager
def open_engine(limits):
    assert Path(limits.spill_directory).is_dir()
    yield Engine(limits)
