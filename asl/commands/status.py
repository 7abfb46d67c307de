"""`asl status NAME`: the pipeline's files by state, from its tracking table."""

from __future__ import annotations

import json
from collections import Counter

import click

FINISHED_WELL = "completed"
STATES = ("started", FINISHED_WELL, "rejected", "failed")


@click.command(name="status")
@click.argument("name")
@click.option("--target", type=click.Choice(["local", "aws"]), default="local", show_default=True)
@click.option("--stack", default="ingestion", show_default=True, help="Name of the CloudFormation stack.")
@click.option("--state", type=click.Choice(STATES), help="List only files of this state.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(*, name: str, target: str, stack: str, state: str | None, as_json: bool) -> None:
    """Show how many files of pipeline NAME are in which state, and why files did not complete."""
    from asl.deploy import runs
    from asl.deploy.locate import locate
    from asl.deploy.target import Target
    from asl.selection import selected

    account = Target.named(target)
    deployed = locate(account, stack, selected([name])[0])
    items = sorted(runs.tracked(account, deployed), key=lambda item: str(item["file_id"]))
    counts = Counter(str(item["status"]) for item in items)
    shown = [
        item for item in items if (item["status"] == state if state else item["status"] != FINISHED_WELL)
    ]
    files = [{"file": str(i["file_id"]), "status": str(i["status"]), "reason": runs.reason(i)} for i in shown]
    if as_json:
        click.echo(
            json.dumps({"counts": dict(sorted(counts.items())), "files": files}, indent=2, ensure_ascii=False)
        )
        return
    click.echo(
        f"{name}: {len(items)} file{'' if len(items) == 1 else 's'}"
        + "".join(f", {counts[each]} {each}" for each in sorted(counts))
    )
    for file in files:
        click.echo(f"{file['status']}  {file['file']}  {file['reason'] or ''}".rstrip())


COMMAND = status
