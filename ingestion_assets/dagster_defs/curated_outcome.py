"""What a curated run did, as data: for its metadata and its checks.

Apart from what makes it, so that definitions load without that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagster as dg

from aws_runtime.curation.config import Config
from aws_runtime.curation.output_rules import OutputReport
from ingestion_assets.dagster_defs.ledger import Ledger
from ingestion_assets.dagster_defs.quarantine import Sample


@dataclass(frozen=True, slots=True)
class CuratedRun:
    """What a run did.

    Args:
        config: Its configuration, merged and checked.
        ledger: Counts, the files written, and the rejected files.
        report: What the thresholds found; None where nothing was written.
        counted: `rows_out` and `rows_quarantined` as counted in the files written.
        met: Of merge and scd2: `rows_existing` of the partitions before, and `rows_merged` by which they do not grow.
        partitions: Of the rows written, as folders.
        samples: Quarantined rows.
        schema: Columns as written.
        preview: The first rows, in Markdown.
        rows_of_table: Of the whole table after it.
        empty: Whether there was no new file, so that nothing was judged.
        sql: The transform as Spark SQL, where the configuration asks for `glue_sql`.
    """

    config: Config
    ledger: Ledger
    report: OutputReport | None = None
    counted: Mapping[str, int] | None = None
    met: Mapping[str, int] = field(default_factory=dict)
    partitions: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    schema: dg.TableSchema | None = None
    preview: str | None = None
    rows_of_table: int = 0
    empty: bool = False
    sql: str = ""


class RunFailedError(Exception):
    """A run that published nothing: a code, one sentence, and what was found out until then."""

    def __init__(self, code: str, message: str, run: CuratedRun) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.run = code, message, run
