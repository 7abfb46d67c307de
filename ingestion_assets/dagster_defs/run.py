"""A pipeline -> its rows, in this process: what the demo and the parity tests compare with AWS.

In: a pipeline and the folder that stands for S3. Out: counts by asset, and the files written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from ingestion_assets.curation_plan import curated_nodes
from ingestion_assets.dagster_defs.assets import landed_files
from ingestion_assets.dagster_defs.build import build_definitions
from ingestion_assets.dagster_defs.curated_assets import op_name
from ingestion_assets.dagster_defs.ledger import Ledger, read_record, total
from ingestion_assets.dagster_defs.sites import LandedFile, LocalSite
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
    pipeline: Pipeline,
    root: Path,
    *,
    config: Mapping[str, Any] | None = None,
    instance: dg.DagsterInstance | None = None,
    log_level: str = "ERROR",
) -> Materialized:
    """Materialize every landed file of `pipeline` in this process.

    Args:
        pipeline: The pipeline.
        root: The folder that stands for S3: files lie in `<root>/<bucket>/<prefix>`.
        config: Of a curated pipeline's run, as an execution's input has it.
        instance: Where runs are recorded, for the UI; by default nowhere.
        log_level: Of Dagster's log on the console.

    Raises:
        Exception: Whatever a step raises; a rejected file is an answer, not an error.
    """
    site = LocalSite(root)
    landed = landed_files(pipeline, site)
    days = sorted(day for grouped in landed.values() for day in grouped if day is not None)
    job = build_definitions([pipeline]).resolve_job_def(f"{pipeline.name}_all")
    ops = {op_name(pipeline, asset): {"config": dict(config or {})} for asset in pipeline.assets}
    result = job.execute_in_process(
        instance=instance,
        resources={"storage": Storage(kind="local", root=str(root))},
        run_config={"loggers": {"console": {"config": {"log_level": log_level}}}}
        | ({"ops": ops} if pipeline.curation else {}),
        tags={RANGE_START: days[0], RANGE_END: days[-1]} if days else {},
    )
    return Materialized(
        assets=_curated(result, pipeline, root) if pipeline.curation else _assets(pipeline, site, landed),
        checks={
            f"{check.asset_key.path[-1]}.{check.check_name}": check.passed
            for check in result.get_asset_check_evaluations()
        },
    )


def _assets(
    pipeline: Pipeline, site: LocalSite, landed: Mapping[str, Mapping[str | None, Sequence[LandedFile]]]
) -> dict[str, Ledger]:
    """Add up the run records of the files that have landed."""
    uris = {file.uri for grouped in landed.values() for files in grouped.values() for file in files}
    return {
        asset.name: total(
            read_record(record, record["source"]["uri"])
            for record in site.records(pipeline, asset)
            if record["source"]["uri"] in uris
        )
        for asset in pipeline.assets
    }


def _curated(result: dg.ExecuteInProcessResult, pipeline: Pipeline, root: Path) -> dict[str, Ledger]:
    """Return what the only run says of itself."""
    from ingestion_assets.dagster_defs.curated_run import last_ledger  # noqa: PLC0415 - loads sqlglot, slowly

    _, asset = curated_nodes(pipeline)
    (made,) = result.asset_materializations_for_node(op_name(pipeline, asset))
    configuration: Any = made.metadata["configuration"].value
    return {asset.name: last_ledger(root, pipeline, configuration["target_bucket"])}
