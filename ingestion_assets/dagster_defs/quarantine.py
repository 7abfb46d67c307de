"""Quarantine and Parquet files -> what a person sees of them: counts, samples, a preview.

In: paths of files that steps wrote. Out: rows counted in the files' own footers, and small tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from aws_runtime.contract import Contract
from ingestion_assets.arrow import arrow_type
from ingestion_assets.dagster_defs.specs import table_schema

#: Files looked into for samples: reasons repeat, and a run may have thousands of files.
MOST_FILES = 50
MOST_SAMPLES = 1_000
SHOWN_SAMPLES = 5
SHOWN_ROWS = 5
SHOWN_CHARACTERS = 200

Opener = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class Sample:
    """One quarantined row: the stage that refused it, where it came from, and why."""

    stage: str
    source_uri: str
    source_row: int | None
    reasons: tuple[str, ...]
    record: str


def count_rows(uris: Iterable[str], opener: Opener) -> int:
    """Count the rows of Parquet files by their footers."""
    rows = 0
    for uri in uris:
        with opener(uri) as file:
            rows += pq.ParquetFile(file).metadata.num_rows
    return rows


def read_samples(uris: Sequence[str], opener: Opener) -> list[Sample]:
    """Return up to 1,000 quarantined rows of the first 50 files."""
    samples: list[Sample] = []
    for uri in sorted(uris)[:MOST_FILES]:
        with opener(uri) as file:
            rows = next(pq.ParquetFile(file).iter_batches(batch_size=MOST_SAMPLES), None)
        samples += [
            Sample(r["stage"], r["source_uri"], r["source_row"], tuple(r["reasons"] or ()), r["record"])
            for r in (rows.to_pylist() if rows is not None else ())
        ]
        if len(samples) >= MOST_SAMPLES:
            break
    return samples[:MOST_SAMPLES]


def samples_table(samples: Sequence[Sample]) -> dg.TableMetadataValue:
    """Show the first quarantined rows as a table."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "reasons": "; ".join(sample.reasons),
                    "file": sample.source_uri or "",
                    "row": sample.source_row if sample.source_row is not None else "",
                    "record": _shortened(sample.record),
                }
            )
            for sample in samples[:SHOWN_SAMPLES]
        ]
    )


def preview(uris: Sequence[str], opener: Opener) -> str | None:
    """Return the first rows of the first non-empty file as a Markdown table."""
    for uri in uris:
        with opener(uri) as file:
            batch = next(pq.ParquetFile(file).iter_batches(batch_size=SHOWN_ROWS), None)
        if batch is not None and batch.num_rows:
            names = batch.schema.names
            lines = [names, ["---"] * len(names)]
            lines += [[_cell(row[name]) for name in names] for row in batch.to_pylist()]
            return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return None


def written_schema(uris: Sequence[str], opener: Opener, contract: Contract) -> dg.TableSchema | None:
    """Return the columns of a written file, which the next run's are compared with.

    A column that is as the contract says is shown with the contract's rules; any other as it was
    found.
    """
    if not uris:
        return None
    declared = {column.name: column for column in table_schema(contract).columns}
    types = {column.name: arrow_type(column.type) for column in contract.columns}
    with opener(uris[0]) as file:
        schema = pq.ParquetFile(file).schema_arrow
    return dg.TableSchema(
        [
            declared[field.name]
            if types.get(field.name) == _narrow(field.type)
            else dg.TableColumn(field.name, str(_narrow(field.type)))
            for field in schema
        ]
    )


def _narrow(kind: pa.DataType) -> pa.DataType:
    """Return the type without its offsets' width, which Polars notes in its files and Parquet does not have."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_narrow(field.type)) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_narrow(kind.value_type))
    return {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}.get(kind, kind)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = (
        json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    )
    return _shortened(text).replace("|", "\\|").replace("\n", " ")


def _shortened(text: str | None) -> str:
    value = text or ""
    return value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…"
