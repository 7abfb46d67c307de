"""Redshift through its Data API: a staging table, COPY, and one transaction; no connection, no driver.

In: a `Load`. Out: what the transaction did, or `WarehouseError` with Redshift's words. COPY reads the files that a
manifest names, so that nothing else below a prefix is loaded.
https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_runtime.contract import DataType
from aws_runtime.warehouses.load import (
    LEDGER,
    STAGING,
    Load,
    LoadMode,
    WarehouseError,
    WarehouseFailedError,
    listed,
    literal,
    quoted,
)

#: Between two looks at a running statement: at first, and at most.
POLL_SECONDS, POLL_MOST_SECONDS = 0.5, 10.0

#: https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html
_TYPES = {
    "boolean": "BOOLEAN",
    "int8": "SMALLINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "SMALLINT",
    "uint16": "INTEGER",
    "uint32": "BIGINT",
    "uint64": "DECIMAL(20,0)",
    "float32": "REAL",
    "float64": "DOUBLE PRECISION",
    "string": "VARCHAR(65535)",
    "date": "DATE",
    "binary": "VARBYTE(1024000)",
    "list": "SUPER",
    "struct": "SUPER",
}


@dataclass(frozen=True, slots=True)
class Redshift:
    """Where to load.

    Args:
        database: Its name.
        role_arn: Role that COPY reads S3 with.
        workgroup: Of Redshift Serverless; or
        cluster: identifier of a provisioned one, with
        secret_arn: credentials in Secrets Manager; None for IAM.
    """

    database: str
    role_arn: str
    workgroup: str | None = None
    cluster: str | None = None
    secret_arn: str | None = None

    def __post_init__(self) -> None:
        """Refuse a target that is none, or two: raises ValueError."""
        if bool(self.workgroup) == bool(self.cluster):
            raise ValueError("redshift: say either workgroup or cluster")


def sql_type(given: DataType) -> str:
    """Return Redshift's type of a column."""
    if given.name == "decimal":
        return f"DECIMAL({given.precision},{given.scale})"
    if given.name == "timestamp":
        return "TIMESTAMPTZ" if given.timezone else "TIMESTAMP"
    return _TYPES[given.name]


def preparation(load: Load) -> list[str]:
    """Return the statements that make the tables; a batch of their own, before the transaction.

    A transaction of Redshift sees the tables as they were at its first statement that reads, writes or creates;
    LOCK is none of these. So nothing may come before the LOCK that `statements` begins with.
    https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html
    """
    return [
        f"CREATE TABLE IF NOT EXISTS {quoted(load.schema)}.{quoted(load.table)} ({_columns(load)})",
        (
            f"CREATE TABLE IF NOT EXISTS {quoted(load.schema)}.{quoted(LEDGER)} "
            "(table_name VARCHAR(127) NOT NULL, job_id VARCHAR(256) NOT NULL, loaded_at TIMESTAMP NOT NULL)"
        ),
    ]


def statements(load: Load, manifest: str, role_arn: str) -> list[str]:
    """Return the statements of one transaction, in order.

    Args:
        load: What is loaded.
        manifest: S3 URI of COPY's manifest (`copy_manifest`).
        role_arn: Role that COPY reads S3 with.
    """
    names = [column.name for column in load.contract.columns]
    target = f"{quoted(load.schema)}.{quoted(load.table)}"
    ledger = f"{quoted(load.schema)}.{quoted(LEDGER)}"
    run_of_table = f"table_name = {literal(load.table)} AND job_id = {literal(load.job_id)}"
    new = f"NOT EXISTS (SELECT 1 FROM {ledger} WHERE {run_of_table})"
    nested = any(column.type.name in ("list", "struct") for column in load.contract.columns)
    copied = (
        f"COPY {STAGING} FROM {literal(manifest)} IAM_ROLE {literal(role_arn)} FORMAT AS PARQUET MANIFEST"
    )
    result = [
        # Loads wait for each other here; the second one of a run then sees the first one's id.
        f"LOCK TABLE {ledger}",
        # COPY of Parquet goes by position: the columns are the files', whatever the target's order is.
        f"CREATE TEMPORARY TABLE {STAGING} ({_columns(load)})",
        # https://docs.aws.amazon.com/redshift/latest/dg/ingest-super.html
        copied + (" SERIALIZETOJSON" if nested else ""),
    ]
    if load.mode is LoadMode.MERGE:
        same = " AND ".join(
            f"{quoted(load.table)}.{quoted(key)} = {STAGING}.{quoted(key)}" for key in load.keys
        )
        result.append(f"DELETE FROM {target} USING {STAGING} WHERE {same} AND {new}")
    result += [
        f"INSERT INTO {target} ({listed(names)}) SELECT {listed(names)} FROM {STAGING} WHERE {new}",
        (
            f"INSERT INTO {ledger} (table_name, job_id, loaded_at) "
            f"SELECT {literal(load.table)}, {literal(load.job_id)}, GETDATE() WHERE {new}"
        ),
        f"DROP TABLE {STAGING}",
    ]
    return result


