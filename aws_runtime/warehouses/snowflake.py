"""Snowflake through its connector: a session's staging table, COPY INTO, and one transaction.

In: a `Load` and the user's private key. Out: the id of the query that committed, or `WarehouseError` with
Snowflake's words. The connector is imported when it is used: other pipelines' functions have none.
https://docs.snowflake.com/en/developer-guide/python-connector/python-connector
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

from aws_runtime.warehouses.load import STAGING, Load, WarehouseError, WarehouseFailedError
from aws_runtime.warehouses.snowflake_sql import preparation, staging, transaction
from aws_runtime.warehouses.targets import SnowflakeTable

#: To log in, and for a request that gets no answer.
LOGIN_SECONDS, NETWORK_SECONDS = 60, 120

#: Opens a connection; the connector's own `connect`, but for tests.
Connect = Callable[..., Any]


def private_key(secret: str) -> bytes:
    """Return the key of a secret as the connector wants it, PKCS#8 in DER.

    Args:
        secret: PEM text, or a JSON object of `private_key` and, of an encrypted one, `passphrase`.

    Raises:
        WarehouseError: It is none, or needs another passphrase; the secret is not in the message.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - comes with the connector

    text, passphrase = secret, None
    try:
        if secret.lstrip().startswith("{"):
            found = json.loads(secret)
            text, passphrase = found["private_key"], found.get("passphrase")
        # Consoles that keep a value in one line write its ends of line as two characters.
        pem = text.replace("\\n", "\n").encode()
        key = serialization.load_pem_private_key(pem, passphrase.encode() if passphrase else None)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WarehouseError(
            "Snowflake: the secret holds no private key that can be read; it must be PEM, or JSON of private_key "
            "and passphrase"
        ) from None
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def run(
    connect: Connect,
    at: SnowflakeTable,
    load: Load,
    root: str,
    *,
    timeout_seconds: float = 600,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Make the tables, copy the files, run the transaction and return the id of its last query.

    Args:
        connect: Opens a session of the target.
        at: Where.
        load: What.
        root: URI that the target's stage stands for, ending in `/`.
        timeout_seconds: For all of it; Snowflake itself ends a statement that would take longer.
        clock: For tests.

    Raises:
        WarehouseError: It failed, and nothing of it is in the table; or it was cut off: what was committed all the
            same is in the ledger, so that a repeated run changes nothing.
    """
    deadline = clock() + timeout_seconds
    with connect() as connection, connection.cursor() as cursor:

        def execute(sql: str) -> None:
            left = int(deadline - clock())
            if left <= 0:
                raise WarehouseError(f"Snowflake took more than {timeout_seconds:g} s; nothing was loaded")
            cursor.execute(sql, timeout=left)

        try:
            for sql in (*preparation(load), *staging(load, at.stage, root)):
                execute(sql)
            execute(f"SELECT COUNT(*) FROM {STAGING}")
            _check_rows(load, cursor.fetchone()[0])
            for sql in ("BEGIN", *transaction(load), "COMMIT"):
                execute(sql)
        except Exception as error:
            # Closing the session would do it too, later.
            with contextlib.suppress(Exception):
                cursor.execute("ROLLBACK", timeout=NETWORK_SECONDS)
            if isinstance(error, WarehouseError):
                raise
            raise _told(error) from error
        return str(cursor.sfqid)


def _check_rows(load: Load, copied: int) -> None:
    if copied != load.rows:
        raise WarehouseError(f"Snowflake copied {copied:,} rows of {load.rows:,}; nothing was loaded")


def session(at: SnowflakeTable, key: bytes, **place: Any) -> Any:
    """Open a session with key-pair authentication.

    Args:
        at: Where.
        key: PKCS#8 in DER.
        place: Instead of these options; tests have another host.

    Raises:
        WarehouseError: Snowflake refuses it, or does not answer.
    """
    import snowflake.connector  # noqa: PLC0415 - only where it is used

    options: dict[str, Any] = {
        "account": at.account,
        "user": at.user,
        "private_key": key,
        "authenticator": "SNOWFLAKE_JWT",
        "warehouse": at.warehouse,
        "database": at.database,
        "schema": at.schema,
        "login_timeout": LOGIN_SECONDS,
        "network_timeout": NETWORK_SECONDS,
        "application": "ingestion",
        "session_parameters": {"TIMEZONE": "UTC", "QUERY_TAG": "ingestion"},
        **({"role": at.role} if at.role else {}),
        **place,
    }
    try:
        return snowflake.connector.connect(**options)
    except snowflake.connector.errors.Error as error:
        raise _told(error) from error


def _told(error: Exception) -> WarehouseError:
    """Return Snowflake's words; only an error of SQL says for sure that the transaction has ended."""
    words = " ".join(str(getattr(error, "msg", None) or error).split())[:1_000]
    kind = WarehouseFailedError if type(error).__name__ == "ProgrammingError" else WarehouseError
    return kind(f"Snowflake: {words}")
