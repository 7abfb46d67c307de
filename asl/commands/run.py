"""`asl run NAME FILE…`: upload files to the landing bucket and follow their executions to the end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from asl.deploy.files import LocalFile
    from ingestion_assets.pipeline import Pipeline


@click.command(name="run")
@click.argument("name")
@click.argument("files", nargs=-1)
@click.option("--target", type=click.Choice(["local", "aws"]), default="local", show_default=True)
@click.option("--stack", default="ingestion", show_default=True, help="Name of the CloudFormation stack.")
@click.option(
    "--input",
    "configuration",
    type=click.Path(exists=True, dir_okay=False),
    help="Of a pipeline that is configured at run time: start one run with this JSON; FILES are optional.",
)
@click.option("--timeout", default=900.0, show_default=True, help="Seconds to wait for all executions.")
@click.option("--flush", is_flag=True, help="Start batches that wait for more files; FILES are optional.")
@click.option("--json", "as_json", is_flag=True, help="Print the executions as JSON.")
def run(
    *,
    name: str,
    files: tuple[str, ...],
    target: str,
    stack: str,
    configuration: str | None,
    timeout: float,
    flush: bool,
    as_json: bool,
) -> None:
    """Run pipeline NAME over FILES: files, folders or patterns.

    Folders inside a folder are kept below the source's prefix. The exit code is 0 only if every
    execution succeeded; a file that started none until the timeout is reported as NOT_STARTED. Files
    of a batch that waits for more are reported as PENDING, and the command ends; with --flush, their
    batch starts at once.

    A pipeline that is configured at run time takes all files below its prefix in one run, which --input
    starts; without it, a file that the trigger waits for (such as _SUCCESS) must be among FILES.
    """
    from datetime import UTC, datetime

    from rich.console import Console

    from asl.deploy import batch_runs, progress, runs
    from asl.deploy.files import expand
    from asl.deploy.locate import locate
    from asl.deploy.target import Target
    from asl.selection import selected
    from ingestion_assets.pipeline import PipelineCompleted

    pipeline = selected([name])[0]
    if isinstance(pipeline.trigger, PipelineCompleted):
        raise click.UsageError(f"{name} starts when a run of {pipeline.trigger.pipeline} completes; run that")
    if configuration is not None:
        _configured(pipeline, files, target, stack, configuration, timeout, as_json)
    if not files and not flush:
        raise click.UsageError("Missing argument 'FILES...'.")
    chosen = expand(files)
    account = Target.named(target)
    deployed = locate(account, stack, pipeline)
    if flush and deployed.trigger != "batches":
        raise click.UsageError(f"--flush: {name} starts an execution for each file, so nothing waits")
    since = datetime.now(UTC)
    console = Console(stderr=True)
    if pipeline.curation is not None:
        chosen, marks = _marks_last(pipeline, chosen)
        runs.upload(account, deployed, chosen)
        chosen = marks
    sent = runs.upload(account, deployed, chosen)
    if not files:
        sent = batch_runs.open_files(account, deployed)
    state: tuple[runs.Run, ...] = ()
    with progress.shown(console, name) as display:
        for state in runs.follow(account, deployed, sent, since=since, timeout=timeout, flush=flush):
            display.show(state)
    progress.explain(console, state, name)
    if as_json:
        click.echo(json.dumps({"executions": [run.to_json() for run in state]}, indent=2, ensure_ascii=False))
    sys.exit(0 if all(run.well for run in state) else 1)


def _marks_last(
    pipeline: Pipeline, files: tuple[LocalFile, ...]
) -> tuple[tuple[LocalFile, ...], tuple[LocalFile, ...]]:
    """Return the files that start no run, and those that do: they must come when the others are there."""
    from asl.deploy import configured_runs

    marks = configured_runs.starting(files, pipeline.trigger.suffixes)
    if not marks:
        wanted = " or ".join(sorted(pipeline.trigger.suffixes))
        raise click.UsageError(f"no file of FILES ends in {wanted}, so nothing would start; or give --input")
    return tuple(file for file in files if file not in marks), marks


def _configured(  # noqa: PLR0917 - as the command has them
    pipeline: Pipeline,
    names: tuple[str, ...],
    target: str,
    stack: str,
    configuration: str,
    timeout: float,
    as_json: bool,
) -> NoReturn:
    """Upload the files, start one run with the configuration and follow it."""
    from rich.console import Console

    from asl.deploy import configured_runs, runs
    from asl.deploy.files import expand
    from asl.deploy.locate import locate
    from asl.deploy.progress import tell_configured
    from asl.deploy.target import Target

    if pipeline.curation is None:
        raise click.UsageError(f"--input: {pipeline.name} is not configured at run time")
    given = configured_runs.read_configuration(Path(configuration))
    files = expand(names)
    marks = configured_runs.starting(files, pipeline.trigger.suffixes)
    if files and not pipeline.trigger.suffixes:
        raise click.UsageError(
            f"--input: each file of {pipeline.name} starts a run of its own; upload them first"
        )
    account = Target.named(target)
    deployed = locate(account, stack, pipeline)
    console = Console(stderr=True)
    runs.upload(account, deployed, [file for file in files if file not in marks])
    started = state = configured_runs.start(account, deployed, given)
    said = 0
    for state in configured_runs.follow(account, deployed, started, timeout=timeout):
        said = tell_configured(console, pipeline.name, state, said)
    if as_json:
        click.echo(json.dumps(state.to_json(), indent=2, ensure_ascii=False))
    sys.exit(0 if state.well else 1)


COMMAND = run
