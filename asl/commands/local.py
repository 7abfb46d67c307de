"""`asl local up|down|status`: the local AWS on 127.0.0.1."""

from __future__ import annotations

import json

import click


@click.group(name="local")
def local() -> None:
    """Start, end or show the local AWS."""


@local.command()
@click.option("--port", type=click.IntRange(1, 65535), help="On 127.0.0.1; by default a free one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def up(port: int | None, as_json: bool) -> None:
    """Start the local AWS, IAM enforced; its state does not survive a stop."""
    from asl.local import server

    local = server.up(port=port)
    answer = {
        "running": True,
        "endpoint": local.endpoint,
        "port": local.port,
        "pid": local.pid,
        "log": local.log,
    }
    click.echo(
        json.dumps(answer) if as_json else f"The local AWS runs at {local.endpoint} (log: {local.log})"
    )


@local.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def down(as_json: bool) -> None:
    """End the local AWS and remove its state."""
    from asl.local import server

    ended = server.down()
    text = "The local AWS has ended" if ended else "The local AWS was not running"
    click.echo(json.dumps({"ended": ended}) if as_json else text)


@local.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Say whether the local AWS runs; exit code 1 when it does not."""
    from asl.local import server

    local = server.find()
    if local is None:
        click.echo(
            json.dumps({"running": False}) if as_json else "The local AWS is not running: asl local up"
        )
        raise SystemExit(1)
    answer = {
        "running": True,
        "endpoint": local.endpoint,
        "port": local.port,
        "pid": local.pid,
        "log": local.log,
    }
    click.echo(json.dumps(answer) if as_json else f"The local AWS runs at {local.endpoint}, pid {local.pid}")


COMMAND = local
