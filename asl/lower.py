"""Declarations -> IR: one state machine for each pipeline, after all passes.

In: a checked `Pipeline`. Out: a `Machine`. The file's identity is tracked, the assets run in the
order of their DAG, and then the run is announced and tracked; whatever fails leads to one failure
path. docs/state_machines.md draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asl import names
from asl.graph import CycleError, Layout, layout
from asl.ir import Diagnostic, Machine, State
from asl.lowering import curation, endings, tracking
from asl.lowering.assets import Known
from asl.lowering.branches import Names, Scope, sequence
from asl.passes import PASSES
from asl.where import at
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipeline import Pipeline


def lower(pipelines: Sequence[Pipeline]) -> tuple[Machine, ...]:
    """Lower every pipeline.

    Raises:
        CompileError: ASL100 for a cycle, ASL101 for an input that no event brings, ASL002 for an
            unknown input, ASL102 for a pipeline without assets.
    """
    return tuple(lower_pipeline(pipeline) for pipeline in pipelines)


def lower_pipeline(pipeline: Pipeline) -> Machine:
    """Lower one pipeline; raises as `lower` does."""
    states, warnings = _curated(pipeline) if pipeline.curation else _assets(pipeline)
    machine = Machine(
        name=pipeline.name,
        logical_id=names.machine_id(pipeline.name),
        states=states,
        timeout_seconds=pipeline.timeout_seconds,
        comment=pipeline.description,
        where=replace(pipeline.where, pipeline=pipeline.name),
        diagnostics=warnings,
    )
    for apply in PASSES:
        machine = apply(machine)
    return machine


def _curated(pipeline: Pipeline) -> tuple[tuple[State, ...], tuple[Diagnostic, ...]]:
    """Return the states of a machine that is configured at run time."""
    asset_layout(pipeline)
    return curation.states(pipeline), ()


def _assets(pipeline: Pipeline) -> tuple[tuple[State, ...], tuple[Diagnostic, ...]]:
    """Return the states of a machine that runs a DAG of assets, and its warnings."""
    planned = asset_layout(pipeline)
    assets = {asset.name: asset for asset in pipeline.assets}
    numbers = Names(pipeline, assets)
    # A batch's run is never rejected: its files are, one by one.
    scope = Scope(endings.REJECTED, top=True, asks=not tracking.is_batch(pipeline))
    made = sequence(numbers, planned.structure, Known({}), scope, endings.SUM_UP)
    states = (
        *tracking.beginning(pipeline, made.states[0].name),
        *made.states,
        *tracking.ending(pipeline, made.scope.runs()),
        *tracking.failing(pipeline),
    )
    return states, tuple(_warnings(pipeline, planned))


def asset_layout(pipeline: Pipeline) -> Layout:
    """Lay the DAG of a pipeline's assets out; raises as `lower` does."""
    if not pipeline.assets:
        raise CompileError(
            "ASL102",
            at(pipeline),
            "the pipeline has no assets, so there is nothing to run",
            "Add one to assets",
        )
    try:
        return layout(dependencies(pipeline))
    except CycleError as error:
        assets = {asset.name: asset for asset in pipeline.assets}
        named = [f"{name} ({_place(assets[name].where)})" for name in error.cycle]
        raise CompileError(
            "ASL100",
            at(pipeline, assets[error.cycle[0]]),
            f"assets need each other in a circle: {' -> '.join(named)}",
            "Take one of these inputs away",
        ) from None


def dependencies(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """Return for each asset, in the order of declaration, the assets that it reads.

    Raises:
        CompileError: ASL002, ASL101.
    """
    assets = {asset.name for asset in pipeline.assets}
    sources = {source.name for source in pipeline.sources}
    found: dict[str, tuple[str, ...]] = {}
    for asset in pipeline.assets:
        for name in asset.inputs.values():
            if name not in assets and name not in sources:
                raise CompileError(
                    "ASL002",
                    at(pipeline, asset),
                    f"input {name!r} is neither a source nor another asset of {pipeline.name}",
                    f"Known: {', '.join(sorted((assets | sources) - {asset.name}))}",
                )
            if name in sources and name != pipeline.trigger.source:
                raise CompileError(
                    "ASL101",
                    at(pipeline, asset),
                    f"input {name!r} is not the source that starts a run, so a run knows no file of it",
                    f"Read {pipeline.trigger.source!r}, or an asset, or give {name!r} a pipeline of its own",
                )
        found[asset.name] = tuple(name for name in asset.inputs.values() if name in assets)
    return found


def _warnings(pipeline: Pipeline, planned: Layout) -> list[Diagnostic]:
    assets = {asset.name: asset for asset in pipeline.assets}
    found = []
    for name, waits in planned.needless.items():
        more = f" and {waits.count - len(waits.names)} more" if waits.count > len(waits.names) else ""
        found.append(
            Diagnostic(
                "ASL110",
                at(pipeline, assets[name]),
                f"{name} waits for {', '.join(waits.names)}{more}, though it does not read them: "
                "a Parallel state joins all of its branches",
                "Accept the wait, or move assets to a pipeline of their own",
                severity="warning",
                doc="https://docs.aws.amazon.com/step-functions/latest/dg/state-parallel.html",
            )
        )
    return found


def _place(where: Where) -> str:
    return f"{where.file}:{where.line}"
