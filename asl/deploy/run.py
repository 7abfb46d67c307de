"""One uploaded file and what became of it, whichever trigger its pipeline has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aws_runtime.identity import FileIdentity

QUEUED, PENDING, RUNNING = "QUEUED", "PENDING", "RUNNING"
SUCCEEDED, FAILED, REJECTED = "SUCCEEDED", "FAILED", "REJECTED"
NOT_STARTED = "NOT_STARTED"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an open batch waits for.

    Args:
        date: Of its files.
        batch: Its number among the date's.
        files: That it has.
        wanted: That fill it.
        until: When it starts with the files that it has.
    """

    date: str
    batch: int
    files: int
    wanted: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One uploaded file and what became of it.

    Args:
        file: Who it is.
        status: QUEUED (not seen yet), PENDING (in a batch that waits for more files), RUNNING, REJECTED
            (its batch went well without it), NOT_STARTED (no execution until the timeout), or the
            execution's own final status.
        execution: ARN, once known.
        item: What was tracked of it, as plain values.
        error: Why it failed.
        batch: Its date and number, once known.
        waiting: What its batch waits for, while it is PENDING.
    """

    file: FileIdentity
    status: str = QUEUED
    execution: str = ""
    item: Mapping[str, Any] | None = None
    error: str | None = None
    batch: tuple[str, int] | None = None
    waiting: Waiting | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status not in (QUEUED, PENDING, RUNNING)

    @property
    def well(self) -> bool:
        """Whether nothing went wrong: it succeeded, or waits for more files."""
        return self.status in (SUCCEEDED, PENDING)

    def rows(self, name: str) -> int:
        """Return `rows_in`, `rows_out` or `rows_quarantined`; 0 until known."""
        return int((self.item or {}).get(name) or 0)

    def to_json(self) -> dict[str, Any]:
        """Return what `asl run --json` prints of it."""
        item = self.item or {}
        return {
            "name": self.execution.rpartition(":")[2] or None,
            "file": self.file.uri,
            "status": self.status,
            "batch": f"{self.batch[0]}/{self.batch[1]}" if self.batch else None,
            "rows_in": self.rows("rows_in"),
            "rows_out": self.rows("rows_out"),
            "rows_quarantined": self.rows("rows_quarantined"),
            "outputs": list(item.get("outputs") or []),
            "quarantine": list(item.get("quarantine") or []),
            "error": self.error,
        }
