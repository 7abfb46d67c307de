"""DuckDB as a step needs it: in memory, bounded, spilling to a folder of its own, off the network.

In: limits. Out: a database for many steps, and a connection for each.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from aws_runtime.engines import Limits


@contextmanager
def open_database(limits: Limits) -> Iterator[tuple[Any, Path]]:
    """Open a database; gives it and its folder, which is removed at the end."""
    Path(limits.spill_directory).mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="step-", dir=limits.spill_directory))
    settings: dict[str, Any] = {
        "memory_limit": f"{limits.memory_bytes}B",
        "threads": limits.threads,
        "temp_directory": str(work / "spill"),
        # A function must not reach for the network, and has no home directory to cache in.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        # Rows held for each partition before they are written. The default of 524,288 spills, and
        # took 1.6 times as long and half as much memory again on 200 MB of orders over five dates.
        "partitioned_write_flush_threshold": 20_000,
    }
    database = duckdb.connect(":memory:", config=settings)
    try:
        database.execute("SET enable_progress_bar = false")  # a log is no terminal
        yield database, work
    finally:
        database.close()
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def open_connection(database: Any) -> Iterator[Any]:
    """Open a connection, whose temporary tables and views end with it."""
    connection = database.cursor()
    try:
        connection.execute("SET TimeZone = 'UTC'")  # which each connection has for itself
        yield connection
    finally:
        connection.close()
