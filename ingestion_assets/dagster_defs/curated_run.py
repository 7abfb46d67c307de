"""A curated pipeline's run on this machine: judged, transformed, judged again and published, as on AWS.

In: the landed files below `<root>/<bucket>/<prefix>` and a run's configuration. Out: curated files, quarantined
rows, copies of rejected files with their reasons, and `CuratedRun`. Files are judged, transformed and checked by
the code of the state machine's functions; only moving them is local: landed files stay where they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws_runtime.codec import decode, encode
from aws_runtime.curation.built_in import prepared
from aws_runtime.curation.config import Config, ConfigError, ProcessorType, TableFormat
from aws_runtime.curation.footer import ReadRange
from aws_runtime.curation.job import Job, open_job
from aws_runtime.curation.judging import judge_landed, judge_staged, thresholds
from aws_runtime.curation.keyed import row_contract
from aws_runtime.curation.merging import Keyed, TableDiffers, local_files, meet
from aws_runtime.curation.output_rules import OutputReport, judge_output
from aws_runtime.engines import Engine, InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.identity import combined_digest, stem
from aws_runtime.partitions import partition_folder
from aws_runtime.plan import AssetPlan
from aws_runtime.step import Before, Meet, StepResult, run_step
from ingestion_assets.curation_plan import curated_nodes, declared_of
from ingestion_assets.dagster_defs.curated_outcome import CuratedRun, RunFailedError
from ingestion_assets.dagster_defs.curated_table import Publication, Staged, Table
from ingestion_assets.dagster_defs.ledger import Ledger, Rejection
from ingestion_assets.dagster_defs.local_files import keep_copy, staging_folder
from ingestion_assets.dagster_defs.quarantine import count_rows, preview, read_samples, written_schema
from ingestion_assets.dagster_defs.sites import STEP_MEMORY_BYTES, LandedFile, LocalSite, rejected_folder
from ingestion_assets.engines import runtimes
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.plan import asset_plan

#: Told what happens, one line a time.
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Work:
    """One run under way.

    Args:
        root: The folder that stands for S3.
        pipeline: What is run.
        job: Its configuration.
        table: Where its rows go.
        tell: Told what happens.
        landed: All landed files.
        taken: Those of them that the run takes.
    """

    root: Path
    pipeline: Pipeline
    job: Job
    table: Table
    tell: Tell
    landed: Sequence[LandedFile] = ()
    taken: Sequence[LandedFile] = ()


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
    work = _Work(root, pipeline, job, _table(root, pipeline, job.config.target_bucket), tell)
    landed = LocalSite(root).files(source.name, job.config.source_bucket, source.prefix)
    taken = work.table.taken(job.config.write_mode, landed)
    if not taken:
        tell(f"no new files below {root / job.config.source_bucket / source.prefix}")
        return CuratedRun(job.config, Ledger(), rows_of_table=_rows_of(work.table), empty=True)
    work = replace(work, landed=landed, taken=taken)
    good, rejected = _judged(work)
    found = CuratedRun(job.config, Ledger(files=len(taken), rejected=tuple(rejected)))
    if not good:
        first = rejected[0]
        raise RunFailedError(first.code, f"{first.message} ({first.uri})", found)
    with staging_folder(root) as staging:
        return _made(work, good, found, staging)


def built_in(config: Config) -> Before | None:
    """Return the configuration's built-in steps as one function; None where there are none."""
    return prepared(encode(config.steps)) if config.steps else None


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
    if job.config.table_format is TableFormat.DELTA:
        raise ConfigError("table_format: this pipeline publishes files; delta cannot be published by it")
    return job


def _judged(work: _Work) -> tuple[list[tuple[LandedFile, dict[str, str]]], list[Rejection]]:
    """Judge each file; the bad ones are copied to the quarantine with their reasons."""

    def judge(file: LandedFile) -> dict[str, str] | RejectedFile:
        path = work.root / file.bucket / file.key
        try:
            with _ranges(path) as read:
                return judge_landed(
                    work.job.declared,
                    work.job.config,
                    file.key,
                    file.uri,
                    size=path.stat().st_size,
                    read=read,
                )
        except RejectedFile as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        verdicts = list(pool.map(judge, work.taken))
    folder = rejected_folder(work.root, work.pipeline)
    for old in folder.iterdir() if folder.exists() else ():
        if old.name.rpartition("-")[2] in {file.identity.digest for file in work.taken}:
            shutil.rmtree(old)
    good, rejected = [], []
    for file, verdict in zip(work.taken, verdicts, strict=True):
        if not isinstance(verdict, RejectedFile):
            good.append((file, verdict))
            continue
        rejected.append(Rejection(file.uri, verdict.code, verdict.reason))
        why = {"asset": work.job.declared.asset, "uri": file.uri}
        why |= {"code": verdict.code, "message": verdict.reason}
        keep_copy(work.root / file.bucket / file.key, folder / stem(file.modified, file.identity.digest), why)
        work.tell(f"rejected {file.uri}: {verdict.code}: {verdict.reason}")
    if rejected:
        work.tell(
            f"{len(rejected)} of {len(work.taken)} files rejected; copies and reasons are in {folder}, and the "
            "landed files stay where they are (on AWS they are moved)"
        )
    return good, rejected


