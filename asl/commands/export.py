"""`asl export`: compile pipelines and write what deploys them."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="export")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--out", default="build", show_default=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def export_pipelines(*, names: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Export pipelines, by default all, as one stack; offline and without credentials."""
    from asl.compiler import compile_pipelines, export
    from asl.selection import selected

    build = compile_pipelines(selected(names))
    manifest = export(build, out)
    for found in build.diagnostics:
        click.echo(f"{found.code} {found.where}: {found.what}. {found.hint}", err=True)
    if as_json:
        click.echo(json.dumps(manifest, indent=2))
        return
    for name in manifest["files"]:
        click.echo(f"{out / name}")
    click.echo(f"{len(build.template['Resources'])} resources in {out / 'template.json'}")


COMMAND = export_pipelines
