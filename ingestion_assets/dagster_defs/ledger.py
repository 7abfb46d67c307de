"""What one step did with one landed file, and the sum over many; read from run records.

In: run records (the JSON that a step leaves, the same from Dagster and from Lambda). Out: counts
that add up: rows in = rows out + rows quarantined, and each rejected file with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that could not be ingested at all: its URI, a stable code and a sentence."""

    uri: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of one or many run records.

    Args:
        files: Landed files processed, rejected ones included.
        rows_in: Rows judged.
        rows_out: Rows written.
        rows_quarantined: Rows in quarantine.
        outputs: URIs of Parquet files.
        quarantine: URIs of quarantine files.
        violations: Rows that broke each rule, by `stage.rule`.
        rejected: Files rejected whole.
    """

    files: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_quarantined: int = 0
    outputs: tuple[str, ...] = ()
    quarantine: tuple[str, ...] = ()
    violations: Mapping[str, int] = field(default_factory=dict)
    rejected: tuple[Rejection, ...] = ()


def read_record(record: Mapping[str, Any], uri: str) -> Ledger:
    """Read one run record of the landed file `uri`."""
    if record["status"] == "rejected":
        reason = record["reason"]
        return Ledger(files=1, rejected=(Rejection(uri, reason["code"], reason["message"]),))
    return Ledger(
        files=1,
        rows_in=record["rows_in"],
        rows_out=record["rows_out"],
        rows_quarantined=record["rows_quarantined"],
        outputs=tuple(record["outputs"]),
        quarantine=tuple(record["quarantine"]),
        violations=dict(record["violations"]),
    )


def total(ledgers: Iterable[Ledger]) -> Ledger:
    """Add ledgers up, in the order given."""
    given = tuple(ledgers)
    violations: Counter[str] = Counter()
    for ledger in given:
        violations.update(ledger.violations)
    return Ledger(
        files=sum(ledger.files for ledger in given),
        rows_in=sum(ledger.rows_in for ledger in given),
        rows_out=sum(ledger.rows_out for ledger in given),
        rows_quarantined=sum(ledger.rows_quarantined for ledger in given),
        outputs=tuple(uri for ledger in given for uri in ledger.outputs),
        quarantine=tuple(uri for ledger in given for uri in ledger.quarantine),
        violations=dict(sorted(violations.items())),
        rejected=tuple(rejection for ledger in given for rejection in ledger.rejected),
    )
