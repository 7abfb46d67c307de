"""`asl redrive NAME`: send failed files or batches again, and put dead letters back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from asl.deploy.redriving import Moved

BATCH = re.compile(r"(\d{4}-\d{2}-\d{2})/(\d+)")


@click.command(name="redrive")
@click.argument("name")
@click.option("--target", type=click.Choice(["local", "aws"]), default="local", show_default=True)
@click.option("--stack", default="ingestion", show_default=True, help="Name of the CloudFormation stack.")
@click.option("--state", help="Send these again: failed (by default), or those whose files were rejected.")
@click.option("--file", "files", multiple=True, help="Only this file: its key, or its S3 URI.")
@click.option("--batch", "batches", multiple=True, metavar="DATE/N", help="Only this batch, as 2025-01-17/7.")
@click.option("--dead-letters", "dead", is_flag=True, help="Put messages that could not be handled back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def redrive(
    *,
    name: str,
    target: str,
    stack: str,
    state: str | None,
    files: tuple[str, ...],
    batches: tuple[str, ...],
    dead: bool,
    as_json: bool,
) -> None:
    """Send what failed in pipeline NAME again, each with a new execution of the newest definition.

    A second redrive of the same is harmless. With --dead-letters alone, only messages are put back.
    """
    from asl.deploy import redriving
    from asl.deploy.locate import locate
    from asl.deploy.target import Target
    from asl.selection import selected

    pipeline = selected([name])[0]
    account = Target.named(target)
    deployed = locate(account, stack, pipeline)
    known = redriving.STATES[deployed.trigger]
    if state is not None and state not in known:
        raise click.UsageError(f"--state: {name} sends again what is {' or '.join(known)}, not {state!r}")
    named = numbered(batches)
    if named and deployed.trigger != "batches":
        raise click.UsageError(f"--batch: {name} starts an execution for each file, so it has no batches")
    sent = []
    if state or files or named or not dead:
        for again in redriving.redrive(account, deployed, state or known[0], files, named):
            sent.append(again)
            if not as_json:
                click.echo(f"{again.what} -> {again.execution}")
    moved = redriving.dead_letters(account, deployed) if dead else redriving.Moved()
    if as_json:
        rows = [
            {"what": a.what, "execution": a.execution, "attempt": a.attempt} for a in (*sent, *moved.started)
        ]
        answer = {"redriven": rows, "returned": moved.returned, "left": list(moved.left)}
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    for again in moved.started:
        click.echo(f"{again.what} -> {again.execution}")
    for why in moved.left:
        click.echo(f"left in the dead-letter queue: {why}")
    click.echo(_summary(len(sent), moved, dead))


def numbered(batches: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Split DATE/N arguments."""
    found = []
    for text in batches:
        match = BATCH.fullmatch(text)
        if match is None:
            raise click.UsageError(f"--batch {text!r} is not DATE/N, such as 2025-01-17/7")
        found.append((match[1], int(match[2])))
    return tuple(found)


def _summary(sent: int, moved: Moved, dead: bool) -> str:
    parts = [f"{sent} sent again"] if sent or not dead else []
    if dead:
        parts.append(f"{moved.returned + len(moved.started)} dead letters put back")
    return ", ".join(parts)


COMMAND = redrive
