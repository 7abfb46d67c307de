"""Pipelines between the stages: what is compiled of each, before resources are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asl.emit.budget import Budget
from asl.emit.bundle import Bundle
from asl.emit.layer import Pins
from asl.ir import Machine, Permission
from aws_runtime.plan import AssetPlan
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.pipeline import Pipeline

#: Tells the files of a Glue variant from those of the function beside it, and those of the query's job.
ON_GLUE, ON_GLUE_SQL = "-glue", "-glue-sql"


@dataclass(frozen=True)
class CompiledStep:
    """One of a curated pipeline's functions around its transform.

    Args:
        name: `validate`, `check` or `load`.
        handler: Module of `aws_runtime.handlers`.
        bundle: Its zip.
        pins: Its layer.
    """

    name: str
    handler: str
    bundle: Bundle
    pins: Pins


@dataclass(frozen=True)
class CompiledAsset:
    """One asset, on one processor, with what ships for it.

    Args:
        asset: The declaration, its processor a function or a job.
        runner: Logical id of that function or job.
        plan: Its plan.
        bundle: Its zip.
        plan_key: S3 key of the plan that a Glue job reads; None for a function, whose zip holds it.
        script_key: S3 key of the Glue script; None for a function.
        pins: Its function's layer; None for a Glue job.
        modules: `name==version` of what a Glue job installs.
        suffix: Of the names of its files, where the asset has another processor too.
    """

    asset: IngestionAsset
    runner: str
    plan: AssetPlan
    bundle: Bundle
    plan_key: str | None
    script_key: str | None
    pins: Pins | None
    modules: tuple[str, ...]
    suffix: str = ""


@dataclass(frozen=True)
class CompiledPipeline:
    """One pipeline, its machine in Amazon States Language, and its assets.

    Args:
        pipeline: The declaration.
        machine: Its state machine.
        definition: The machine's JSON, with `${Name}` placeholders.
        substitutions: Template text by placeholder.
        budget: What the machine needs of AWS's limits, and what it costs.
        permissions: What the machine's states call.
        assets: In the order of the declaration; one whose processor is decided at run time comes once for
            each that it may be.
        steps: Of a curated pipeline only.
    """

    pipeline: Pipeline
    machine: Machine
    definition: Mapping[str, Any]
    substitutions: Mapping[str, str]
    budget: Budget
    permissions: tuple[Permission, ...]
    assets: tuple[CompiledAsset, ...]
    steps: tuple[CompiledStep, ...] = ()

    @property
    def pins(self) -> tuple[Pins, ...]:
        """The layers of its functions."""
        return (*(item.pins for item in self.assets if item.pins), *(step.pins for step in self.steps))
