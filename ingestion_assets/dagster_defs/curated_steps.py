"""The steps of a curated run on this machine that a function or job runs on AWS: judge, transform, judge again.

In: landed files below the folder that stands for S3. Out: verdicts, staged files, what the thresholds found.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aws_runtime.codec import encode
from aws_runtime.curation.built_in import prepared
from aws_runtime.curation.config import Config, ProcessorType, TableFormat, WriteMode
from aws_runtime.curation.footer import ReadRange
from aws_runtime.curation.job import Job
from aws_runtime.curation.judging import judge_landed, judge_staged, thresholds
from aws_runtime.curation.keyed import KEYED, row_contract
from aws_runtime.curation.merging import Keyed, local_files, meet
from aws_runtime.curation.output_rules import OutputReport, judge_output
from aws_runtime.engines import Engine, InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.identity import combined_digest, stem
from aws_runtime.plan import AssetPlan
from aws_runtime.step import Before, Meet, StepResult, run_step
from ingestion_assets.curation_plan import curated_nodes
from ingestion_assets.dagster_defs.curated_table import Table
from ingestion_assets.dagster_defs.ledger import Rejection
from ingestion_assets.dagster_defs.local_files import keep_copy
from ingestion_assets.dagster_defs.sites import STEP_MEMORY_BYTES, LandedFile, rejected_folder
from ingestion_assets.engines import runtimes
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.plan import asset_plan

#: A good file and its partition.
Good = tuple[LandedFile, Mapping[str, str]]
#: Told what happens, one line a time.
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Work:
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

    @property
    def into_delta(self) -> bool:
        """Whether its rows go into a Delta table."""
        return self.job.config.table_format is TableFormat.DELTA

    @property
    def only_new(self) -> bool:
        """Whether it brings new files to the rows that are there; others make their rows anew from all files."""
        mode = self.job.config.write_mode
        return mode in KEYED or (self.into_delta and mode is WriteMode.APPEND)


def judged(work: Work) -> tuple[list[Good], list[Rejection]]:
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
    good: list[Good] = []
    rejected: list[Rejection] = []
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


def built_in(config: Config) -> Before | None:
    """Return the configuration's built-in steps as one function; None where there are none."""
    return prepared(encode(config.steps)) if config.steps else None


def plan_of(pipeline: Pipeline, job: Job) -> tuple[AssetPlan, str]:
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


def transformed(work: Work, plan: AssetPlan, good: Sequence[Good], staging: Path) -> StepResult:
    """Transform the good files into the staging folder; of merge and scd2, with the rows that they meet.

    Raises:
        RejectedFile: A file's pages cannot be read, or rows cannot meet those of the table.
        TableDiffers, TransformError, RowsNotConserved: As on AWS.
    """
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


def _meeting(work: Work, plan: AssetPlan, staging: Path, name: str) -> Meet:
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
        counts: dict[str, int | str] = {
            "rows_existing": done.rows_existing,
            "rows_merged": done.rows_merged,
        }
        return replace(result, files=done.files, met=counts)

    return met


def judged_output(work: Work, result: StepResult, out: Path) -> OutputReport:
    """Judge what was staged below `out` by its footers."""
    files = []
    for file in result.files:
        path = Path(file.path)
        with _ranges(path) as read:
            below = path.relative_to(out).as_posix()
            files.append(judge_staged(work.job.declared, below, below, size=path.stat().st_size, read=read))
    own = result.rows_out if result.met else None
    return judge_output(files, thresholds(work.job.config), work.job.partitions, own)


@contextmanager
def _ranges(path: Path) -> Iterator[ReadRange]:
    with path.open("rb") as file:

        def read(start: int, length: int) -> bytes:
            file.seek(start)
            return file.read(length)

        yield read
