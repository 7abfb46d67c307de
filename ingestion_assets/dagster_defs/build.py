"""Pipelines -> one `Definitions`. Nothing is read but the declarations themselves."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache

import dagster as dg

from ingestion_assets.dagster_defs.assets import build_asset
from ingestion_assets.dagster_defs.automation import all_job, landed_sensor
from ingestion_assets.dagster_defs.curated_assets import build_curated_asset
from ingestion_assets.dagster_defs.specs import asset_key, source_spec
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.pipeline import Pipeline


def build_definitions(pipelines: Sequence[Pipeline]) -> dg.Definitions:
    """Build the code location of all pipelines.

    Raises:
        CompileError: What a declaration or a contract gets wrong, with its file and line.
    """
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = []
    checks: list[dg.AssetChecksDefinition] = []
    jobs, sensors = [], []
    made = {asset_key(pipeline, asset) for pipeline in pipelines for asset in pipeline.assets}
    for pipeline in pipelines:
        build = build_asset if pipeline.curation is None else build_curated_asset
        built = [build(pipeline, asset) for asset in pipeline.assets]
        sources = [source_spec(pipeline, source) for source in pipeline.sources]
        assets += [spec for spec in sources if spec.key not in made]  # else another pipeline's asset is meant
        assets += built
        checks += _schema_change_checks(built)
        job = all_job(pipeline)
        jobs.append(job)
        sensors.append(landed_sensor(pipeline, job))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=jobs,
        sensors=sensors,
        resources={"storage": _storage()},
        # One process: the steps run side by side within an asset, and a process an asset would
        # spend seconds on imports.
        executor=dg.in_process_executor,
    )


@cache
def _storage() -> Storage:
    """Return the one resource of a process: Dagster merges components' definitions where it is the same object."""
    return Storage()


def _schema_change_checks(built: Sequence[dg.AssetsDefinition]) -> Sequence[dg.AssetChecksDefinition]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # said at every load, and ours to heed
        return dg.build_column_schema_change_checks(assets=built)
