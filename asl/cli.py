"""The command line `asl`: one file a command in `asl.commands`, loaded when it is used.

A user's mistake (`CompileError`, or a click exception) is one line on stderr and exit code 1, never
a traceback.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

import click

import asl.commands
from ingestion_assets.errors import CompileError

#: Said by `asl --help` without importing the commands, which keeps it fast.
SUMMARIES = {
    "cost": "Estimate what a pipeline costs a month, and what it would cost otherwise.",
    "deploy": "Deploy all pipelines as one CloudFormation stack.",
    "destroy": "Delete the stack; buckets with data stay.",
    "export": "Write the template, machines, bundles and contracts to a folder.",
    "graph": "Print a pipeline as a Mermaid diagram.",
    "list": "List the pipelines and their assets.",
    "local": "Start, end or show the local AWS.",
    "redrive": "Send failed files or batches again, and put dead letters back.",
    "run": "Upload files and follow their executions to the end.",
    "status": "Show files by state, with ages and reasons, and what waits.",
    "validate": "Check what would be exported, offline.",
}


class Commands(click.Group):
    """The modules of `asl.commands`, each with one `COMMAND`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands by name, from the files there are."""
        del ctx
        return sorted(
            m.name for m in pkgutil.iter_modules(asl.commands.__path__) if not m.name.startswith("_")
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"asl.commands.{cmd_name}").COMMAND
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; one without a summary here is imported for its own."""
        rows = []
        for name in self.list_commands(ctx):
            command = None if name in SUMMARIES else self.get_command(ctx, name)
            rows.append((name, SUMMARIES[name] if command is None else command.get_short_help_str(80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest commands when there is no such one."""
        from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

        known = self.list_commands(ctx)
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in known:
            near = get_close_matches(name, known, 3) or known
            ctx.fail(f"no command {name!r}. Did you mean {', '.join(near)}?")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--package",
    envvar="ASL_PIPELINES",
    metavar="PACKAGE",
    help="Where pipelines are declared; also ASL_PIPELINES.  [default: ingestion_assets.pipelines]",
)
def cli(package: str | None) -> None:
    """Typed assets, compiled to AWS Step Functions and deployed."""
    if package:
        os.environ["ASL_PIPELINES"] = package


def main() -> None:
    """Run the command line."""
    # A package of pipelines named by --package lies where the user works.
    sys.path.insert(0, "")
    try:
        cli(prog_name="asl")
    except CompileError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
