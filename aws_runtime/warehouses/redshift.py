"""Redshift through its Data API: no connection, no driver, no VPC.

In: a `Load` and where its manifests lie. Out: the transaction's id, or `WarehouseError` with Redshift's words.
Batches of one session see each other's temporary tables, so that only the last one needs the lock.
https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aws_runtime.warehouses.load import Load, WarehouseError, WarehouseFailedError
from aws_runtime.warehouses.redshift_sql import preparation, staging, transaction
from aws_runtime.warehouses.targets import RedshiftTable

#: Between two looks at a running statement: at first, and at most.
POLL_SECONDS, POLL_MOST_SECONDS = 0.5, 10.0
#: https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_BatchExecuteStatement.html
BATCH_STATEMENTS = 40
#: Of an idle session; between two batches lies one look at the first of them.
SESSION_SECONDS = 120


@dataclass(frozen=True, slots=True)
class _Calls:
    """The Data API, the target, and until when to wait."""

    client: Any
    at: RedshiftTable
    name: str
    deadline: float
    timeout_seconds: float
    sleep: Callable[[float], None]
    clock: Callable[[], float]


def run(
    client: Any,
    at: RedshiftTable,
    load: Load,
    manifests: str,
    *,
    timeout_seconds: float = 600,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Make the tables, copy the files, run the transaction and return its id.

    Args:
        client: boto3's `redshift-data`.
        at: Where.
        load: What.
        manifests: S3 prefix of COPY's manifests, one for each of `load.groups()`.
        timeout_seconds: For all batches together; what then still runs is cancelled.
        sleep: For tests.
        clock: For tests.

    Raises:
        WarehouseError: It failed or was aborted, and nothing of it is in the table; or it took too long:
            cancelling was asked for, and what ended all the same is in the ledger, so that a repeated run changes
            nothing.
    """
    name = f"ingestion-{load.table}"
    calls = _Calls(client, at, name, clock() + timeout_seconds, timeout_seconds, sleep, clock)
    try:
        _, session = _batch(calls, preparation(load), None)
    except WarehouseFailedError:
        # Of two that make the same table at once one may fail although the table is then there.
        _, session = _batch(calls, preparation(load), None)
    for statements in _batches(staging(load, manifests, at.copy_role)):
        _batch(calls, statements, session)
    statement, _ = _batch(calls, transaction(load), session)
    return statement


def _batches(statements: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(statements), BATCH_STATEMENTS):
        yield statements[start : start + BATCH_STATEMENTS]


def _batch(calls: _Calls, statements: Sequence[str], session: str | None) -> tuple[str, str]:
    """Run statements as one transaction and wait for it; return its id and the session's.

    boto3 makes its ClientToken, so that a repeated request starts no second one. The token is no name of the
    run: Redshift would answer a redrive of a failed load with the old failure.
    """
    at = calls.at
    place = {
        "Database": at.database,
        "WorkgroupName": at.workgroup,
        "ClusterIdentifier": at.cluster,
        "SecretArn": at.secret,
        "SessionKeepAliveSeconds": SESSION_SECONDS,
    }
    started = calls.client.batch_execute_statement(
        Sqls=list(statements),
        StatementName=calls.name,
        **({"SessionId": session} if session else {name: said for name, said in place.items() if said}),
    )
    statement = str(started["Id"])
    _wait(calls, statement)
    return statement, session or str(started["SessionId"])


def _wait(calls: _Calls, statement: str) -> None:
    pause = POLL_SECONDS
    while True:
        found = calls.client.describe_statement(Id=statement)
        if found["Status"] == "FINISHED":
            return
        if found["Status"] in ("FAILED", "ABORTED"):
            raise WarehouseFailedError(f"Redshift {found['Status'].lower()}: {_why(found)}")
        if calls.clock() >= calls.deadline:
            calls.client.cancel_statement(Id=statement)
            raise WarehouseError(
                f"Redshift took more than {calls.timeout_seconds:g} s; "
                f"cancelling statement {statement} was asked for"
            )
        calls.sleep(pause)
        pause = min(pause * 2, POLL_MOST_SECONDS)


def _why(found: dict[str, Any]) -> str:
    """Return Redshift's words, with the statement that failed."""
    failed = [part for part in found.get("SubStatements", []) if part.get("Status") == "FAILED"]
    if failed:
        sql = " ".join(str(failed[0].get("QueryString", "")).split())[:120]
        return f"{failed[0].get('Error', 'no reason given')} (in {sql!r})"
    return str(found.get("Error") or "no reason given")
