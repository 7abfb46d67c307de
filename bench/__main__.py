"""`python -m bench`: contenders side by side -> a table and `bench/results.json`."""

# ruff: noqa: PLC0415 - what only some contenders need is imported for them
from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench.data import FOLDER, order_file, repeated

BENCH_PYTHON = Path(".venv-bench/bin/python")
GOALS = {"times_floor": 1.5, "faster_than_pandas": 8.0, "peak_mb": 512, "cold_start_ms": 400}


@dataclass(frozen=True)
class Contender:
    """What runs, under which Python, and whether it is too slow to be run more than once."""

    name: str
    label: str
    python: str = sys.executable
    once: bool = False


CONTENDERS = (
    Contender("ours", "ours: contract, quarantine, partitioned Parquet"),
    Contender("duckdb_copy", "DuckDB COPY, no contract (the floor)"),
    Contender("duckdb_copy_tuned", "DuckDB COPY, no contract, flushed early as ours"),
    Contender("polars_streaming", "Polars streaming, no contract"),
    Contender("pandas_chunks", "pandas + pyarrow in chunks, no contract", str(BENCH_PYTHON), once=True),
    Contender(
        "awswrangler_chunks", "awswrangler in chunks over S3, no contract", str(BENCH_PYTHON), once=True
    ),
)


@dataclass(frozen=True)
class Run:
    """One run: wall seconds, CPU seconds, peak MB (2^20 bytes) and rows."""

    seconds: float
    cpu_seconds: float
    peak_mb: int
    rows: int


def run(contender: Contender, source: str, environment: dict[str, str]) -> Run:
    out = FOLDER / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command = [contender.python, "-m", "bench.contenders", contender.name, source, str(out)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environment})
    printed = process.stdout.read()
    # wait4, not wait: its rusage is of this child alone.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    shutil.rmtree(out, ignore_errors=True)
    if process.returncode:
        raise SystemExit(f"{contender.name} failed with exit code {process.returncode}")
    rows = json.loads(printed.splitlines()[-1])["rows"]
    cpu = usage.ru_utime + usage.ru_stime
    return Run(round(seconds, 2), round(cpu, 2), usage.ru_maxrss // 1024, rows)


@contextmanager
def local_s3(source: Path) -> Iterator[dict[str, str]]:
    """A moto server with `source` in it, for the contender that knows only S3."""
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])",
    ]
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urlopen(f"{endpoint}/moto-api/").close()
                break
            except URLError:
                time.sleep(0.1)
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="bench",
            aws_secret_access_key="bench",
        )
        client.create_bucket(Bucket="bench")
        client.upload_file(str(source), "bench", "orders.ndjson")
        yield {**keys, "AWS_ENDPOINT_URL": endpoint}
    finally:
        server.terminate()
        server.wait()


def write_plan() -> Path:
    from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
    from ingestion_assets.plan import asset_plan

    path = FOLDER / "plan.json"
    path.write_text(json.dumps(asset_plan(pipeline, order_lines).to_json()))
    return path


def median(runs: list[Run]) -> dict[str, float]:
    names = ("seconds", "cpu_seconds", "peak_mb", "rows")
    return {name: statistics.median(getattr(one, name) for one in runs) for name in names}


def cold_start(runs: int) -> float:
    """Milliseconds to import the Lambda handler in a fresh process, less those of an empty one."""

    def took(code: str) -> float:
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code], check=True, env={**os.environ, "POWERTOOLS_SERVICE_NAME": "bench"}
        )
        return (time.perf_counter() - started) * 1000

    pairs = [(took("import aws_runtime.handlers.materialize"), took("pass")) for _ in range(runs)]
    return round(statistics.median(full - empty for full, empty in pairs))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="MB of nested NDJSON (default 1000)")
    parser.add_argument(
        "--runs", type=int, default=3, help="runs of each; the slow ones run once (default 3)"
    )
    parser.add_argument(
        "--only", nargs="*", choices=[c.name for c in CONTENDERS], help="these alone; writes no result"
    )
    parser.add_argument(
        "--times", type=int, default=4, help="size of the memory run, in multiples (default 4)"
    )
    arguments = parser.parse_args()
    source = order_file(arguments.size)
    environment = {"BENCH_PLAN": str(write_plan())}
    chosen = [c for c in CONTENDERS if not arguments.only or c.name in arguments.only]
    runs: dict[str, list[Run]] = {contender.name: [] for contender in chosen}
    for number in range(arguments.runs):
        # Round robin, so that a busy moment of the machine falls on all alike.
        for contender in chosen:
            if contender.once and number:
                continue
            if contender.name == "awswrangler_chunks":
                with local_s3(source) as s3:
                    one = run(contender, "s3://bench/orders.ndjson", {**environment, **s3})
            else:
                one = run(contender, str(source), environment)
            runs[contender.name].append(one)
            print(
                f"{contender.name:20s} {one.seconds:8.1f} s {one.cpu_seconds:8.1f} s CPU {one.peak_mb:6d} MB",
                flush=True,
            )
    if len({one.rows for each in runs.values() for one in each}) != 1:
        raise SystemExit(
            f"contenders disagree on the number of rows: { {k: v[0].rows for k, v in runs.items()} }"
        )
    if not arguments.only:
        report(arguments, source, chosen, runs, environment)


def report(arguments, source: Path, chosen, runs, environment) -> None:
    large = run(CONTENDERS[0], str(repeated(source, arguments.times)), environment)
    medians = {name: median(each) for name, each in runs.items()}
    results = {
        "input_bytes": source.stat().st_size,
        "rows": medians["ours"]["rows"],
        "medians": medians,
        "runs": {name: [asdict(one) for one in each] for name, each in runs.items()},
        "ours_times_larger": {"times": arguments.times, **asdict(large)},
        "times_floor": round(medians["ours"]["seconds"] / medians["duckdb_copy"]["seconds"], 2),
        "times_tuned_floor": round(medians["ours"]["seconds"] / medians["duckdb_copy_tuned"]["seconds"], 2),
        "faster_than_pandas": round(medians["pandas_chunks"]["seconds"] / medians["ours"]["seconds"], 1),
        "cold_start_ms": cold_start(5),
        "goals": GOALS,
        "machine": {
            "cores": os.cpu_count(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in ("duckdb", "narwhals", "polars")},
        "bench_versions": Path("bench/constraints.txt").read_text().split(),
    }
    Path("bench/results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"\n{'':50s} {'seconds':>8s} {'CPU s':>8s} {'peak MB':>8s}")
    for contender in chosen:
        one = medians[contender.name]
        print(f"{contender.label:50s} {one['seconds']:8.1f} {one['cpu_seconds']:8.1f} {one['peak_mb']:8.0f}")
    print(
        f"{f'ours, {arguments.times} times the size':50s} {large.seconds:8.1f} {large.cpu_seconds:8.1f} {large.peak_mb:8d}"
    )
    print(f"\nours / floor: {results['times_floor']} (goal: at most {GOALS['times_floor']})")
    print(f"pandas / ours: {results['faster_than_pandas']} (goal: at least {GOALS['faster_than_pandas']})")
    print(f"handler import: {results['cold_start_ms']} ms (goal: at most {GOALS['cold_start_ms']})")


if __name__ == "__main__":
    main()
