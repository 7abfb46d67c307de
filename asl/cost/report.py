"""Estimates -> a page of terminal, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asl import prices
from asl.cost.assumptions import Assumptions, stated
from asl.cost.estimate import Estimate
from asl.cost.workload import HOURS_A_MONTH, Workload, spell_size
from asl.prices import PRICES

#: Services with a column of their own, and its heading; the others share one.
COLUMNS = {"Glue": "Glue", "Lambda": "Lambda", "Step Functions": "Steps", "S3": "S3"}
PLACES = {"lambda": "Lambda", "glue_pyspark": "Glue"}


def show(workload: Workload, found: Sequence[Estimate], assume: Assumptions, console: Console) -> None:
    """Print the declared pipeline's bill, then the alternatives, then what the figures stand on."""
    declared = found[0]
    article = "an" if workload.per == "hour" else "a"
    console.print(
        f"[bold]{declared.scenario.pipeline.name}[/]: {workload.files:,g} files of "
        f"{spell_size(workload.size)} {article} {workload.per}; {_count(workload.a_month)} files, "
        f"{spell_size(workload.a_month * workload.size)} a month"
    )
    console.print(
        f"[dim]Dollars for {HOURS_A_MONTH} hours, {prices.REGION}, list prices of {prices.AS_OF}, no free tiers[/]\n"
    )
    console.print(f"[bold]As declared[/] ({declared.scenario.label})")
    console.print(_bill(declared))
    console.print("\n[bold]As it could be declared[/]")
    console.print(_comparison(found))
    for line in _remarks(found):
        console.print(line)
    console.print(
        f"\n[dim]Assumed: Lambda {assume.lambda_mb_per_vcpu_second:g} MB/s a vCPU and "
        f"{assume.lambda_seconds_per_file:g} s a file; Glue {assume.glue_mb_per_core_second:g} MB/s a core, "
        f"{assume.glue_seconds_per_file:g} s a file ({assume.glue_files_at_once:g} at once) and "
        f"{assume.glue_seconds_per_run:g} s a job; "
        "all of them by --json, changed by --assume. Not counted: storage, transfer, failures.[/]"
    )


def document(workload: Workload, found: Sequence[Estimate], assume: Assumptions) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "pipeline": found[0].scenario.pipeline.name,
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
                name: {"dollars": p.dollars, "per": p.per, "unit": p.unit, "page": p.page, "note": p.note}
                for name, p in PRICES.items()
            },
        },
        "assumptions": stated(assume),
        "estimates": [_entry(estimate) for estimate in found],
    }


def _entry(estimate: Estimate) -> dict[str, Any]:
    month, dollars = estimate.month, estimate.dollars
    return {
        "label": estimate.scenario.label,
        "declared": estimate.scenario.declared,
        "cheapest": estimate.cheapest,
        "runs_on": dict(sorted(month.places.items())),
        "files_per_execution": month.door.batch,
        "executions_per_month": round(month.runs, 2),
        "seconds_per_execution": round(estimate.seconds, 2),
        "transitions_per_execution": month.path.transitions,
        "dynamodb_write_units_per_file": round(month.door.writes, 3),
        "dollars_per_month": round(estimate.total, 2),
        "dollars_by_service": {name: round(d, 2) for name, d in estimate.by_service.items()},
        "usage": {
            name: {
                "quantity": round(quantity, 3),
                "unit": PRICES[name].unit,
                "dollars": round(dollars[name], 4),
            }
            for name, quantity in estimate.quantities.items()
        },
        "problem": estimate.problem,
        "needs": estimate.needs,
    }


def _bill(estimate: Estimate) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("service")
    table.add_column("a month", justify="right")
    table.add_column("")
    table.add_column("$", justify="right")
    services, dollars = estimate.by_service, estimate.dollars
    # Services and their parts by what they cost, a service told once.
    for service in sorted(services, key=lambda name: -services[name]):
        shown = service
        for name in sorted(dollars, key=lambda name: -dollars[name]):
            if PRICES[name].service == service and estimate.quantities[name]:
                table.add_row(
                    shown, _count(estimate.quantities[name]), PRICES[name].unit, f"{dollars[name]:,.2f}"
                )
                shown = ""
    table.add_section()
    table.add_row("total", "", "", f"{estimate.total:,.2f}", style="bold")
    return table


def _comparison(found: Sequence[Estimate]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column("", no_wrap=True, min_width=2)
    table.add_column("processor", no_wrap=True)
    for heading in ("files", "runs", "s each", *COLUMNS.values(), "other"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("total $", justify="right", no_wrap=True, style="bold")
    for estimate in found:
        services = estimate.by_service
        named = [services[name] for name in COLUMNS]
        table.add_row(
            _mark(estimate),
            _processor(estimate),
            f"{estimate.month.door.batch:,}",
            _count(estimate.month.runs),
            f"{estimate.seconds:,.0f}" if estimate.seconds >= 9.95 else f"{estimate.seconds:,.1f}",
            *(_dollars(value) for value in (*named, estimate.total - sum(named), estimate.total)),
            style="dim" if estimate.problem else "green" if estimate.cheapest else "",
        )
    return table


def _processor(estimate: Estimate) -> str:
    """Return the processor, and where `auto` runs it."""
    named = estimate.scenario.processor
    places = dict.fromkeys(estimate.month.places.values())
    return f"{named} → {'+'.join(PLACES[place] for place in places)}" if "auto" in named else named


def _mark(estimate: Estimate) -> str:
    marks = (("▶", estimate.scenario.declared), ("✔", estimate.cheapest), ("✘", bool(estimate.problem)))
    return "".join(mark for mark, holds in marks if holds)


def _remarks(found: Sequence[Estimate]) -> list[str]:
    declared = found[0]
    best = next((each for each in found if each.cheapest), None)
    lines = []
    if best is declared:
        lines.append("▶✔ what is declared is the cheapest that can run")
    elif best is not None:
        share = 1 - best.total / declared.total
        saved = f"${_dollars(declared.total - best.total)} a month ({share:.0%}) less than ▶ what is declared"
        lines.append(f"✔ {best.scenario.label}: {saved if share > 0 else 'more than ▶ what is declared'}")
    if any(_above_threshold(each) for each in found):
        threshold = min(a.processor.threshold_bytes for a in declared.scenario.pipeline.assets)
        lines.append(f"[dim]• auto → Glue: above threshold_bytes, {spell_size(threshold)} an execution[/]")
    for each in found:
        if each.problem:
            lines.append(f"[dim]✘ {each.scenario.label}: {escape(each.problem)}[/]")
        elif each.scenario.workers:
            lines.append(f"[dim]• {each.scenario.processor}: what the console gives a new Glue job[/]")
        elif each.needs:
            lines.append(f"[dim]• {each.scenario.label}: needs Processor({each.needs})[/]")
    return lines


def _above_threshold(estimate: Estimate) -> bool:
    """Whether `auto` takes the job."""
    return "auto" in estimate.scenario.processor and "glue_pyspark" in estimate.month.places.values()


def _dollars(value: float) -> str:
    """Spell dollars for a comparison: without cents, and nothing as a dot."""
    return f"{value:,.0f}" if value >= 0.5 else "·"


def _count(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= size * 0.9995:
            return f"{value / size:,.2f} {unit}"
    return f"{value:,.0f}" if value >= 99.5 or value == round(value) else f"{value:,.2f}"
