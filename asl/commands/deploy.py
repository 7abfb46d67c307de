"""`asl deploy`: export every pipeline, show what changes, and make it so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


@click.command(name="deploy")
@click.option("--target", type=click.Choice(["local", "aws"]), default="local", show_default=True)
@click.option("--stack", default="ingestion", show_default=True, help="Name of the CloudFormation stack.")
@click.option("--out", default="build", show_default=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--plan", is_flag=True, help="Show what would change, and change nothing in the stack.")
@click.option(
    "--parameter", "given", multiple=True, metavar="NAME=VALUE", help="Of the template, such as AlertEmail."
)
@click.option("--yes", is_flag=True, help="Do not ask before resources on AWS are deleted or replaced.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def deploy(
    *, target: str, stack: str, out: Path, plan: bool, given: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    """Deploy all pipelines as one stack, through a change set."""
    from rich.console import Console

    from asl import compiler
    from asl.deploy import deployment, routes
    from asl.deploy import stack as stacks
    from asl.deploy.target import Target
    from asl.selection import declared

    console = Console(stderr=True, highlight=False)
    account = Target.named(target)
    compiler.export(compiler.compile_pipelines(declared()), out)
    changes = deployment.propose(
        account, stack, out, parameters(given), lambda line: console.print(f"  {line}")
    )
    show(console, changes)
    if plan or not changes:
        stacks.discard(account, stack)
    else:
        if account.endpoint is None and not yes:
            confirm(changes)
        with console.status(f"deploying {stack} to {target}") as status:
            stacks.execute(account, stack, lambda name, _, state: status.update(f"{name} {state}"))
        console.print(f"The stack {stack} is deployed to {target}")
    # Routes are written even when no resource changes: the last deployment may have ended before it wrote them.
    led = routes.plan(account, stack, out) if plan else deployment.finish(account, stack, out)
    show_routes(console, led)
    if as_json:
        listed = [{"action": c.action, "logical_id": c.logical_id, "type": c.type} for c in changes]
        found = {} if stacks.describe(account, stack) is None else stacks.outputs(account, stack)
        answer = {"stack": stack, "changes": listed, "routes": [r.to_json() for r in led], "outputs": found}
        click.echo(json.dumps(answer, indent=2))


def parameters(given: Sequence[str]) -> dict[str, str]:
    """Split NAME=VALUE arguments."""
    wrong = next((text for text in given if "=" not in text), None)
    if wrong is not None:
        raise click.UsageError(f"--parameter {wrong!r} is not NAME=VALUE")
    return {name: value for name, _, value in (text.partition("=") for text in given)}


def show(console: Any, changes: Sequence[Any]) -> None:
    """Print one line a change, and nothing twice."""
    styles = {"create": "green", "update": "yellow", "replace": "red", "delete": "red"}
    for change in changes:
        console.print(f"  [{styles[change.action]}]{change.action:8}[/] {change.logical_id} ({change.type})")
    counts = {action: sum(change.action == action for change in changes) for action in styles}
    summary = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
    console.print(summary or "Nothing changes")


def show_routes(console: Any, changes: Sequence[Any]) -> None:
    """Print one line a row of `workflow_metadata` that is written, deleted, or left to who added it."""
    styles = {"create": "green", "update": "yellow", "delete": "red", "respect": "cyan"}
    for change in changes:
        if change.action in styles:
            line = f"route {change.prefix} -> {change.machine} ({change.table})"
            if change.action == "respect":
                line += ", a row that was added by hand: left as it is"
            console.print(f"  [{styles[change.action]}]{change.action:8}[/] {line}", soft_wrap=True)


def confirm(changes: Sequence[Any]) -> None:
    """Ask before something on AWS is lost."""
    lost = [change.logical_id for change in changes if change.action in ("delete", "replace")]
    if lost:
        click.confirm(f"{len(lost)} resources are deleted or replaced: {', '.join(lost)}. Go on?", abort=True)


COMMAND = deploy