def _made(
    work: _Work,
    good: Sequence[tuple[LandedFile, Mapping[str, str]]],
    found: CuratedRun,
    staging: Path,
) -> CuratedRun:
    """Transform the good files into the staging folder, judge what was made, and publish it."""
    config = work.job.config
    plan, sql = _plan(work.pipeline, work.job)
    try:
        result = _transformed(work, plan, good, staging)
    except RejectedFile as error:
        raise RunFailedError(error.code, f"{error.reason} ({error.uri})", found) from error
    except TableDiffers as error:
        raise RunFailedError("TableDiffers", str(error), found) from error
    run = _described(replace(found, sql=sql), plan, result)
    out = staging / ("merged" if work.job.merges_files else "out")
    run = replace(run, report=_report(work, result, out))
    if run.report and run.report.broken:
        message = "; ".join(each.message for each in run.report.broken)
        raise RunFailedError(run.report.broken[0].code, message, run)
    publication = Publication(
        staged=[
            Staged(Path(file.path), Path(file.path).relative_to(out).as_posix(), file.rows)
            for file in result.files
        ],
        quarantine=[Path(file.path) for file in result.quarantine],
        taken=work.taken,
        landed=work.landed,
        mode=config.write_mode,
        form=config.output_format,
        contract=plan.output.contract,
        last=encode(replace(run.ledger, outputs=(), quarantine=())),
    )
    outputs, quarantine = work.table.publish(publication)
    work.tell(f"{run.ledger.rows_out} rows in {len(outputs)} files published")
    ledger = replace(run.ledger, outputs=tuple(outputs), quarantine=tuple(quarantine))
    return replace(run, ledger=ledger, rows_of_table=_rows_of(work.table))


def _plan(pipeline: Pipeline, job: Job) -> tuple[AssetPlan, str]:
    """Return the plan that runs here, and the SQL that `glue_sql` runs on AWS.

    DuckDB runs every processor's rows on a laptop; of `glue_sql` it runs the query instead of the function.
    """
    _, asset = curated_nodes(pipeline)
    plan, sql = asset_plan(pipeline, asset), ""
    if job.merges_files:
        rows = row_contract(plan.output.contract, job.config.keys, plan.output.partition_by)
        plan = replace(plan, output=replace(plan.output, contract=rows))
    if job.config.processor_type is ProcessorType.GLUE_SQL:
        from ingestion_assets.sql import for_duckdb  # noqa: PLC0415 - SQLFrame takes long to load, few need it

        variant = next(each for each in runtimes(asset) if each.processor.kind == "glue_sql")
        sql = asset_plan(pipeline, variant).sql
        plan = replace(plan, sql=for_duckdb(sql))
    return plan, sql


def _transformed(
    work: _Work, plan: AssetPlan, good: Sequence[tuple[LandedFile, Mapping[str, str]]], staging: Path
) -> StepResult:
    files = [
        InputFile(str(work.root / file.bucket / file.key), file.uri, partition) for file, partition in good
    ]
    # Of what the run reads, so that one that is repeated writes the same names.
    name = stem(
        max(file.modified for file, _ in good), combined_digest(file.identity.digest for file, _ in good)
    )
    return run_step(
        plan,
        {plan.inputs[0].name: files},
        destination=str(staging / "out"),
        quarantine=str(staging / "quarantine"),
        stem=name,
        limits=Limits(4 * STEP_MEMORY_BYTES, os.cpu_count() or 1, str(staging / "spill")),
        before=built_in(work.job.config),
        meet=_meeting(work, plan, staging, name) if work.job.merges_files else None,
    )


def _meeting(work: _Work, plan: AssetPlan, staging: Path, name: str) -> Meet:
    """Return what makes of the run's files those of the partitions that they touch."""
    for folder in ("merged", "scratch"):
        (staging / folder).mkdir()

    def met(engine: Engine, result: StepResult) -> StepResult:
        done = meet(
            engine,
            plan,
            Keyed(work.job.config.write_mode, work.job.config.keys, work.job.event_time),
            incoming=result.files,
            existing=local_files(
                work.table.folder, result.files, plan.output.contract, plan.output.partition_by
            ),
            destination=str(staging / "merged"),
            scratch=str(staging / "scratch"),
            stem=name,
        )
        counts = {"rows_existing": done.rows_existing, "rows_merged": done.rows_merged}
        return replace(result, files=done.files, met=counts)

    return met


def _described(found: CuratedRun, plan: AssetPlan, result: StepResult) -> CuratedRun:
    """Add what the staged files tell, which are Parquet whatever is published."""
    files, quarantine = [file.path for file in result.files], [file.path for file in result.quarantine]
    folders = {partition_folder(file.partition) for file in result.files} - {""}
    return replace(
        found,
        ledger=replace(
            found.ledger,
            rows_in=result.rows_in,
            rows_out=result.rows_out,
            rows_quarantined=result.rows_quarantined,
            violations=dict(result.violations),
        ),
        met=result.met,
        counted={
            # Of a table's partitions with their new content, the run's own rows.
            "rows_out": count_rows(files, _open)
            - result.met.get("rows_existing", 0)
            + result.met.get("rows_merged", 0),
            "rows_quarantined": count_rows(quarantine, _open),
        },
        partitions=tuple(sorted(folder.removesuffix("/") for folder in folders)),
        samples=tuple(read_samples(quarantine, _open)),
        schema=written_schema(files, _open, plan.output.contract),
        preview=preview(files, _open),
    )


def _report(work: _Work, result: StepResult, out: Path) -> OutputReport:
    files = []
    for file in result.files:
        path = Path(file.path)
        with _ranges(path) as read:
            below = path.relative_to(out).as_posix()
            files.append(judge_staged(work.job.declared, below, below, size=path.stat().st_size, read=read))
    return judge_output(files, thresholds(work.job.config), work.job.partitions)


def _rows_of(table: Table) -> int:
    return sum(rows for made in table.record().runs for rows in made.outputs.values())


@contextmanager
def _ranges(path: Path) -> Iterator[ReadRange]:
    with path.open("rb") as file:

        def read(start: int, length: int) -> bytes:
            file.seek(start)
            return file.read(length)

        yield read


def _open(path: str) -> Any:
    return Path(path).open("rb")
