"""What a quarantined row tells on DuckDB: its stage, position, reasons and the record as it was sent.

In: a contract and what its rules flag. Out: SQL over judged rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_runtime.contract import Contract, Severity
from aws_runtime.engines import SOURCE_ROW
from aws_runtime.engines.duckdb_dialect import DUCKDB, quote, text
from aws_runtime.rules import Violation, raw_columns

#: Columns of records that could not be read: why, and their text.
REASON, RECORD = "__reason", "__record"


def flag(index: int) -> str:
    """Return the column that tells whether a row breaks the rule at `index`."""
    return f"__v{index}"


def quarantined_columns(
    contract: Contract, stage: str, broken: Sequence[Violation], types: Mapping[str, Any], uri: str
) -> str:
    """Return SQL of the columns of a quarantined row, over a judged one."""
    reasons = [
        f"CASE WHEN {flag(i)} THEN {v.reason} END"
        for i, v in enumerate(broken)
        if v.severity is Severity.ERROR
    ]
    found = f"list_filter([{', '.join(reasons) or 'NULL::VARCHAR'}], lambda r: r IS NOT NULL)"
    raw = raw_columns(contract, DUCKDB, types)
    record = "to_json(struct_pack(" + ", ".join(f"{quote(n)} := {quote(r)}" for n, r in raw.items()) + "))"
    record = f"{record}::VARCHAR" if raw else "'{}'"
    if REASON in types:
        found = f"CASE WHEN {REASON} IS NOT NULL THEN [{REASON}] ELSE {found} END"
        record = f"CASE WHEN {REASON} IS NOT NULL THEN {RECORD} ELSE {record} END"
    row = SOURCE_ROW if SOURCE_ROW in types else "NULL"
    return (
        f"{text(stage)} AS stage, {uri}::VARCHAR AS source_uri, {row}::BIGINT AS source_row, "
        f"{found} AS reasons, {record} AS record"
    )
