"""Runs of a case -> its entry in `bench/results.json`, and a table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.cases import Case
from bench.measure import Run, import_milliseconds, medians

RESULTS = Path("bench/results.json")
VERSIONS = ("duckdb", "narwhals", "pandera", "polars")


def entry(
    case: Case, source: Path, runs: Mapping[str, Sequence[Run]], larger: Run, times: int
) -> dict[str, Any]:
    """Return everything that is kept of a case."""
    middle = {name: medians(each) for name, each in runs.items() if each}
    figures = {**middle, "larger": asdict(larger)}
    goals = {}
    for goal in case.goals:
        try:
            value = goal.value(figures)
        except KeyError:
            # A contender that had no memory to run in.
            continue
        goals[goal.name] = {
            "text": goal.text,
            "value": value,
            "most": goal.most,
            "least": goal.least,
            "met": goal.met(value),
        }
    return {
        "input_bytes": source.stat().st_size,
        "rows": middle["ours"]["rows"],
        "rows_set_aside": middle["ours"]["bad"],
        "medians": middle,
        "runs": {name: [asdict(one) for one in each] for name, each in runs.items()},
        "larger": {"times": times, **asdict(larger)},
        "goals": goals,
        "machine": {
            "cores": os.cpu_count(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in VERSIONS},
        "bench_versions": Path("bench/constraints.txt").read_text().split(),
    }


def save(case: Case, kept: Mapping[str, Any]) -> None:
    """Write a case's entry and leave the others' as they are."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[case.name] = kept
    results["cold_start_ms"] = import_milliseconds(5, "aws_runtime.handlers.materialize")
    RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")


def show_markdown(case: Case) -> None:
    """Print what is saved of a case as two Markdown tables."""
    kept = json.loads(RESULTS.read_text())[case.name]
    rows = [(c.label, kept["medians"][c.name]) for c in case.contenders if c.name in kept["medians"]]
    rows.append((f"ours, {kept['larger']['times']} times the size", kept["larger"]))
    print(f"{kept['input_bytes'] / 1e6:,.0f} MB, {kept['rows']:,.0f} rows\n")
    print("| | seconds | CPU s | peak MB |\n|---|---|---|---|")
    for label, one in rows:
        print(f"| {label} | {one['seconds']:.1f} | {one['cpu_seconds']:.1f} | {one['peak_mb']:.0f} |")
    print("\n| goal | measured | |\n|---|---|---|")
    for goal in kept["goals"].values():
        verdict = ("met" if goal["met"] else "missed") if _asked(goal) else ""
        print(f"| {goal['text']}{f': {_asked(goal)}' * bool(_asked(goal))} | {goal['value']:g} | {verdict} |")
    print()


def _asked(goal: Mapping[str, Any]) -> str:
    if goal["most"] is not None:
        return f"at most {goal['most']:g}"
    return f"at least {goal['least']:g}" if goal["least"] is not None else ""


def show(case: Case, kept: Mapping[str, Any]) -> None:
    """Print a case's table and how it does against its goals."""
    megabytes = kept["input_bytes"] / 1e6
    print(
        f"\n{case.name}: {megabytes:,.0f} MB, {kept['rows']:,.0f} rows, {kept['rows_set_aside']:,.0f} set aside"
    )
    print(f"{'':50s} {'seconds':>8s} {'CPU s':>8s} {'peak MB':>8s} {'bad rows':>9s}")
    rows = [(c.label, kept["medians"].get(c.name)) for c in case.contenders]
    rows.append((f"ours, {kept['larger']['times']} times the size", kept["larger"]))
    for label, one in rows:
        if one is None:
            print(f"{label:50s} {'needs more memory than is free':>36s}")
            continue
        print(
            f"{label:50s} {one['seconds']:8.1f} {one['cpu_seconds']:8.1f} {one['peak_mb']:8.0f} {one['bad']:9,.0f}"
        )
    print()
    for goal in kept["goals"].values():
        asked = _asked(goal)
        verdict = f"{'met' if goal['met'] else 'MISSED'} ({asked})" if asked else ""
        print(f"{goal['text']:50s} {goal['value']:8.2f}  {verdict}")
