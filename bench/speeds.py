"""`python -m bench.speeds`: what `asl cost` assumes of the engines, measured as CPU seconds.

Each engine runs whole steps in a process of its own: small files for the fixed time of a file, larger
ones for the speed. CPU seconds of the process and all that it started, since they hardly depend on
what else the machine does.
"""

# ruff: noqa: PLC0415 - the engines are imported in the process that measures them
from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.measure import FOLDER
from bench.orders_data import order_file
from bench.sales_data import sales_file

#: Engine and format, by the name in the results.
MEASURED = {
    "duckdb_json": ("duckdb", "json"),
    "polars_csv": ("polars", "csv"),
    "spark_json": ("spark", "json"),
    "spark_csv": ("spark", "csv"),
}
SMALL_MB, LARGE_MB, RUNS = 0.1, 30, 3
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its descendants, those that ended among them."""
    stats: dict[int, list[str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
    family = {os.getpid()}
    while grown := {pid for pid, stat in stats.items() if int(stat[1]) in family} - family:
        family |= grown
    return sum(sum(map(int, stats[pid][11:15])) for pid in family if pid in stats) / TICKS


def one(name: str) -> dict[str, float]:
    """Measure one engine in this process."""
    from aws_runtime.engines import InputFile, Limits
    from aws_runtime.step import open_steps
    from bench.sales_contract import checked_sales
    from bench.sales_contract import pipeline as sales
    from ingestion_assets.pipelines.orders_etl.pipeline import order_lines
    from ingestion_assets.pipelines.orders_etl.pipeline import pipeline as orders
    from ingestion_assets.plan import asset_plan

    engine, form = MEASURED[name]
    planned = asset_plan(orders, order_lines) if form == "json" else asset_plan(sales, checked_sales)
    plan = replace(planned, engine=engine)
    source = (order_file if form == "json" else sales_file)(LARGE_MB).resolve()
    small = source.with_name(f"small-{source.name}")
    small.write_bytes(source.read_bytes()[: int(SMALL_MB * 1e6)].rpartition(b"\n")[0] + b"\n")
    # Spark takes absolute paths only.
    out = FOLDER.resolve() / f"out-{name}"

    def cost(file: Path) -> tuple[float, float]:
        started, before = time.perf_counter(), cpu_seconds()
        step(
            {plan.inputs[0].name: [InputFile(str(file), str(file))]},
            destination=f"{out}/rows",
            quarantine=f"{out}/quarantine",
            stem="20250117T000000Z-speed",
        )
        took = cpu_seconds() - before, time.perf_counter() - started
        shutil.rmtree(out, ignore_errors=True)
        return took

    started, before = time.perf_counter(), cpu_seconds()
    with open_steps(plan, Limits(600 * 1024**2, 2, f"{out}-spill")) as step:
        cost(small)
        first, waited = cpu_seconds() - before, time.perf_counter() - started
        files = sorted(cost(small) for _ in range(RUNS))[RUNS // 2]
        large = sorted(cost(source) for _ in range(RUNS))[RUNS // 2]
    megabytes = source.stat().st_size / 1e6 - SMALL_MB
    return {
        "first_file_cpu_seconds": round(first, 2),
        "first_file_seconds": round(waited, 2),
        "cpu_seconds_per_file": round(files[0], 2),
        "seconds_per_file": round(files[1], 2),
        "mb_per_cpu_second": round(megabytes / max(large[0] - files[0], 1e-9), 1),
        "mb_per_second": round(megabytes / max(large[1] - files[1], 1e-9), 1),
    }


def main() -> None:
    """Measure all, or the one that is named, and add them to the results."""
    parser = argparse.ArgumentParser(prog="bench.speeds", description=__doc__)
    parser.add_argument("--only", choices=list(MEASURED), help="measured in this process, printed as JSON")
    parser.add_argument("--dry", action="store_true", help="save nothing")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(one(arguments.only)))
        return
    found: dict[str, Any] = {}
    for name in MEASURED:
        command = [sys.executable, "-m", "bench.speeds", "--only", name]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        found[name] = json.loads(answer.stdout.splitlines()[-1])
        print(f"{name:12s} {found[name]}", flush=True)
    if not arguments.dry:
        from bench.report import RESULTS

        results = json.loads(RESULTS.read_text())
        results["speeds"] = found
        RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
