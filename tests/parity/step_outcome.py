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
from ingestion_assets.engines import known_engines

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
        # The same Parquet type, whatever Arrow type its writer remembers beside it.
        schemas.add(str([(f.name, str(f.type).replace("large_", "")) for f in table.schema]))
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


def engines(plan: AssetPlan) -> list[str]:
    """Every engine that reads the plan's formats and its contracts' types, the reference first."""
    contracts = [plan.output.contract, *(given.contract for given in plan.inputs)]
    nested = any(c.type.item is not None or c.type.fields for contract in contracts for c in contract.columns)
    formats = {given.format.name for given in plan.inputs}
    able = [e for e in known_engines() if formats <= e.formats and (e.nested or not nested)]
    # Spark is what all others are held against.
    return [e.name for e in sorted(able, key=lambda e: (e.name != "spark", e.name))]


def assert_equal(plan: AssetPlan, inputs: dict[str, list[InputFile]], folder: Path) -> Outcome:
    """Run the step on every engine that can; all leave the same."""
    first, *others = engines(plan)
    assert others, f"only {first} reads {[given.format.name for given in plan.inputs]}"
    expected = outcome(plan, first, inputs, folder)
    for name in others:
        found = outcome(plan, name, inputs, folder)
        for field in dataclasses.fields(Outcome):
            here, there = getattr(found, field.name), getattr(expected, field.name)
            assert here == there, f"{field.name}: {_difference(name, here, first, there)}"
    return expected


def _difference(name: str, here: Any, other: str, there: Any) -> str:
    """The first few lines that only one engine has."""
    if not isinstance(here, (tuple, frozenset)) or not all(isinstance(one, str) for one in here):
        return f"{name}: {here}\nis not {other}: {there}"
    only = [f"{name:7} {one}" for one in here if one not in there][:4]
    return "\n".join(["", *only, *[f"{other:7} {one}" for one in there if one not in here][:4]])
