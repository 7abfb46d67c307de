"""`asl run NAME FILE…`: upload files to the landing bucket and follow their executions to the end."""

from __future__ import annotations

import json
import sys

import click


@click.command(name="run")
@click.argument("name")
@click.argument("files", nargs=-1)
@click.option("--target", type=click.Choice(["local", "aws"]), default="local", show_default=True)
@click.option("--stack", default="ingestion", show_default=True, help="Name of the CloudFormation stack.")
@click.option("--timeout", default=900.0, show_default=True, help="Seconds to wait for all executions.")
@click.option("--flush", is_flag=True, help="Start batches that wait for more files; FILES are optional.")
@click.option("--json", "as_json", is_flag=True, help="Print the executions as JSON.")
def run(
    *, name: str, files: tuple[str, ...], target: str, stack: str, timeout: float, flush: bool, as_json: bool
) -> None:
    """Run pipeline NAME over FILES: files, folders or patterns.

    Folders inside a folder are kept below the source's prefix. The exit code is 0 only if every
    execution succeeded; a file that started none until the timeout is reported as NOT_STARTED. Files
    of a batch that waits for more are reported as PENDING, and the command ends; with --flush, their
    batch starts at once.
    """
    from datetime import UTC, datetime

    from rich.console import Console

    from asl.deploy import batch_runs, progress, runs
    from asl.deploy.files import expand
    from asl.deploy.locate import locate
    from asl.deploy.target import Target
    from asl.selection import selected

    pipeline = selected([name])[0]
    if not files and not flush:
        raise click.UsageError("Missing argument 'FILES...'.")
    chosen = expand(files)
    account = Target.named(target)
    deployed = locate(account, stack, pipeline)
    if flush and deployed.trigger != "batches":
        raise click.UsageError(f"--flush: {name} starts an execution for each file, so nothing waits")
    since = datetime.now(UTC)
    console = Console(stderr=True)
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


COMMAND = run
