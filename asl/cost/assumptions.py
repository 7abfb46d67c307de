"""What no declaration tells: speeds, overheads and sizes -> `Assumptions`, each one changeable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any


def _stated(value: float, unit: str, says: str) -> Any:
    return field(default=value, metadata={"unit": unit, "says": says})


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Figures that the estimate stands on; `asl cost --assume NAME=VALUE` changes one.

    Speeds are half of what this project's benchmark measures (docs/performance.md), because a vCPU of
    AWS is a hardware thread and the benchmark's are not. Whoever has measured their own says so.
    """

    lambda_mb_per_vcpu_second: float = _stated(
        18, "MB", "source bytes that a function reads, checks and writes in a second of one vCPU"
    )
    lambda_seconds_per_file: float = _stated(
        0.5, "s", "a function's fixed time for each file: S3 calls and the engine's passes"
    )
    lambda_seconds_per_run: float = _stated(
        0.3, "s", "of each invocation; start-up of a new sandbox among it"
    )
    glue_mb_per_core_second: float = _stated(
        7, "MB", "source bytes that Spark reads, checks and writes in a second of one core"
    )
    glue_seconds_per_file: float = _stated(
        4, "s", "Spark's fixed time for each file: its jobs and commits; as many files at a time as cores"
    )
    glue_seconds_per_run: float = _stated(
        40, "s", "from the script's start to the first job: session and modules; what comes before is free"
    )
    door_seconds: float = _stated(0.4, "s", "of the function at the front door, for up to ten messages")
    s3_writes_per_file: float = _stated(
        2, "requests", "of each asset: its Parquet file, and which version is out"
    )
    s3_reads_per_file: float = _stated(3, "requests", "of each asset: HEAD, GET, and which version is out")
    s3_writes_per_run: float = _stated(2, "requests", "of each asset: its run record and its list of files")
    spark_s3_writes_per_file: float = _stated(
        6, "requests", "more that Spark makes: listings, and commits that copy"
    )
    spark_s3_reads_per_file: float = _stated(8, "requests", "more that Spark makes: a read for each pass")
    log_bytes_per_event: float = _stated(450, "B", "of an execution's log, without data")
    log_bytes_per_invocation: float = _stated(1500, "B", "of a function's log")
    log_bytes_per_job: float = _stated(30_000, "B", "of a Glue job's log")


class UnknownAssumptionError(ValueError):
    """A text that changes no assumption, with what would."""


def changed(given: Sequence[str]) -> Assumptions:
    """Return the assumptions with `NAME=VALUE` texts applied.

    Raises:
        UnknownAssumptionError: There is no such name, or the value is no number above zero.
    """
    known = {each.name for each in fields(Assumptions)}
    values: dict[str, float] = {}
    for text in given:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in known:
            raise UnknownAssumptionError(
                f"there is no {name!r} to assume; there are {', '.join(sorted(known))}"
            )
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        speed = "_per_vcpu_second" in name or "_per_core_second" in name
        if not 0 <= number < float("inf") or (speed and number == 0):
            raise UnknownAssumptionError(
                f"{name} needs a number{' above' if speed else ' of at least'} zero, not {value!r}"
            )
        values[name] = number
    return replace(Assumptions(), **values)


def stated(assumptions: Assumptions) -> list[dict[str, Any]]:
    """Return every assumption with its value, unit and meaning."""
    return [
        {"name": each.name, "value": getattr(assumptions, each.name), **each.metadata}
        for each in fields(assumptions)
    ]
