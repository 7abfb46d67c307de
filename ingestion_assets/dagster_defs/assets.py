"""Declarations -> Dagster assets: materialize file by file, and report what happened.

In: a pipeline and, when a run starts, the files that landed. Out: one assets definition an asset,
whose op runs `aws_runtime.step` over each landed file of the partitions asked for (of all
files when none is asked for) and yields counts, schema, lineage, samples and check results.
"""

# No `from __future__ import annotations`: Dagster reads the parameters' types of ops and sensors.
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import dagster as dg

from aws_runtime.plan import AssetPlan
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.dagster_defs.checks import check_results, check_specs
from ingestion_assets.dagster_defs.deliveries import deliveries, is_delivered
from ingestion_assets.dagster_defs.ledger import Ledger, read_record, total
from ingestion_assets.dagster_defs.lineage_metadata import lineage_metadata
from ingestion_assets.dagster_defs.quarantine import count_rows, preview, read_samples, written_schema
from ingestion_assets.dagster_defs.sites import LandedFile, LocalSite, Site, Task
from ingestion_assets.dagster_defs.specs import (
    KEY_FORMAT,
    asset_key,
    asset_spec,
    day_of,
    trigger_source,
)
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.pipeline import Pipeline, PipelineCompleted
from ingestion_assets.plan import asset_plan

#: Files by source and partition key.
Landed = Mapping[str, Mapping[str | None, list[LandedFile]]]
#: Lines of progress in a run's log.
PROGRESS_LINES = 10


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of one asset.

    Args:
        context: Dagster's.
        site: Where data lies.
        pipeline: The pipeline.
        asset: The asset.
        plan: Its lowered plan.
        chosen: The partitions asked for; None asks for every file.
    """

    context: dg.AssetExecutionContext
    site: Site
    pipeline: Pipeline
    asset: IngestionAsset
    plan: AssetPlan
    chosen: frozenset[str] | None


def build_asset(pipeline: Pipeline, asset: IngestionAsset) -> dg.AssetsDefinition:
    """Build the definition of one asset; raises whatever lowering its plan raises."""
    plan = asset_plan(pipeline, asset)
    spec = asset_spec(pipeline, asset, plan)

    @dg.multi_asset(
        name=f"{pipeline.name}__{asset.name}",
        specs=[spec],
        check_specs=check_specs(plan, spec.key),
        backfill_policy=dg.BackfillPolicy.single_run() if spec.partitions_def else None,
    )
    def materialization(
        context: dg.AssetExecutionContext, storage: Storage
    ) -> Iterator[dg.MaterializeResult[Any]]:
        run = _Run(context, storage.site(), pipeline, asset, plan, _partitions_asked(context))
        landed = landed_files(pipeline, run.site)
        if isinstance(pipeline.trigger, PipelineCompleted) and isinstance(run.site, LocalSite):
            # On a laptop the other pipeline makes its files anew; their totals go with them.
            uris = {file.uri for days in landed.values() for files in days.values() for file in files}
            run.site.forget(pipeline, asset, uris)
        yield _report(run, _run_steps(run, _select(landed, run.chosen)))

    return materialization


def landed_files(pipeline: Pipeline, site: Site) -> dict[str, dict[str | None, list[LandedFile]]]:
    """Return each source's files by partition key; None is the key of a source without days."""
    landed: dict[str, dict[str | None, list[LandedFile]]] = {}
    for source in pipeline.sources:
        grouped: dict[str | None, list[LandedFile]] = defaultdict(list)
        files = site.files(source.name, source.bucket.name, source.prefix)
        for file in deliveries(source, files) if is_delivered(pipeline, source) else files:
            days = source.partitions
            day = day_of(days, source.prefix, file.key, file.modified) if days else None
            grouped[day.strftime(KEY_FORMAT) if day else None].append(file)
        landed[source.name] = dict(grouped)
    return landed


def _partitions_asked(context: dg.AssetExecutionContext) -> frozenset[str] | None:
    if context.has_partition_key or context.has_partition_key_range:
        return frozenset(context.partition_keys)
    return None


def _select(landed: Landed, chosen: frozenset[str] | None) -> dict[str, dict[str | None, list[LandedFile]]]:
    return {
        source: {
            day: files for day, files in sorted(days.items(), key=str) if chosen is None or day in chosen
        }
        for source, days in landed.items()
    }


