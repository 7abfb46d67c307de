"""Estimates -> text for a terminal, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asl import prices
from asl.cost.assumptions import Assumptions, stated
from asl.cost.estimate import Estimate
from asl.cost.workload import HOURS_A_MONTH, Workload, spell_size
from asl.prices import PRICES
from ingestion_assets.pipeline import Pipeline

#: Services with a column of their own; the others share one.
COLUMNS = ("Glue", "Lambda", "Step Functions", "S3")
_PLACES = {"lambda": "Lambda", "glue_pyspark": "Glue"}


def show(
    pipeline: Pipeline, workload: Workload, found: Sequence[Estimate], assume: Assumptions, console: Console
) -> None:
    """Print the declared pipeline's bill, then the alternatives, then what the figures stand on."""
    declared = found[0]
    console.print(
        f"[bold]{pipeline.name}[/]: {workload.files:,g} files of {spell_size(workload.size)} per {workload.per}, "
        f"{_count(workload.a_month)} files and {spell_size(workload.a_month * workload.size)} a month"
    )
    console.print(
        f"[dim]US dollars a month of {HOURS_A_MONTH} hours, {prices.REGION}, list prices of {prices.AS_OF}, "
        "without free tiers[/]\n"
    )
    console.print(_bill(declared))
    console.print(_comparison(found))
    for estimate in found:
        if remark := _remark(estimate):
            console.print(f"[dim]{_mark(estimate).strip() or ' '} {estimate.scenario.label}: {remark}[/]")
    console.print(f"\n{_advice(found)}")
    console.print(
        f"[dim]Assumed: Lambda {assume.lambda_mb_per_vcpu_second:g} MB/s a vCPU and "
        f"{assume.lambda_seconds_per_file:g} s a file; Glue {assume.glue_mb_per_core_second:g} MB/s a core, "
        f"{assume.glue_seconds_per_file:g} s a file, {assume.glue_seconds_per_run:g} s a job before its first. "
        "All are in --json; --assume NAME=VALUE changes one. Storage, transfer and failures are not counted.[/]"
    )


def document(
    pipeline: Pipeline, workload: Workload, found: Sequence[Estimate], assume: Assumptions
) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "pipeline": pipeline.name,
        "workload": {
            "files": workload.files,
            "bytes_per_file": workload.size,
            "per": workload.per,
            "files_per_month": round(workload.a_month, 2),
        },
        "prices": {
            "region": prices.REGION,
            "as_of": prices.AS_OF,
            "table": {
                name: {"dollars": p.dollars, "per": p.per, "unit": p.unit, "page": p.page}
                for name, p in PRICES.items()
            },
        },
        "assumptions": stated(assume),
        "estimates": [_entry(estimate) for estimate in found],
    }


def _entry(estimate: Estimate) -> dict[str, Any]:
    return {
        "label": estimate.scenario.label,
        "declared": estimate.scenario.declared,
        "cheapest": estimate.cheapest,
        "runs_on": list(estimate.places),
        "files_per_execution": estimate.usage.batch,
        "executions_per_month": round(estimate.usage.runs, 2),
        "seconds_per_execution": {name: round(s, 2) for name, s in estimate.usage.seconds.items()},
        "transitions_per_execution": estimate.path.transitions,
        "dollars_per_month": round(estimate.total, 2),
        "dollars_by_service": {name: round(dollars, 2) for name, dollars in estimate.by_service.items()},
        "usage": {
            name: {
                "quantity": round(quantity, 3),
                "unit": PRICES[name].unit,
                "dollars": round(estimate.dollars[name], 4),
            }
            for name, quantity in estimate.usage.quantities.items()
        },
        "problem": estimate.problem,
        "needs": estimate.needs,
    }


def _bill(estimate: Estimate) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"As declared: {estimate.scenario.label}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("service")
    table.add_column("a month", justify="right")
    table.add_column("of")
    table.add_column("$", justify="right")
    shown = sorted(estimate.dollars.items(), key=lambda item: -item[1])
    for name, dollars in shown:
        quantity = estimate.usage.quantities[name]
        if quantity:
            table.add_row(PRICES[name].service, _count(quantity), PRICES[name].unit, _dollars(dollars))
    table.add_section()
    table.add_row("total", "", "", _dollars(estimate.total), style="bold")
    return table


def _comparison(found: Sequence[Estimate]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title="And otherwise",
        title_justify="left",
        title_style="bold",
        padding=(0, 1, 0, 0),
    )
    table.add_column("")
    table.add_column("processor, batching")
    table.add_column("runs", justify="right")
    table.add_column("s each", justify="right")
    for name in (*COLUMNS, "other"):
        table.add_column(name.replace("Step Functions", "Steps"), justify="right")
    table.add_column("total $", justify="right")
    for estimate in found:
        services = estimate.by_service
        other = estimate.total - sum(services[name] for name in COLUMNS)
        table.add_row(
            _mark(estimate),
            _named(estimate),
            _count(estimate.usage.runs),
            f"{sum(estimate.usage.seconds.values()):,.0f}",
            *(_dollars(services[name]) for name in COLUMNS),
            _dollars(other),
            Text(_dollars(estimate.total), style="" if estimate.problem else "bold"),
            style="dim" if estimate.problem else "green" if estimate.cheapest else "",
        )
    return table


def _mark(estimate: Estimate) -> str:
    return (
        ("▶" if estimate.scenario.declared else "")
        + ("✔" if estimate.cheapest else "")
        + ("✘" if estimate.problem else "")
    )


def _named(estimate: Estimate) -> str:
    return estimate.scenario.label


def _remark(estimate: Estimate) -> str:
    if estimate.problem:
        return f"cannot run: {estimate.problem}"
    return f"needs {estimate.needs}" if estimate.needs else ""


def _advice(found: Sequence[Estimate]) -> str:
    declared = found[0]
    best = next((each for each in found if each.cheapest), None)
    if best is None or best is declared:
        return "▶ declared, ✔ and the cheapest that can run."
    return (
        f"▶ declared  ✔ cheapest: {best.scenario.label} saves {_dollars(declared.total - best.total)} dollars a month "
        f"({(1 - best.total / declared.total):.0%})."
    )


def _dollars(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.5 else f"{value:,.2f}"


def _count(value: float) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M")):
        if value >= size * 0.9995:
            return f"{value / size:,.2f}{unit}"
    return f"{value:,.0f}" if value >= 99.5 else f"{value:,.2f}"