def _columns(load: Load) -> str:
    return ", ".join(
        f"{quoted(column.name)} {sql_type(column.type)}{'' if column.nullable else ' NOT NULL'}"
        for column in load.contract.columns
    )


def copy_manifest(files: dict[str, int]) -> dict[str, Any]:
    """Return COPY's manifest of Parquet files: URI -> bytes, which Parquet needs.

    https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html
    """
    return {
        "entries": [
            {"url": uri, "mandatory": True, "meta": {"content_length": size}}
            for uri, size in sorted(files.items())
        ]
    }


def run(
    client: Any,
    at: Redshift,
    load: Load,
    manifest: str,
    *,
    timeout_seconds: float = 840,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Make the tables, run the transaction and return its id.

    Args:
        client: boto3's `redshift-data`.
        at: Where.
        load: What.
        manifest: S3 URI of COPY's manifest.
        timeout_seconds: For both batches together; what then still runs is cancelled.
        sleep: For tests.
        clock: For tests.

    Raises:
        WarehouseError: It failed or was aborted, and nothing of it is in the table; or it took too long: cancelling was asked
            for, and what ended all the same is in the ledger, so that a repeated run changes nothing.
    """
    deadline = clock() + timeout_seconds

    def batch(sqls: list[str]) -> str:
        statement = _start(client, at, load, sqls)
        _wait(
            client,
            statement,
            deadline=deadline,
            timeout_seconds=timeout_seconds,
            sleep=sleep,
            clock=clock,
        )
        return statement

    try:
        batch(preparation(load))
    except WarehouseFailedError:
        # Of two that make the same table at once one may fail although the table is then there.
        batch(preparation(load))
    return batch(statements(load, manifest, at.role_arn))


def _start(client: Any, at: Redshift, load: Load, sqls: list[str]) -> str:
    """Start one transaction. boto3 makes its ClientToken, so that a repeated request starts no second one.

    The token is no name of the run: Redshift would answer a redrive of a failed load with the old failure.
    """
    place = {"WorkgroupName": at.workgroup, "ClusterIdentifier": at.cluster, "SecretArn": at.secret_arn}
    started = client.batch_execute_statement(
        Database=at.database,
        Sqls=sqls,
        StatementName=f"ingestion-{load.table}",
        **{name: value for name, value in place.items() if value},
    )
    return str(started["Id"])


def _wait(
    client: Any,
    statement: str,
    *,
    deadline: float,
    timeout_seconds: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    pause = POLL_SECONDS
    while True:
        found = client.describe_statement(Id=statement)
        if found["Status"] == "FINISHED":
            return
        if found["Status"] in ("FAILED", "ABORTED"):
            raise WarehouseFailedError(f"Redshift {found['Status'].lower()}: {_why(found)}")
        if clock() >= deadline:
            client.cancel_statement(Id=statement)
            raise WarehouseError(
                f"Redshift took more than {timeout_seconds:g} s; cancelling statement {statement} was asked for"
            )
        sleep(pause)
        pause = min(pause * 2, POLL_MOST_SECONDS)


def _why(found: dict[str, Any]) -> str:
    """Return Redshift's words, with the statement that failed."""
    failed = [part for part in found.get("SubStatements", []) if part.get("Status") == "FAILED"]
    if failed:
        sql = " ".join(str(failed[0].get("QueryString", "")).split())[:120]
        return f"{failed[0].get('Error', 'no reason given')} (in {sql!r})"
    return str(found.get("Error") or "no reason given")


def manifest_json(files: dict[str, int]) -> bytes:
    """Return COPY's manifest as bytes, the same for the same files."""
    return json.dumps(copy_manifest(files), sort_keys=True, separators=(",", ":")).encode()