def _run_steps(run: _Run, landed: Landed) -> dict[str | None, list[Ledger]]:
    """Run one step a landed file, several side by side, and return their ledgers by partition."""
    trigger = trigger_source(run.pipeline).name
    tasks = [
        (day, Task(run.pipeline, run.asset, run.plan, file, _beside(landed, trigger, day)))
        for day, files in landed[trigger].items()
        for file in files
    ]
    ledgers: dict[int, Ledger] = {}
    log = run.context.log
    every = max(1, len(tasks) // PROGRESS_LINES)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        running = {pool.submit(run.site.materialize, task): i for i, (_, task) in enumerate(tasks)}
        try:
            for done, future in enumerate(as_completed(running), start=1):
                i = running[future]
                ledgers[i] = read_record(future.result(), tasks[i][1].file.uri)
                for rejection in ledgers[i].rejected:
                    log.warning("rejected %s: %s: %s", rejection.uri, rejection.code, rejection.message)
                if done % every == 0 or done == len(tasks):
                    rows = sum(ledger.rows_out for ledger in ledgers.values())
                    log.info("%d of %d files, %d rows written", done, len(tasks), rows)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not tasks:
        source = trigger_source(run.pipeline)
        log.warning("no files below %s", run.site.uri(source.bucket.name, source.prefix))
    by_day: dict[str | None, list[Ledger]] = defaultdict(list)
    for i, (day, _) in enumerate(tasks):
        by_day[day].append(ledgers[i])
    return dict(by_day)


def _beside(landed: Landed, trigger: str, day: str | None) -> dict[str, list[LandedFile]]:
    """Return the other sources' files: of the same day, or all of a source without days."""
    return {
        source: [file for other, files in days.items() if other in (day, None) for file in files]
        for source, days in landed.items()
        if source != trigger
    }


def _report(run: _Run, by_day: Mapping[str | None, list[Ledger]]) -> dg.MaterializeResult[Any]:
    """Say what the run did: to each partition its counts, to the asset its schema, lineage and checks."""
    context, site = run.context, run.site
    ledger = total(item for ledgers in by_day.values() for item in ledgers)
    key = asset_key(run.pipeline, run.asset)
    base = dict(_shared_metadata(run, ledger))
    for day, ledgers in by_day.items():
        if day is None or run.chosen is None:
            continue
        of_day = _counts(total(ledgers)) | {"dagster/partition_row_count": total(ledgers).rows_out}
        context.add_asset_metadata(of_day, asset_key=key, partition_key=day)
    counted = {
        "rows_out": count_rows(ledger.outputs, site.open),
        "rows_quarantined": count_rows(ledger.quarantine, site.open),
    }
    samples = read_samples(ledger.quarantine, site.open)
    return dg.MaterializeResult(
        asset_key=key,
        metadata=base if run.chosen is not None and by_day else {**base, **_counts(ledger)},
        check_results=list(check_results(run.plan, ledger, samples, counted)),
    )


def _counts(ledger: Ledger) -> dict[str, Any]:
    return {
        "files": ledger.files,
        "files_rejected": len(ledger.rejected),
        "rows_in": ledger.rows_in,
        "rows_out": ledger.rows_out,
        "rows_quarantined": ledger.rows_quarantined,
    }


def _shared_metadata(run: _Run, ledger: Ledger) -> Iterator[tuple[str, Any]]:
    pipeline, asset, site = run.pipeline, run.asset, run.site
    to = asset.destination
    yield "dagster/uri", site.uri(to.bucket.name, to.prefix)
    yield "dagster/table_name", f"{pipeline.catalog.database or pipeline.name}.{to.table or asset.name}"
    rows = site.row_count(pipeline, asset)
    if rows is not None:
        yield "dagster/row_count", rows
    schema = written_schema(ledger.outputs, site.open, run.plan.output.contract)
    if schema is not None:
        yield "dagster/column_schema", schema
    first = preview(ledger.outputs, site.open)
    if first is not None:
        yield "preview", dg.MetadataValue.md(first)
    yield from lineage_metadata(pipeline, asset, run.context.log.warning)
