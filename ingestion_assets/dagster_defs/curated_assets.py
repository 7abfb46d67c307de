"""A curated pipeline -> its Dagster asset: one run over all landed files, configured in the launchpad.

In: a pipeline with a `Curation` and, when a run starts, the files that landed and a configuration. Out: an
assets definition whose op takes the keys of `aws_runtime.curation.config.Config` as they are.
"""

# No `from __future__ import annotations`: Dagster reads the parameters' types of ops and sensors.
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import dagster as dg

from aws_runtime.codec import encode
from aws_runtime.curation.config import Config, ConfigError
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.dagster_defs.curated_checks import (
    curated_check_results,
    curated_check_specs,
    null_shares,
)
from ingestion_assets.dagster_defs.curated_outcome import CuratedRun, RunFailedError
from ingestion_assets.dagster_defs.lineage_metadata import lineage_metadata
from ingestion_assets.dagster_defs.sites import LocalSite
from ingestion_assets.dagster_defs.specs import asset_spec
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.plan import asset_plan

Event = dg.MaterializeResult[Any] | dg.AssetCheckResult


def op_name(pipeline: Pipeline, asset: IngestionAsset) -> str:
    """Return the name of an asset's op, under which a run's configuration stands."""
    return f"{pipeline.name}__{asset.name}"


def build_curated_asset(pipeline: Pipeline, asset: IngestionAsset) -> dg.AssetsDefinition:
    """Build the definition of a curated asset; raises whatever lowering its plan raises."""
    plan = asset_plan(pipeline, asset)
    spec = asset_spec(pipeline, asset, plan)

    @dg.multi_asset(
        name=op_name(pipeline, asset),
        specs=[spec],
        check_specs=curated_check_specs(plan, spec.key),
        config_schema=_config_schema(),
    )
    def materialization(context: dg.AssetExecutionContext, storage: Storage) -> Iterator[Event]:
        site = storage.site()
        if not isinstance(site, LocalSite):
            raise dg.Failure(on_aws(pipeline), allow_retries=False)
        # Loads sqlglot, slowly.
        from ingestion_assets.dagster_defs.curated_run import curate  # noqa: PLC0415
        from ingestion_assets.dagster_defs.curated_steps import built_in  # noqa: PLC0415

        log = context.log
        try:
            run = curate(site.root, pipeline, context.op_execution_context.op_config, log.info)
        except ConfigError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except RunFailedError as error:
            yield from curated_check_results(plan, spec.key, error.run)
            metadata = dict(_found(error.run))
            raise dg.Failure(str(error), metadata=metadata, allow_retries=False) from error
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                **dict(_found(run)),
                **dict(_told(pipeline, asset, run, site)),
                **dict(lineage_metadata(pipeline, asset, log.warning, built_in(run.config))),
            },
            check_results=list(curated_check_results(plan, spec.key, run)),
        )

    return materialization


def on_aws(pipeline: Pipeline) -> str:
    """Say how a curated pipeline is run on AWS."""
    return (
        f"{pipeline.name} is curated by its state machine there, not by Dagster: "
        f"asl run {pipeline.name} --input configuration.json"
    )


def _config_schema() -> dict[str, dg.Field]:
    """Return the keys of a run's configuration with their meaning; their values are judged by its own model."""
    arguments = (inspect.getdoc(Config) or "").partition("Args:\n")[2]
    meaning = dict(re.findall(r"^ {4}(\w+): (.+?)(?=\n {4}\w|\Z)", arguments, re.DOTALL | re.MULTILINE))
    return {
        each.name: dg.Field(
            dg.Any, is_required=False, description=" ".join(meaning.get(each.name, "").split())
        )
        for each in fields(Config)
    }


def _found(run: CuratedRun) -> Iterator[tuple[str, Any]]:
    """Yield what a run did, whether it ended well or not."""
    ledger = run.ledger
    yield "files", ledger.files
    yield "files_rejected", len(ledger.rejected)
    yield "rows_in", ledger.rows_in
    yield "rows_out", ledger.rows_out
    yield "rows_quarantined", ledger.rows_quarantined
    yield from run.met.items()
    yield "configuration", dg.MetadataValue.json(encode(run.config))
    if run.report is not None:
        yield "null_shares", null_shares(run)
    if run.partitions:
        yield "partitions", dg.MetadataValue.md("\n".join(f"- `{each}`" for each in run.partitions))
    if run.sql:
        yield "sql", dg.MetadataValue.md(f"```sql\n{run.sql}\n```")


def _told(
    pipeline: Pipeline, asset: IngestionAsset, run: CuratedRun, site: LocalSite
) -> Iterator[tuple[str, Any]]:
    """Yield what is known of the table after a run."""
    to = asset.destination
    yield "dagster/uri", site.uri(run.config.target_bucket, to.prefix)
    yield "dagster/table_name", f"{pipeline.catalog.database or pipeline.name}.{to.table or asset.name}"
    yield "dagster/row_count", run.rows_of_table
    if run.schema is not None:
        yield "dagster/column_schema", run.schema
    if run.preview is not None:
        yield "preview", dg.MetadataValue.md(run.preview)
