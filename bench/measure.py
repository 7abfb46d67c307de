"""One contender in a process of its own -> seconds, CPU seconds, peak memory, rows."""

# ruff: noqa: PLC0415 - boto3 is imported only for the contender that needs S3
from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

FOLDER = Path("build/bench")
BENCH_PYTHON = ".venv-bench/bin/python"
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class Contender:
    """A function of a case's module of contenders.

    Args:
        name: The function.
        label: What it is, for people.
        python: The interpreter that has its libraries.
        once: Too slow to be run more than once.
        over_s3: Reads and writes S3 (moto), as it knows nothing else.
        memory: Multiples of the source that must be free for it; 0 for those that stream.
        judges: Sets bad rows aside, judging the file as a whole; all that do must agree on them.
    """

    name: str
    label: str
    python: str = sys.executable
    once: bool = False
    over_s3: bool = False
    memory: float = 0
    judges: bool = False


@dataclass(frozen=True)
class Run:
    """One run: wall seconds, CPU seconds, peak MB (2^20 bytes), rows, and rows set aside."""

    seconds: float
    cpu_seconds: float
    peak_mb: int
    rows: int
    bad: int = 0


def measured(module: str, contender: Contender, source: Path, environment: dict[str, str]) -> Run:
    """Run `contender` of `module` over `source` and remove what it wrote."""
    out = FOLDER / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with _local_s3(source) if contender.over_s3 else nullcontext({}) as s3:
        given = f"s3://bench/{source.name}" if contender.over_s3 else str(source)
        command = [contender.python, "-m", "bench.contend", module, contender.name, given, str(out)]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environment, **s3})
        printed = process.stdout.read()
        # wait4, not wait: its rusage is of this child alone.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    shutil.rmtree(out, ignore_errors=True)
    if process.returncode:
        raise SystemExit(f"{contender.name} failed with exit code {process.returncode}")
    counted = json.loads(printed.splitlines()[-1])
    cpu = usage.ru_utime + usage.ru_stime
    return Run(round(seconds, 2), round(cpu, 2), usage.ru_maxrss // 1024, **counted)


def medians(runs: Sequence[Run]) -> dict[str, float]:
    """Return the median of each figure."""
    names = ("seconds", "cpu_seconds", "peak_mb", "rows", "bad")
    return {name: statistics.median(getattr(one, name) for one in runs) for name in names}


def import_milliseconds(runs: int, module: str) -> float:
    """Milliseconds to import `module` in a fresh process, less those of an empty one."""

    def took(code: str) -> float:
        started = time.perf_counter()
        environment = {**os.environ, "POWERTOOLS_SERVICE_NAME": "bench"}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        return (time.perf_counter() - started) * 1000

    pairs = [(took(f"import {module}"), took("pass")) for _ in range(runs)]
    return round(statistics.median(full - empty for full, empty in pairs))


def free_bytes() -> int:
    """Return the memory that is available."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def repeated(path: Path, times: int) -> Path:
    """Return the lines of `path` `times` over, as one file."""
    target = path.with_name(f"{path.stem}-x{times}{path.suffix}")
    if not target.exists():
        part = target.with_suffix(".part")
        with part.open("wb") as whole:
            for _ in range(times):
                with path.open("rb") as once:
                    shutil.copyfileobj(once, whole, 16 * 1024 * 1024)
        part.rename(target)
    return target


@contextmanager
def _local_s3(source: Path) -> Iterator[dict[str, str]]:
    """A moto server with `source` in it."""
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    endpoint = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
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
        client.upload_file(str(source), "bench", source.name)
        yield {**KEYS, "AWS_ENDPOINT_URL": endpoint}
    finally:
        server.terminate()
        server.wait()
