"""`asl list`: the declared pipelines and their assets."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_pipelines(*, as_json: bool) -> None:
    """List the pipelines and their assets."""
    from asl.selection import declared

    found = [_pipeline(pipeline) for pipeline in declared()]
    if as_json:
        click.echo(json.dumps({"pipelines": found}, indent=2))
        return
    for pipeline in found:
        click.echo(": ".join(text for text in (pipeline["name"], pipeline["description"]) if text))
        for source in pipeline["sources"]:
            click.echo(
                f"  {source['name']} <- s3://{source['bucket']}/{source['prefix']} ({source['format']})"
            )
        for asset in pipeline["assets"]:
            inputs = ", ".join(asset["inputs"])
            click.echo(
                f"  {asset['name']} <- {inputs} -> s3://{asset['bucket']}/{asset['prefix']} ({asset['processor']})"
            )


def _pipeline(pipeline: Any) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "description": pipeline.description,
        "owners": list(pipeline.owners),
        "where": str(pipeline.where),
        "sources": [
            {"name": s.name, "bucket": s.bucket.name, "prefix": s.prefix, "format": s.format.name}
            for s in pipeline.sources
        ],
        "assets": [
            {
                "name": a.name,
                "inputs": list(a.inputs.values()),
                "processor": a.processor.kind,
                "bucket": a.destination.bucket.name,
                "prefix": a.destination.prefix,
                "contract": a.contract.__name__,
            }
            for a in pipeline.assets
        ],
    }


COMMAND = list_pipelines
