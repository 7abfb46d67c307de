"""One asset's step, the same in Dagster, Lambda and Glue: read, check, transform, check, write.

In: a plan and the files of its inputs. Out: Parquet files, quarantine files and a ledger in
which rows in = rows out + rows quarantined, or an error.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw

from aws_runtime.engines import (
    Engine,
    InputFile,
    Limits,
    ReadAgain,
    Written,
    WrittenFile,
    load_engine,
)
from aws_runtime.errors import RowsNotConserved
from aws_runtime.plan import AssetPlan

Transform = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did.

    Args:
        records_in: Records read from each source, by input name.
        rows_in: Rows judged: those of the transform's result, plus records that were quarantined
            before the transform saw them.
        rows_out: Rows written.
        rows_quarantined: Rows and records in quarantine; rows_in = rows_out + rows_quarantined.
        files: Parquet files written.
        quarantine: Quarantine files written.
        violations: Rows that broke each rule, by `stage.rule`; a row may break several.
    """

    records_in: Mapping[str, int]
    rows_in: int
    rows_out: int
    rows_quarantined: int
    files: tuple[WrittenFile, ...]
    quarantine: tuple[WrittenFile, ...]
    violations: Mapping[str, int] = field(default_factory=dict)


def load_transform(path: str) -> Transform:
    """Import `module:function`."""
    module, _, function = path.partition(":")
    transform: Transform = getattr(importlib.import_module(module), function)
    return transform


def run_step(
    plan: AssetPlan,
    inputs: Mapping[str, Sequence[InputFile]],
    *,
    destination: str,
    quarantine: str,
    stem: str,
    limits: Limits,
) -> StepResult:
    """Run the step of `plan` over `inputs`, the files of each of its inputs by name.

    Args:
        plan: The asset.
        inputs: Files by input name.
        destination: Folder (or `s3://` prefix on Spark) of the Parquet files.
        quarantine: Folder (or `s3://` prefix) of the quarantine files.
        stem: Name of every file written; derive it from the inputs' identity, so that a retry
            overwrites its own files.
        limits: Memory, threads and spill folder.

    Raises:
        RejectedFile: An input cannot be ingested at all.
        RowsNotConserved: Rows were lost or doubled.
    """
    with load_engine(plan.engine).open_engine(limits) as engine:
        try:
            written = _run(engine, plan, inputs, destination=destination, quarantine=quarantine, stem=stem)
        except ReadAgain:
            written = _run(engine, plan, inputs, destination=destination, quarantine=quarantine, stem=stem)
    transformed = written.rows_in[plan.asset]
    accounted = written.rows_out + written.rows_quarantined.get(plan.asset, 0)
    if transformed != accounted:
        raise RowsNotConserved(
            f"{plan.pipeline}/{plan.asset}: {transformed} rows in, {accounted} accounted for"
        )
    refused = sum(written.rows_quarantined.get(given.name, 0) for given in plan.inputs)
    return StepResult(
        records_in={given.name: written.rows_in[given.name] for given in plan.inputs},
        rows_in=transformed + refused,
        rows_out=written.rows_out,
        rows_quarantined=written.rows_quarantined.get(plan.asset, 0) + refused,
        files=written.files,
        quarantine=written.quarantine,
        violations=written.violations,
    )


def _run(
    engine: Engine,
    plan: AssetPlan,
    inputs: Mapping[str, Sequence[InputFile]],
    *,
    destination: str,
    quarantine: str,
    stem: str,
) -> Written:
    transform = load_transform(plan.transform)
    checked = {
        given.name: engine.check(
            engine.read(inputs[given.name], given.format, given.contract), given.contract, given.name
        )
        for given in plan.inputs
    }
    frames = {name: nw.from_native(stage.valid).lazy() for name, stage in checked.items()}
    result = nw.to_native(transform(**frames))
    checked[plan.asset] = engine.check(result, plan.output.contract, plan.asset)
    return engine.write(
        checked=checked,
        output_stage=plan.asset,
        contract=plan.output.contract,
        partition_by=plan.output.partition_by,
        compression=plan.output.compression,
        destination=destination,
        quarantine=quarantine,
        stem=stem,
    )
