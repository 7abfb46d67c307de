"""`asl validate`: compile, and check what would be deployed; offline."""

from __future__ import annotations

import json
import sys
from typing import Any

import click


@click.command(name="validate")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def validate(*, names: tuple[str, ...], as_json: bool) -> None:
    """Check pipelines, by default all: cfn-lint, statelint, JSONata, every AWS call, IAM, encryption.

    Exit code 1 when there is an error; a warning is only said.
    """
    from asl.checks import check
    from asl.compiler import compile_pipelines
    from asl.selection import selected

    build = compile_pipelines(selected(names))
    found = check(build)
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    if as_json:
        click.echo(json.dumps({"errors": errors, "diagnostics": [_json(d) for d in found]}, indent=2))
    else:
        for diagnostic in found:
            click.echo(
                f"{diagnostic.severity} {diagnostic.code} {diagnostic.where}: {diagnostic.what}. {diagnostic.hint}"
            )
        count = len(build.template["Resources"])
        pipelines = ", ".join(pipeline.name for pipeline in build.app.pipelines)
        click.echo(f"{pipelines}: {count} resources, {errors} errors, {len(found) - errors} warnings")
    sys.exit(1 if errors else 0)


def _json(diagnostic: Any) -> dict[str, str]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "where": str(diagnostic.where),
        "what": diagnostic.what,
        "hint": diagnostic.hint,
        "doc": diagnostic.doc,
    }


COMMAND = validate
