"""A small engine on Polars for tests of what surrounds an engine: NDJSON of {"id", "day", "n"}.

A negative `n` quarantines its row; a line that is not JSON rejects the file.
"""

import contextlib
import json
from pathlib import Path

import narwhals as nw
import polars as pl

from aws_runtime.engines import Capabilities, Checked, Written, WrittenFile
from aws_runtime.errors import RejectedFile

CAPABILITIES = Capabilities("toy", frozenset({"json"}), nested=False, runs_in=frozenset({"lambda"}))
SCHEMA = {"id": pl.String, "day": pl.String, "n": pl.Int64}


def keep(orders):
    return orders


def later(orders):
    """A later version of the transform, which puts every row into another partition."""
    return orders.with_columns(day=nw.lit("2030-01-01"))


class Engine:
    def __init__(self, limits):
        self.limits = limits
        self.rows = {}

    def read(self, files, format, contract):  # noqa: A002 - the protocol's name
        frames = [pl.LazyFrame(schema=SCHEMA)]
        for file in files:
            content = Path(file.path).read_bytes()
            if content[:4] == b"PAR1":
                frames.append(pl.scan_parquet(file.path, hive_partitioning=False))
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
            path = Path(destination, f"dt={day}", f"{stem}.parquet")
            path.parent.mkdir(parents=True)
            rows.sort("id").write_parquet(path)
            files.append(WrittenFile(str(path), rows.height, {"dt": day}))
        for stage, half in checked.items():
            rows = half.quarantined.collect()
            bad[stage] = rows.height
            if rows.height:
                path = Path(quarantine, f"{stem}.parquet")
                rows.write_parquet(path)
                refused.append(WrittenFile(str(path), rows.height))
        violations = {f"{stage}.n": count for stage, count in bad.items() if count}
        return Written(tuple(files), tuple(refused), dict(self.rows), valid.height, bad, violations)


@contextlib.contextmanager
def open_engine(limits):
    assert Path(limits.spill_directory).is_dir()
    yield Engine(limits)
