"""`asl status NAME`: the pipeline's files by state, from its tables, and what waits in its queues."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import click

MINUTE, HOUR, DAY = 60, 3600, 86_400


@click.command(name="status")
@click.argument("name")
@click.option("--target", type=click.Choice(["local", "aws"]), default="local", show_default=True)
@click.option("--stack", default="ingestion", show_default=True, help="Name of the CloudFormation stack.")
@click.option("--state", help="List the files of this state, such as failed.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="Of files; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(*, name: str, target: str, stack: str, state: str | None, limit: int, as_json: bool) -> None:
    """Show how many files of pipeline NAME are in which state, since when, and why.

    Without --state, files that went well are counted, and the others listed, newest first.
    """
    from datetime import UTC, datetime

    from asl.deploy import status as statuses
    from asl.deploy.locate import locate
    from asl.deploy.target import Target
    from asl.selection import selected

    pipeline = selected([name])[0]
    account = Target.named(target)
    deployed = locate(account, stack, pipeline)
    known = statuses.STATES[deployed.trigger]
    if state is not None and state not in known:
        raise click.UsageError(f"--state: files of {name} are {', '.join(known)}, never {state!r}")
    report = statuses.report(account, deployed, state)
    depths = statuses.depths(account, deployed)
    now = datetime.now(UTC)
    files = list(islice(report.files, limit + 1) if limit else report.files)
    more = bool(limit) and len(files) > limit
    files = files[:limit] if limit else files
    counts = {each: report.counts[each] for each in known if report.counts.get(each)}
    if as_json:
        answer: dict[str, Any] = {
            "counts": counts,
            "files": [file.to_json(now) for file in files],
            "more": more,
        }
        answer["queue"] = {
            "waiting": depths.waiting,
            "in_flight": depths.in_flight,
            "dead_letters": depths.dead,
        }
        if deployed.batches:
            answer["batches"] = dict(report.batches)
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    total = sum(counts.values())
    click.echo(
        f"{name}: {total} file{'' if total == 1 else 's'}"
        + "".join(f", {count} {each}" for each, count in counts.items())
    )
    for line in _waiting(depths, name):
        click.echo(line)
    for file in files:
        age = _age((now - file.since).total_seconds()) if file.since else "?"
        place = f"  ({file.batch})" if file.batch else ""
        click.echo(f"{file.status:11} {age:>6}  {file.file.key}{place}  {file.reason or ''}".rstrip())
    if more:
        click.echo(f"… and more: --limit {2 * limit}")


def _waiting(depths: Any, name: str) -> list[str]:
    """Return lines on the queues; none when they are empty."""
    lines = []
    if depths.waiting or depths.in_flight:
        lines.append(f"queue: {depths.waiting} messages, and {depths.in_flight} being handled")
    if depths.dead:
        lines.append(f"dead letters: {depths.dead}; to try them again: asl redrive {name} --dead-letters")
    return lines


def _age(seconds: float) -> str:
    """Return an age in its largest unit: `45 s`, `3 min`, `2 h`, `5 d`."""
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


COMMAND = status
