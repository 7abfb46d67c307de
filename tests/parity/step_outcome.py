"""What a step leaves, in a form that compares between engines."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.plan import AssetPlan
from aws_runtime.step import StepResult, run_step

STEM = "20250117T101502Z-0123456789abcdef"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """All that a step leaves, in a form that compares."""

    rejected: str | None = None
    rows: tuple[str, ...] = ()
    schemas: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    quarantine: tuple[str, ...] = ()
    counts: tuple[Any, ...] = ()


def outcome(plan: AssetPlan, engine: str, inputs: dict[str, list[InputFile]], folder: Path) -> Outcome:
    try:
        result = run_step(
            dataclasses.replace(plan, engine=engine),
            inputs,
            destination=str(folder / engine / "out"),
            quarantine=str(folder / engine / "quarantine"),
            stem=STEM,
            limits=Limits(512 * 2**20, 2, str(folder / engine / "spill")),
        )
    except RejectedFile as error:
        return Outcome(rejected=f"{error.code}: {error.uri}")
    assert result.rows_in == result.rows_out + result.rows_quarantined
    return read_back(result, folder / engine / "out")


def read_back(result: StepResult, out: Path) -> Outcome:
    rows, schemas, quarantine = [], set(), []
    for file in result.files:
        table = pq.ParquetFile(file.path).read()
        assert table.num_rows == file.rows
        schemas.add(str([(f.name, str(f.type)) for f in table.schema]))
        rows += [repr((sorted(file.partition.items()), list(row.values()))) for row in table.to_pylist()]
    for file in result.quarantine:
        table = pq.ParquetFile(file.path).read()
        assert table.num_rows == file.rows
        for row in table.to_pylist():
            try:
                record = json.loads(row["record"])
            except (ValueError, RecursionError):  # kept as it came
                record = row["record"]
            quarantine.append(
                repr(
                    (
                        row["stage"],
                        row["source_uri"],
                        row["source_row"],
                        sorted(map(_same_notation, row["reasons"])),
                        record,
                    )
                )
            )
    return Outcome(
        rows=tuple(sorted(rows)),
        schemas=frozenset(schemas),
        names=tuple(sorted(Path(f.path).relative_to(out).as_posix() for f in result.files)),
        quarantine=tuple(sorted(quarantine)),
        counts=(
            dict(result.records_in),
            result.rows_in,
            result.rows_out,
            result.rows_quarantined,
            dict(sorted(result.violations.items())),
        ),
    )


def _same_notation(reason: str) -> str:
    """Spark writes 1.5E8 where DuckDB writes 150000000.0: one number, whatever the notation."""
    return re.sub(r"(?<![\w'])-?\d+\.\d+(?:[eE][+-]?\d+)?", lambda found: repr(float(found[0])), reason)


def assert_equal(plan: AssetPlan, inputs: dict[str, list[InputFile]], folder: Path) -> Outcome:
    small = outcome(plan, "duckdb", inputs, folder)
    large = outcome(plan, "spark", inputs, folder)
    for field in dataclasses.fields(Outcome):
        on_spark, on_duckdb = getattr(large, field.name), getattr(small, field.name)
        assert on_spark == on_duckdb, f"{field.name}: {_difference(on_spark, on_duckdb)}"
    return small


def _difference(on_spark: Any, on_duckdb: Any) -> str:
    """The first few lines that only one engine has."""
    if not isinstance(on_spark, (tuple, frozenset)) or not all(isinstance(one, str) for one in on_spark):
        return f"{on_spark}\nis not\n{on_duckdb}"
    lines = [f"spark  {one}" for one in on_spark if one not in on_duckdb][:4]
    return "\n".join(["", *lines, *[f"duckdb {one}" for one in on_duckdb if one not in on_spark][:4]])
