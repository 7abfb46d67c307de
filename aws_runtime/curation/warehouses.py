"""Load, its last part: a run's staged Parquet -> the tables of the declaration's warehouses, once.

In: the run and what it published. Out: an entry for each warehouse. The staged files are loaded and not the
curated ones: they are Parquet whatever is published, and no other run replaces them meanwhile.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import boto3

from aws_runtime import storage
from aws_runtime.curation import keyed
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.files import Curated
from aws_runtime.curation.job import Job
from aws_runtime.events import S3Object
from aws_runtime.warehouses import redshift, redshift_sql, snowflake
from aws_runtime.warehouses.load import Load, LoadFile, LoadMode
from aws_runtime.warehouses.targets import RedshiftTable, SnowflakeTable

#: A run's partitions, as they are published, are whole: their rows are the table's.
_MODES = {
    WriteMode.APPEND: LoadMode.APPEND,
    WriteMode.OVERWRITE_PARTITIONS: LoadMode.OVERWRITE_PARTITIONS,
    WriteMode.MERGE: LoadMode.MERGE,
    WriteMode.SCD2: LoadMode.OVERWRITE_PARTITIONS,
}
_STEM = re.compile(r"part-([0-9]{8}T[0-9]{6}Z-[0-9a-f]{16})[-.]")
#: Of a function's fifteen minutes, what is kept for what comes before and after.
SECONDS = 780.0


def load_into(job: Job, files: Sequence[Curated], *, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """Load a run into every warehouse that the declaration names; a run that is in changes nothing.

    Args:
        job: The run.
        files: What it published; partitions that a newer run has replaced are not among them.
        seconds: For all warehouses together.

    Returns:
        `{"kind", "table", "mode", "files", "statement"}` for each warehouse.

    Raises:
        WarehouseBusy: One is still at it; a retry waits on.
        WarehouseError: One did not take it; those before it hold the run, and a retry leaves them as they are.
    """
    told = job.declared
    if not files or (told.redshift is None and told.snowflake is None):
        return []
    until = time.monotonic() + seconds
    staged = storage.each(_staged, files)
    done = []
    if told.redshift is not None:
        done.append(_redshift(job, told.redshift, staged, seconds))
    if told.snowflake is not None:
        done.append(_snowflake(job, told.snowflake, staged, until - time.monotonic()))
    return done


def _redshift(job: Job, at: RedshiftTable, files: Sequence[LoadFile], seconds: float) -> dict[str, Any]:
    load = _load(job, at, files)
    manifests = f"{job.runs}redshift/"
    groups = list(load.groups().values())
    storage.each(
        lambda number: storage.put_json(
            redshift_sql.manifest_uri(manifests, number), redshift_sql.manifest(groups[number])
        ),
        range(len(groups)),
    )
    statement = redshift.run(
        client("redshift-data"),
        at,
        load,
        manifests,
        _notes(f"{manifests}progress.json"),
        timeout_seconds=seconds,
    )
    return _entry("redshift", at.database, load, statement)


def _snowflake(job: Job, at: SnowflakeTable, files: Sequence[LoadFile], seconds: float) -> dict[str, Any]:
    load = _load(job, at, files)
    secret = client("secretsmanager").get_secret_value(SecretId=at.secret)["SecretString"]
    connect = partial(snowflake.session, at, snowflake.private_key(secret))
    statement = snowflake.run(connect, at, load, stage_root(job), timeout_seconds=seconds)
    return _entry("snowflake", at.database, load, statement)


def _notes(uri: str) -> redshift.Notes:
    return redshift.Notes(lambda: storage.get_json(uri), lambda noted: storage.put_json(uri, noted))


def client(service: str) -> Any:
    """Return a client of an AWS service; its region and endpoint are the environment's."""
    return boto3.client(service)


def stage_root(job: Job) -> str:
    """Return the URI that Snowflake's external stage must have."""
    return f"s3://{job.config.target_bucket}/_staging/{job.declared.pipeline}/"


def _load(job: Job, at: RedshiftTable | SnowflakeTable, files: Sequence[LoadFile]) -> Load:
    contract = job.declared.output_contract
    stems = [found.group(1) for file in files if (found := _STEM.match(file.uri.rpartition("/")[2]))]
    return Load(
        job_id=job.id,
        schema=at.schema,
        table=at.table or job.declared.asset,
        contract=replace(contract, columns=keyed.output_columns(job.config.write_mode, contract)),
        files=files,
        mode=_MODES[job.config.write_mode],
        keys=job.config.keys if job.config.write_mode is WriteMode.MERGE else (),
        partition_by=job.declared.partition_by,
        run_at=max(stems, default=""),
    )


def _staged(file: Curated) -> LoadFile:
    bucket, key = storage.parse_uri(file.staged)
    item = storage.describe(S3Object(bucket, key))
    return LoadFile(file.staged, item.size or 0, file.rows, file.partition)


def _entry(kind: str, database: str, load: Load, statement: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "table": f"{database}.{load.schema}.{load.table}",
        "mode": load.mode.value,
        "files": len(load.files),
        "statement": statement,
    }
