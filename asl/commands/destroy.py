"""`asl destroy`: delete the stack; buckets with data are kept."""

from __future__ import annotations

import click


@click.command(name="destroy")
@click.option("--target", type=click.Choice(["local", "aws"]), default="local", show_default=True)
@click.option("--stack", default="ingestion", show_default=True, help="Name of the CloudFormation stack.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(*, target: str, stack: str, yes: bool) -> None:
    """Delete the stack. What the template retains (buckets, the tracking table) stays in the account."""
    from asl.deploy import stack as stacks
    from asl.deploy.target import Target

    account = Target.named(target)
    if not yes:
        click.confirm(f"Delete the stack {stack} on {target}?", abort=True)
    deleted = stacks.destroy(account, stack, lambda name, _, state: click.echo(f"  {name} {state}", err=True))
    click.echo(f"The stack {stack} is deleted" if deleted else f"There was no stack {stack}")


COMMAND = destroy
