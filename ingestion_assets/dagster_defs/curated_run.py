"""A curated pipeline's run on this machine: judged, transformed, judged again and published, as on AWS.

In: the landed files below `<root>/<bucket>/<prefix>` and a run's configuration. Out: curated files, quarantined
rows, copies of rejected files with their reasons, and `CuratedRun`. Files are judged, transformed and checked by
the code of the state machine's functions; only moving them is local: landed files stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from aws_runtime.codec import decode, encode
from aws_runtime.curation.config import ConfigError
from aws_runtime.curation.delta_sql import DeltaWriteError
from aws_runtime.curation.job import Job, open_job
from aws_runtime.curation.merging import TableDiffers
from aws_runtime.errors import RejectedFile
from aws_runtime.partitions import partition_folder
from aws_runtime.plan import AssetPlan
from aws_runtime.step import StepResult
from ingestion_assets.curation_plan import curated_nodes, declared_of
from ingestion_assets.dagster_defs.curated_delta import rows_of_table, write_table
from ingestion_assets.dagster_defs.curated_outcome import CuratedRun, RunFailedError
from ingestion_assets.dagster_defs.curated_steps import (
    Good,
    Tell,
    Work,
    judged,
    judged_output,
    plan_of,
    transformed,
)
from ingestion_assets.dagster_defs.curated_table import Publication, Staged, Table, holds_plain_files
from ingestion_assets.dagster_defs.ledger import Ledger
from ingestion_assets.dagster_defs.local_files import staging_folder
from ingestion_assets.dagster_defs.quarantine import count_rows, preview, read_samples, written_schema
from ingestion_assets.dagster_defs.sites import LocalSite
from ingestion_assets.dagster_defs.specs import table_schema
from ingestion_assets.pipeline import Pipeline


def curate(root: Path, pipeline: Pipeline, given: Mapping[str, Any], tell: Tell) -> CuratedRun:
    """Run a curated pipeline over the files that have landed.

    The layers of its configuration are the declaration's defaults, the file
    `<root>/ingestion/<pipeline>/<dataset>.json`, which stands for the SSM parameter of this name, and `given`.

    Args:
        root: The folder that stands for S3.
        pipeline: It has a `Curation`.
        given: The run's configuration, as an execution's input has it.
        tell: Told what happens.

    Raises:
        ConfigError: The configuration cannot be meant; nothing was touched.
        RunFailedError: No file is good, or a rule is broken; nothing was published.
        TransformError, RowsNotConserved: As everywhere.
    """
    job = _opened(root, pipeline, given)
    source, _ = curated_nodes(pipeline)
    work = Work(root, pipeline, job, _table(root, pipeline, job.config.target_bucket), tell)
    landed = LocalSite(root).files(source.name, job.config.source_bucket, source.prefix)
    taken = work.table.taken(landed, job.config.write_mode, only_new=work.only_new)
    work = replace(work, landed=landed, taken=taken)
    if not taken:
        tell(f"no new files below {root / job.config.source_bucket / source.prefix}")
        return CuratedRun(job.config, Ledger(), rows_of_table=_rows_of(work), empty=True)
    good, rejected = judged(work)
    found = CuratedRun(job.config, Ledger(files=len(taken), rejected=tuple(rejected)))
    if not good:
        first = rejected[0]
        raise RunFailedError(first.code, f"{first.message} ({first.uri})", found)
    with staging_folder(root) as staging:
        return _made(work, good, found, staging)


def last_ledger(root: Path, pipeline: Pipeline, target_bucket: str) -> Ledger:
    """Return what the last run did that published something; of none, nothing."""
    record = _table(root, pipeline, target_bucket).record()
    if not record.runs:
        return Ledger()
    made = record.runs[-1]
    return replace(
        decode(Ledger, record.last),
        outputs=tuple((root / path).as_posix() for path in sorted(made.outputs)),
        quarantine=tuple((root / path).as_posix() for path in sorted(made.quarantine)),
    )


def _table(root: Path, pipeline: Pipeline, target_bucket: str) -> Table:
    _, asset = curated_nodes(pipeline)
    return Table(
        root,
        root / target_bucket / asset.destination.prefix,
        root / pipeline.quarantine.name / "rows" / pipeline.name / asset.name,
        root / target_bucket / "_runs" / pipeline.name / asset.name / "curated.json",
    )


def _opened(root: Path, pipeline: Pipeline, given: Mapping[str, Any]) -> Job:
    told = declared_of(pipeline)

    def parameter(name: str) -> str | None:
        path = root / f"{name.removeprefix('/')}.json"
        return path.read_text(encoding="utf-8") if path.exists() else None

    environment = {variable: name for name, variable in told.buckets.items()}
    environment["QUARANTINE"] = f"s3://{pipeline.quarantine.name}/"
    event = {"execution": "dagster", "event_time": datetime.now(UTC).isoformat(), "input": given}
    job, arrived = open_job(event, told, environment, parameter)
    if arrived is not None:
        raise ConfigError("input: an event starts runs on AWS; here a run takes a configuration")
    return job


def _made(
    work: Work,
    good: Sequence[Good],
    found: CuratedRun,
    staging: Path,
) -> CuratedRun:
    """Transform the good files into the staging folder, judge what was made, and publish it."""
    config = work.job.config
    plan, sql = plan_of(work.pipeline, work.job)
    try:
        result = transformed(work, plan, good, staging)
    except RejectedFile as error:
        raise RunFailedError(error.code, f"{error.reason} ({error.uri})", found) from error
    except TableDiffers as error:
        raise RunFailedError("TableDiffers", str(error), found) from error
    run = _described(replace(found, sql=sql), plan, result)
    out = staging / ("merged" if work.job.merges_files else "out")
    run = replace(run, report=judged_output(work, result, out))
    if run.report and run.report.broken:
        message = "; ".join(each.message for each in run.report.broken)
        raise RunFailedError(run.report.broken[0].code, message, run)
    _publishable(work, run)
    if work.into_delta:
        try:
            write_table(work, [file.path for file in result.files], staging)
        except DeltaWriteError as error:
            raise RunFailedError("DeltaWriteError", str(error), run) from error
    publication = Publication(
        staged=[
            Staged(Path(file.path), Path(file.path).relative_to(out).as_posix(), file.rows)
            for file in (() if work.into_delta else result.files)
        ],
        quarantine=[Path(file.path) for file in result.quarantine],
        taken=work.taken,
        landed=work.landed,
        only_new=work.only_new,
        mode=config.write_mode,
        form=config.output_format,
        contract=plan.output.contract,
        last=encode(replace(run.ledger, outputs=(), quarantine=())),
    )
    outputs, quarantine = work.table.publish(publication)
    work.tell(f"{run.ledger.rows_out} rows published below {work.table.folder}")
    ledger = replace(run.ledger, outputs=tuple(outputs), quarantine=tuple(quarantine))
    return replace(run, ledger=ledger, rows_of_table=_rows_of(work))


def _publishable(work: Work, run: CuratedRun) -> None:
    """Check that the table is of the format that the run writes, as Load does."""
    folder = work.table.folder
    if work.into_delta and holds_plain_files(folder):
        raise RunFailedError(
            "DeltaWriteError",
            f"{folder} holds plain files, which would be no rows of a Delta table there; move them, or leave "
            '"table_format": "files"',
            run,
        )
    if not work.into_delta and (folder / "_delta_log").exists():
        raise RunFailedError(
            "FormatConflict",
            f'{folder} is a Delta table, in which plain files are no rows; set "table_format": "delta"',
            run,
        )


def _described(found: CuratedRun, plan: AssetPlan, result: StepResult) -> CuratedRun:
    """Add what the staged files tell, which are Parquet whatever is published."""
    files, quarantine = [file.path for file in result.files], [file.path for file in result.quarantine]
    folders = {partition_folder(file.partition) for file in result.files} - {""}
    met = {name: count for name, count in result.met.items() if isinstance(count, int)}
    return replace(
        found,
        ledger=replace(
            found.ledger,
            rows_in=result.rows_in,
            rows_out=result.rows_out,
            rows_quarantined=result.rows_quarantined,
            violations=dict(result.violations),
        ),
        met=met,
        counted={
            # Of a table's partitions with their new content, the run's own rows.
            "rows_out": count_rows(files, _open) - met.get("rows_existing", 0) + met.get("rows_merged", 0),
            "rows_quarantined": count_rows(quarantine, _open),
        },
        partitions=tuple(sorted(folder.removesuffix("/") for folder in folders)),
        samples=tuple(read_samples(quarantine, _open)),
        schema=_columns(written_schema(files, _open, plan.output.contract), plan),
        preview=preview(files, _open),
    )


def _columns(written: dg.TableSchema | None, plan: AssetPlan) -> dg.TableSchema | None:
    """Add the partition columns, which the folders hold and the files leave out."""
    if written is None:
        return None
    there = {column.name for column in written.columns}
    by = {each.column for each in plan.output.partition_by if each.transform == "identity"} - there
    declared = table_schema(plan.output.contract).columns
    return dg.TableSchema([*written.columns, *(column for column in declared if column.name in by)])


def _rows_of(work: Work) -> int:
    if work.into_delta:
        return rows_of_table(work)
    return sum(rows for made in work.table.record().runs for rows in made.outputs.values())


def _open(path: str) -> Any:
    return Path(path).open("rb")
