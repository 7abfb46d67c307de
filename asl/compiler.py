"""The whole compiler in one function: pipelines in, a `Build` out.

    check -> lower (with its passes) -> spell machines -> bundle -> provision -> emit the template

Pure and offline: nothing is read but declarations and source files, nothing is written, no clock
and no account is asked. `export` writes a build to a folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from asl import declarations
from asl.compiled import ON_GLUE, ON_GLUE_SQL, CompiledAsset, CompiledPipeline, CompiledStep
from asl.declared_completed import unknown_upstreams
from asl.declared_curation import check_against
from asl.emit import cloudformation
from asl.emit import export as exporting
from asl.emit.budget import budget
from asl.emit.bundle import bundle
from asl.emit.curation_bundle import TRANSFORM_REQUIREMENTS, curation_steps
from asl.emit.layer import LAMBDA_BASE, pins
from asl.emit.state_machine import definition
from asl.integrations import machine_permissions
from asl.ir import App, Diagnostic
from asl.lower import lower_pipeline
from asl.provision import provision
from asl.variants import is_function, runner_id, variants
from aws_runtime.engines import load_engine
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.curation_plan import declared_of
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.plan import asset_plan


@dataclass(frozen=True)
class Build:
    """Everything that one stack deploys, in memory.

    Args:
        app: Pipelines, machines and resources.
        compiled: Each pipeline with its definition and bundles.
        template: CloudFormation's.
        budget: Size, history, payload and cost of each machine.
        diagnostics: Warnings.
    """

    app: App
    compiled: tuple[CompiledPipeline, ...]
    template: dict[str, Any]
    budget: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...]


def compile_pipelines(pipelines: Sequence[Pipeline]) -> Build:
    """Compile pipelines into one stack.

    Args:
        pipelines: In any order; the result is by name.

    Raises:
        CompileError: The first thing that is wrong with a declaration, or does not fit AWS's limits.
    """
    ordered = tuple(sorted(pipelines, key=lambda pipeline: pipeline.name))
    if not ordered:
        raise CompileError(
            "ASL004", Where(".", 1), "there is nothing to compile", "Declare a pipeline, or name one"
        )
    declarations.check(ordered)
    compiled = tuple(_pipeline(pipeline) for pipeline in ordered)
    provisioned = provision(compiled)
    template = cloudformation.template(provisioned.resources, provisioned.outputs, ordered[0].where)
    machines = tuple(each.machine for each in compiled)
    return Build(
        app=App(pipelines=ordered, machines=machines, resources=provisioned.resources),
        compiled=compiled,
        template=template,
        budget={each.pipeline.name: each.budget.to_json() for each in compiled},
        diagnostics=(
            *unknown_upstreams(ordered),
            *(found for machine in machines for found in machine.diagnostics),
        ),
    )


def export(build: Build, out: Path) -> dict[str, Any]:
    """Write `build` to the folder `out` and return its manifest.

    Raises:
        CompileError: ASL301, when `out` cannot be an export's folder.
    """
    made = exporting.files(build.compiled, build.template, build.budget)
    listed = exporting.manifest(build.compiled, made)
    exporting.write(made, listed, out)
    return listed


def _pipeline(pipeline: Pipeline) -> CompiledPipeline:
    machine = lower_pipeline(pipeline)
    spelled = definition(machine)
    return CompiledPipeline(
        pipeline=pipeline,
        machine=machine,
        definition=spelled.definition,
        substitutions=spelled.substitutions,
        budget=budget(pipeline, machine, spelled.definition),
        permissions=machine_permissions(machine),
        assets=tuple(item for asset in pipeline.assets for item in _named(pipeline, asset)),
        steps=_steps(pipeline) if pipeline.curation else (),
    )


def _steps(pipeline: Pipeline) -> tuple[CompiledStep, ...]:
    check_against(pipeline, declared_of(pipeline))
    return curation_steps(pipeline)


def _named(pipeline: Pipeline, asset: IngestionAsset) -> tuple[CompiledAsset, ...]:
    """Compile an asset; what is raised below, where a declaration stands alone, gets the pipeline's name."""
    try:
        suffixes = ("", ON_GLUE, ON_GLUE_SQL)
        return tuple(
            _asset(pipeline, asset, variant, suffix)
            for variant, suffix in zip(variants(asset), suffixes, strict=False)
        )
    except CompileError as error:
        if error.where.pipeline is not None:
            raise
        where = replace(error.where, pipeline=pipeline.name, asset=error.where.asset or asset.name)
        raise CompileError(error.code, where, error.what, error.hint) from None


def _asset(pipeline: Pipeline, asset: IngestionAsset, variant: IngestionAsset, suffix: str) -> CompiledAsset:
    plan = asset_plan(pipeline, variant)
    curated = pipeline.curation is not None
    delta = pipeline.curation is not None and pipeline.curation.delta
    shipped = bundle(variant, plan, suffix, curated=curated, delta=delta)
    runner = runner_id(pipeline.name, variant, asset)
    requirements = load_engine(plan.engine).CAPABILITIES.requirements
    requirements = (*requirements, *(TRANSFORM_REQUIREMENTS if curated else ()))
    if is_function(variant):
        layer = f"{plan.engine}_curation" if curated else plan.engine
        found = pins(layer, (*LAMBDA_BASE, *requirements), asset.where)
        return CompiledAsset(variant, runner, plan, shipped, None, None, found, (), suffix)
    script = shipped.files["aws_runtime/glue/materialize.py"]
    modules = pins(plan.engine, requirements, asset.where)
    return CompiledAsset(
        asset=variant,
        runner=runner,
        plan=plan,
        bundle=shipped,
        plan_key=f"plans/{shipped.name}-{_digest(shipped.files['plan.json'])}.json",
        script_key=f"glue/materialize-{_digest(script)}.py",
        pins=None,
        modules=modules.lines,
        suffix=suffix,
    )


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]
