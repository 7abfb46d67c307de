"""Redshift through its Data API: a staging table, COPY, and one transaction; no connection, no driver.

In: a `Load`. Out: what the transaction did, or `WarehouseError` with Redshift's words. COPY reads the files that a
manifest names, so that nothing else below a prefix is loaded.
https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_runtime.contract import DataType
from aws_runtime.warehouses.load import LEDGER, Load, LoadMode, WarehouseError, listed, literal, quoted

#: Between two looks at a running statement: at first, and at most.
POLL_SECONDS, POLL_MOST_SECONDS = 0.5, 10.0
STAGING = "ingestion_staging"

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
    columns = ", ".join(
        f"{quoted(column.name)} {sql_type(column.type)}{'' if column.nullable else ' NOT NULL'}"
        for column in load.contract.columns
    )
    new = f"NOT EXISTS (SELECT 1 FROM {ledger} WHERE job_id = {literal(load.job_id)})"
    result = [
        f"CREATE TABLE IF NOT EXISTS {target} ({columns})",
        f"CREATE TABLE IF NOT EXISTS {ledger} (job_id VARCHAR(256) NOT NULL, loaded_at TIMESTAMP NOT NULL)",
        # Two loads of one run wait for each other here; the second one then sees the first one's id.
        f"LOCK TABLE {ledger}",
        f"CREATE TEMPORARY TABLE {STAGING} (LIKE {target})",
        f"COPY {STAGING} FROM {literal(manifest)} IAM_ROLE {literal(role_arn)} FORMAT AS PARQUET MANIFEST",
    ]
    if load.mode is LoadMode.MERGE:
        same = " AND ".join(f"{target}.{quoted(key)} = {STAGING}.{quoted(key)}" for key in load.keys)
        result.append(f"DELETE FROM {target} USING {STAGING} WHERE {same} AND {new}")
    result += [
        f"INSERT INTO {target} ({listed(names)}) SELECT {listed(names)} FROM {STAGING} WHERE {new}",
        f"INSERT INTO {ledger} (job_id, loaded_at) SELECT {literal(load.job_id)}, GETDATE() WHERE {new}",
        f"DROP TABLE {STAGING}",
    ]
    return result


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
    """Run the transaction and return the statement's id.

    Args:
        client: boto3's `redshift-data`.
        at: Where.
        load: What.
        manifest: S3 URI of COPY's manifest.
        timeout_seconds: The transaction is cancelled after so many.
        sleep: For tests.
        clock: For tests.

    Raises:
        WarehouseError: It failed, was aborted or took too long; nothing of it is in the table.
    """
    place = {
        "WorkgroupName": at.workgroup,
        "ClusterIdentifier": at.cluster,
        "SecretArn": at.secret_arn,
    }
    sqls = statements(load, manifest, at.role_arn)
    started = client.batch_execute_statement(
        Database=at.database,
        Sqls=sqls,
        StatementName=f"ingestion-{load.table}"[:500],
        # The same token within eight hours is the same call: a retry starts no second transaction.
        ClientToken=hashlib.sha256("\n".join((load.job_id, *sqls)).encode()).hexdigest(),
        **{name: value for name, value in place.items() if value},
    )
    statement: str = started["Id"]
    deadline, pause = clock() + timeout_seconds, POLL_SECONDS
    while True:
        found = client.describe_statement(Id=statement)
        if found["Status"] == "FINISHED":
            return statement
        if found["Status"] in ("FAILED", "ABORTED"):
            raise WarehouseError(f"Redshift {found['Status'].lower()}: {_why(found)}")
        if clock() > deadline:
            client.cancel_statement(Id=statement)
            raise WarehouseError(f"Redshift took more than {timeout_seconds:g} s; the load was cancelled")
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
