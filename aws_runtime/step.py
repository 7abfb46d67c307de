"""One asset's step, the same in Dagster, Lambda and Glue: read, check, transform, check, write.

In: a plan and the files of its inputs. Out: Parquet files, quarantine files and a ledger in
which rows in = rows out + rows quarantined, or an error.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Protocol

import narwhals as nw

from aws_runtime.engines import (
    Engine,
    InputFile,
    Limits,
    ReadAgain,
    Written,
    WrittenFile,
    load_engine,
    open_session,
)
from aws_runtime.errors import RejectedFile, RowsNotConserved, TransformError
from aws_runtime.plan import AssetPlan

Transform = Callable[..., Any]
#: What is done to the rows of the only input before the transform.
Before = Callable[[nw.LazyFrame[Any]], nw.LazyFrame[Any]]


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
        met: Of rows that met those of the table: `rows_existing`, `rows_merged`, `rows_staged` and
            `existing` (docs/curation.md); `files` then hold more than the run's own rows.
    """

    records_in: Mapping[str, int]
    rows_in: int
    rows_out: int
    rows_quarantined: int
    files: tuple[WrittenFile, ...]
    quarantine: tuple[WrittenFile, ...]
    violations: Mapping[str, int] = field(default_factory=dict)
    met: Mapping[str, Any] = field(default_factory=dict)


#: Makes of a step's files others, which hold the rows of the table too.
Meet = Callable[[Engine, StepResult], StepResult]


class RunStep(Protocol):
    """Runs the step of one plan over one set of files; the arguments are those of `run_step`."""

    def __call__(
        self,
        inputs: Mapping[str, Sequence[InputFile]],
        *,
        destination: str,
        quarantine: str,
        stem: str,
        meet: Meet | None = None,
    ) -> StepResult:
        """Run it, then `meet` on the same engine, opened anew."""


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
    before: Before | None = None,
    meet: Meet | None = None,
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
        before: Done to the rows of the only input before the transform.
        meet: Done to the files that the step has written (`aws_runtime.curation.merging`).

    Raises:
        RejectedFile: An input cannot be ingested at all.
        RowsNotConserved: Rows were lost or doubled.
        TransformError: The transform raises, or its result is not what the contract needs.
    """
    with open_steps(plan, limits, before) as run:
        return run(inputs, destination=destination, quarantine=quarantine, stem=stem, meet=meet)


@contextmanager
def open_steps(plan: AssetPlan, limits: Limits, before: Before | None = None) -> Iterator[RunStep]:
    """Open the engine of `plan` for many steps, each over files of its own; else as `run_step`."""
    if before is not None and len(plan.inputs) != 1:
        raise ValueError(f"{plan.pipeline}/{plan.asset}: built-in steps take one input")
    with open_session(load_engine(plan.engine), limits) as session:

        def run(
            inputs: Mapping[str, Sequence[InputFile]],
            *,
            destination: str,
            quarantine: str,
            stem: str,
            meet: Meet | None = None,
        ) -> StepResult:
            _check_folders(plan, inputs)
            to = {"destination": destination, "quarantine": quarantine, "stem": stem}
            with session() as engine:
                try:
                    written = _run(engine, plan, inputs, before, **to)
                except ReadAgain:
                    written = _run(engine, plan, inputs, before, **to)
            result = _accounted(plan, written)
            if meet is None:
                return result
            with session() as engine:
                return meet(engine, result)

        yield run


def _accounted(plan: AssetPlan, written: Written) -> StepResult:
    """Check that no row was lost or doubled."""
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


def _check_folders(plan: AssetPlan, inputs: Mapping[str, Sequence[InputFile]]) -> None:
    """Refuse values of folders that the engine would leave out of the rows."""
    for given in plan.inputs:
        if not any(file.partition for file in inputs[given.name]):
            continue
        if given.format.name != "parquet" or not load_engine(plan.engine).CAPABILITIES.folder_columns:
            raise ValueError(
                f"{plan.pipeline}/{plan.asset}: {plan.engine} makes no columns of the folders of "
                f"{given.format.name} files ({given.name})"
            )


def _queried(engine: Engine, plan: AssetPlan, frames: Mapping[str, nw.LazyFrame[Any]]) -> Any:
    """Run the transform's query and return its result as the engine's own frame."""
    try:
        return engine.query(plan.sql, {name: nw.to_native(frame) for name, frame in frames.items()})
    except (ReadAgain, RejectedFile):
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise TransformError(
            f"{plan.pipeline}/{plan.asset}: the SQL of the transform cannot run on {plan.engine}: {said}"
        ) from error


def _transformed(engine: Engine, plan: AssetPlan, frames: Mapping[str, nw.LazyFrame[Any]]) -> Any:
    """Run the transform and return its result as the engine's own frame."""
    if plan.sql:
        return _queried(engine, plan, frames)
    name = f"{plan.pipeline}/{plan.asset}: {plan.transform}"
    transform = load_transform(plan.transform)
    try:
        result = transform(**frames)
    except (ReadAgain, RejectedFile):
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise TransformError(
            f"{name} raises{_line(error, transform)} {type(error).__name__}: {said}"
        ) from error
    if not isinstance(result, nw.LazyFrame):
        kind = f"{type(result).__module__}.{type(result).__qualname__}".removeprefix("builtins.")
        raise TransformError(f"{name} returns {kind}; return the Narwhals LazyFrame itself")
    return nw.to_native(result)


def _line(error: Exception, transform: Transform) -> str:
    """Return ` at transforms.py:9`, the innermost line of the transform's file that `error` passed."""
    file = getattr(getattr(transform, "__code__", None), "co_filename", None)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f" at {PurePath(str(file)).name}:{lines[-1]}:" if lines else ""


def _run(
    engine: Engine,
    plan: AssetPlan,
    inputs: Mapping[str, Sequence[InputFile]],
    before: Before | None,
    *,
    destination: str,
    quarantine: str,
    stem: str,
) -> Written:
    checked = {
        given.name: engine.check(
            engine.read(inputs[given.name], given.format, given.contract), given.contract, given.name
        )
        for given in plan.inputs
    }
    frames = {name: nw.from_native(stage.valid).lazy() for name, stage in checked.items()}
    if before is not None:
        frames = {name: before(frame) for name, frame in frames.items()}
    result = _transformed(engine, plan, frames)
    try:
        checked[plan.asset] = engine.check(result, plan.output.contract, plan.asset)
    except RejectedFile as error:
        if error.code != "MissingColumns":
            raise
        # The inputs have kept their contracts, so no file is to blame.
        raise TransformError(
            f"{plan.pipeline}/{plan.asset}: {plan.transform} returns too few columns: {error.reason}"
        ) from error
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
