"""What no declaration tells: speeds, overheads and sizes -> `Assumptions`, each one changeable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any


def _stated(value: float, unit: str, says: str, *, zero: bool = True) -> Any:
    """Return a field with its meaning; `zero` says whether nothing is a possible amount."""
    return field(default=value, metadata={"unit": unit, "says": says, "zero": zero})


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Figures that the estimate stands on; `asl cost --assume NAME=VALUE` changes one.

    Speeds and times are those of `python -m bench.speeds` for the slower engine, rounded down; of a function
    half, as a vCPU of AWS is a hardware thread (docs/performance.md). Where a function runs, S3 requests
    are counted by tests/aws_runtime/handlers/test_s3_calls.py.
    """

    lambda_mb_per_vcpu_second: float = _stated(
        15, "MB", "source bytes that a function reads, checks and writes in a second of one vCPU", zero=False
    )
    lambda_seconds_per_file: float = _stated(
        0.3, "s", "a function's fixed time for each file: calls to S3, and the engine's passes"
    )
    lambda_seconds_per_run: float = _stated(0.3, "s", "of each invocation; a share of cold starts among it")
    glue_mb_per_core_second: float = _stated(
        2, "MB", "source bytes that Spark reads, checks and writes in a second of one core", zero=False
    )
    glue_seconds_per_file: float = _stated(5, "s", "Spark's fixed time for each file: its jobs and commits")
    glue_files_at_once: float = _stated(
        4, "files", "of a batch, that a Glue job works on at the same time", zero=False
    )
    glue_seconds_per_run: float = _stated(
        40, "s", "from the script's start to its first file; what comes before is free"
    )
    files_per_marker: float = _stated(
        20, "files", "of a delivery, whose marker starts one run of a curated pipeline", zero=False
    )
    curation_seconds_per_run: float = _stated(
        3, "s", "of a curated pipeline's functions around its transform, together"
    )
    curation_seconds_per_file: float = _stated(
        0.1, "s", "of the same functions: a file's calls, many at once"
    )
    curation_s3_writes_per_file: float = _stated(
        4, "requests", "of the same functions: whose it is, staged, published, noted"
    )
    curation_s3_reads_per_file: float = _stated(
        6, "requests", "of the same functions: footers and checks of copies"
    )
    door_seconds: float = _stated(0.4, "s", "of the function at the front door, for up to ten messages")
    s3_writes_per_file: float = _stated(
        2, "requests", "of each asset: Parquet of one partition, and which version is out"
    )
    s3_reads_per_file: float = _stated(2, "requests", "of each asset: the file, and which version is out")
    s3_writes_per_run: float = _stated(2, "requests", "of each asset: its run record and its list of files")
    spark_s3_writes_per_file: float = _stated(
        6, "requests", "more where Spark runs: listings, and moves that are copies"
    )
    spark_s3_reads_per_file: float = _stated(8, "requests", "more where Spark runs: a read for each pass")
    log_bytes_per_event: float = _stated(450, "B", "of an execution's log, which has no data in it")
    log_bytes_per_invocation: float = _stated(1500, "B", "of a function's log")
    log_bytes_per_job: float = _stated(30_000, "B", "of a Glue job's log")


class UnknownAssumptionError(ValueError):
    """A text that changes no assumption, with what would."""


def changed(given: Sequence[str]) -> Assumptions:
    """Return the assumptions with `NAME=VALUE` texts applied.

    Raises:
        UnknownAssumptionError: There is no such name, or the value is not a possible amount.
    """
    known = {each.name: each.metadata for each in fields(Assumptions)}
    values: dict[str, float] = {}
    for text in given:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in known:
            raise UnknownAssumptionError(
                f"there is no {name!r} to assume; there are {', '.join(sorted(known))}"
            )
        least = "of at least" if known[name]["zero"] else "above"
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf") or (number == 0 and not known[name]["zero"]):
            raise UnknownAssumptionError(f"{name} needs a number {least} zero, not {value!r}")
        values[name] = number
    return replace(Assumptions(), **values)


def stated(assumptions: Assumptions) -> list[dict[str, Any]]:
    """Return every assumption with its value, unit and meaning."""
    return [
        {
            "name": each.name,
            "value": getattr(assumptions, each.name),
            "unit": each.metadata["unit"],
            "says": each.metadata["says"],
        }
        for each in fields(assumptions)
    ]
