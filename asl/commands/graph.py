"""`asl graph`: a pipeline as a Mermaid diagram."""

from __future__ import annotations

import json

import click


@click.command(name="graph")
@click.argument("name")
@click.option("--machine", is_flag=True, help="Draw the state machine instead of the assets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def graph(*, name: str, machine: bool, as_json: bool) -> None:
    """Print a pipeline as a Mermaid diagram."""
    from asl.emit.graph import assets_mermaid, machine_mermaid
    from asl.lower import lower_pipeline
    from asl.selection import selected

    (pipeline,) = selected([name])
    text = machine_mermaid(lower_pipeline(pipeline)) if machine else assets_mermaid(pipeline)
    click.echo(json.dumps({"pipeline": name, "mermaid": text}) if as_json else text, nl=as_json)


COMMAND = graph
