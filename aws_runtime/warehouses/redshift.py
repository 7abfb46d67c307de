"""Redshift through its Data API: no connection, no driver, no VPC.

In: a `Load` and where its manifests lie. Out: the transaction's id, or `WarehouseError` with Redshift's words.
Batches of one session see each other's temporary tables, so that only the last one needs the lock; notes of the
batch that runs let a caller whose time is up come back for it.
https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from aws_runtime.warehouses.load import Load, WarehouseBusy, WarehouseFailedError
from aws_runtime.warehouses.redshift_sql import preparation, staging, transaction
from aws_runtime.warehouses.targets import RedshiftTable

#: Between two looks at a running statement: at first, and at most.
POLL_SECONDS, POLL_MOST_SECONDS = 0.5, 10.0
#: https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_BatchExecuteStatement.html
BATCH_STATEMENTS = 40
#: Of an idle session: longer than the machine pauses before it tries again.
SESSION_SECONDS = 900
#: The session, or the statement, of a note is gone.
_GONE = frozenset({"ResourceNotFoundException", "ValidationException"})


@dataclass(frozen=True, slots=True)
class Notes:
    """Where a load keeps what it waits for: a JSON object; None before the first."""

    read: Callable[[], Mapping[str, Any] | None]
    write: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class _Calls:
    """The Data API, the target, and until when to wait."""

    client: Any
    at: RedshiftTable
    name: str
    deadline: float
    sleep: Callable[[float], None]
    clock: Callable[[], float]


def run(
    client: Any,
    at: RedshiftTable,
    load: Load,
    manifests: str,
    notes: Notes,
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
        notes: Of this load.
        timeout_seconds: How long to wait.
        sleep: For tests.
        clock: For tests.

    Raises:
        WarehouseFailedError: It failed or was aborted, and nothing of it is in the table.
        WarehouseBusy: Redshift is still at it; called again, this waits on where it was.
    """
    calls = _Calls(client, at, f"ingestion-{load.table}", clock() + timeout_seconds, sleep, clock)
    batches = [preparation(load), *_chunks(staging(load, manifests, at.copy_role)), transaction(load)]
    digest = hashlib.sha256(json.dumps(batches).encode()).hexdigest()
    found = notes.read()
    # Notes of other statements are those of an attempt with other files.
    if found is not None and found["digest"] == digest:
        try:
            return _from(calls, batches, digest, notes, found)
        except WarehouseFailedError:
            pass  # told already, where the run is started again after it failed
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
    try:
        return _from(calls, batches, digest, notes, None)
    except WarehouseFailedError:
        noted = notes.read()
        if noted is None or noted["batch"] != 0:
            raise
    # Of two that make the same table at once one may fail although the table is then there.
    return _from(calls, batches, digest, notes, None)


def _from(
    calls: _Calls,
    batches: Sequence[Sequence[str]],
    digest: str,
    notes: Notes,
    found: Mapping[str, Any] | None,
) -> str:
    """Run the batches, or wait for the noted one and run those after it; return the last one's statement."""
    statement, session, first = "", None, 0
    if found is not None:
        statement, session, first = found["statement"], found["session"], found["batch"] + 1
        _wait(calls, statement)
    for number in range(first, len(batches)):
        statement, session = _start(calls, batches[number], session)
        notes.write({"digest": digest, "batch": number, "statement": statement, "session": session})
        _wait(calls, statement)
    return statement


def _chunks(statements: Sequence[str]) -> list[Sequence[str]]:
    starts = range(0, len(statements), BATCH_STATEMENTS)
    return [statements[start : start + BATCH_STATEMENTS] for start in starts]


def _start(calls: _Calls, statements: Sequence[str], session: str | None) -> tuple[str, str]:
    """Start statements as one transaction; return its id and the session's.

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
    return str(started["Id"]), session or str(started["SessionId"])


def _wait(calls: _Calls, statement: str) -> None:
    pause = POLL_SECONDS
    while True:
        found = calls.client.describe_statement(Id=statement)
        if found["Status"] == "FINISHED":
            return
        if found["Status"] in ("FAILED", "ABORTED"):
            raise WarehouseFailedError(f"Redshift {found['Status'].lower()}: {_why(found)}")
        if calls.clock() >= calls.deadline:
            raise WarehouseBusy(f"Redshift is still at statement {statement} ({found['Status'].lower()})")
        calls.sleep(pause)
        pause = min(pause * 2, POLL_MOST_SECONDS)


def _why(found: dict[str, Any]) -> str:
    """Return Redshift's words, with the statement that failed."""
    failed = [part for part in found.get("SubStatements", []) if part.get("Status") == "FAILED"]
    if failed:
        sql = " ".join(str(failed[0].get("QueryString", "")).split())[:120]
        return f"{failed[0].get('Error', 'no reason given')} (in {sql!r})"
    return str(found.get("Error") or "no reason given")
