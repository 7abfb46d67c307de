"""A curated run's rows -> a Delta table on this machine, by the writer of the Lambda function.

In: staged files. Out: one commit of the table in `<root>/<bucket>/<prefix>`. Its writer takes new files only,
unless it overwrites partitions, so a run that was killed before it was recorded is known by its files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from aws_runtime.engines import Limits
from ingestion_assets.dagster_defs.curated_steps import Work
from ingestion_assets.dagster_defs.sites import STEP_MEMORY_BYTES


def write_table(work: Work, files: Sequence[str], staging: Path) -> None:
    """Write a run's staged files into its table.

    Raises:
        DeltaWriteError: The rows or the columns do not fit the table.
    """
    from aws_runtime.curation.delta import write_delta  # noqa: PLC0415 - few need deltalake

    config, told = work.job.config, work.job.declared
    write_delta(
        files,
        table_uri=str(work.table.folder),
        contract=told.output_contract,
        mode=config.write_mode,
        keys=config.keys,
        partition_by=[by.name for by in told.partition_by],
        job_id=_identity(work),
        event_time=work.job.event_time,
        limits=Limits(4 * STEP_MEMORY_BYTES, os.cpu_count() or 1, str(staging / "spill")),
    )


def rows_of_table(work: Work) -> int:
    """Return the rows of the whole table; of none, 0."""
    from aws_runtime.curation.delta import read_delta  # noqa: PLC0415 - few need deltalake

    if not (work.table.folder / "_delta_log").exists():
        return 0
    counted = read_delta(str(work.table.folder), "SELECT count(*) AS rows FROM t")
    (row,) = pa.RecordBatchReader.from_stream(counted).read_all().to_pylist()
    return int(row["rows"])


def _identity(work: Work) -> str:
    if not work.only_new:
        return f"dagster-{work.job.event_time.isoformat()}"
    text = "\n".join(sorted(f"{file.key}@{file.version}" for file in work.taken))
    return f"dagster-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
