"""A pipeline -> its rows, in this process: what the demo and the parity tests compare with AWS.

In: a pipeline and the folder that stands for S3. Out: counts by asset, and the files written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from ingestion_assets.dagster_defs.assets import landed_files
from ingestion_assets.dagster_defs.build import build_definitions
from ingestion_assets.dagster_defs.ledger import Ledger, read_record, total
from ingestion_assets.dagster_defs.sites import LocalSite
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.pipeline import Pipeline

#: A run over a range of partitions; Dagster has no public constant for its own tags.
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True)
class Materialized:
    """What Dagster made of a pipeline's landed files.

    Args:
        assets: By asset name: counts, the paths of Parquet and quarantine files, and the rejected files.
        checks: By `<asset>.<check>`: whether it passed.
    """

    assets: Mapping[str, Ledger]
    checks: Mapping[str, bool]


def materialize_pipeline(
    pipeline: Pipeline, root: Path, *, instance: dg.DagsterInstance | None = None, log_level: str = "ERROR"
) -> Materialized:
    """Materialize every landed file of `pipeline` in this process.

    Args:
        pipeline: The pipeline.
        root: The folder that stands for S3: files lie in `<root>/<bucket>/<prefix>`.
        instance: Where runs are recorded, for the UI; by default nowhere.
        log_level: Of Dagster's log on the console.

    Raises:
        Exception: Whatever a step raises; a rejected file is an answer, not an error.
    """
    site = LocalSite(root)
    landed = landed_files(pipeline, site)
    days = sorted(day for grouped in landed.values() for day in grouped if day is not None)
    job = build_definitions([pipeline]).resolve_job_def(f"{pipeline.name}_all")
    result = job.execute_in_process(
        instance=instance,
        resources={"storage": Storage(kind="local", root=str(root))},
        run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
        tags={RANGE_START: days[0], RANGE_END: days[-1]} if days else {},
    )
    uris = {file.uri for grouped in landed.values() for files in grouped.values() for file in files}
    return Materialized(
        assets={
            asset.name: total(
                read_record(record, record["source"]["uri"])
                for record in site.records(pipeline, asset)
                if record["source"]["uri"] in uris
            )
            for asset in pipeline.assets
        },
        checks={
            f"{check.asset_key.path[-1]}.{check.check_name}": check.passed
            for check in result.get_asset_check_evaluations()
        },
    )
