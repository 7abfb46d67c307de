"""`asl cost NAME`: what a pipeline costs a month, as declared and otherwise."""

from __future__ import annotations

import json

import click

PERIODS = ("second", "minute", "hour", "day", "month")


class Size(click.ParamType[int]):
    """Bytes, as `3.5MB`."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes, or fail with what a size looks like."""
        from asl.cost.workload import parse_size

        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(name="cost")
@click.argument("name")
@click.option("--files", type=click.FloatRange(0, min_open=True), required=True, help="How many arrive …")
@click.option("--per", type=click.Choice(PERIODS), default="hour", show_default=True, help="… in which time.")
@click.option("--size", type=Size(), required=True, help="Of each file: 3.5MB, 800KB, 2GiB.")
@click.option(
    "--assume", multiple=True, metavar="NAME=VALUE", help="Change an assumption; --json lists them."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cost(*, name: str, files: float, per: str, size: int, assume: tuple[str, ...], as_json: bool) -> None:
    """Estimate what pipeline NAME costs a month, and what it would with other processors and batches."""
    from rich.console import Console

    from asl.cost import report
    from asl.cost.assumptions import UnknownAssumptionError, changed
    from asl.cost.estimate import estimates
    from asl.cost.workload import Workload
    from asl.selection import selected

    try:
        assumptions = changed(assume)
    except UnknownAssumptionError as error:
        raise click.BadParameter(str(error), param_hint="--assume") from None
    (pipeline,) = selected([name])
    workload = Workload(files, size, per)
    found = estimates(pipeline, workload, assumptions)
    if as_json:
        click.echo(json.dumps(report.document(workload, found, assumptions), indent=2))
        return
    report.show(workload, found, assumptions, Console(highlight=False))


COMMAND = cost
