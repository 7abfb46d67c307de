"""A declared pipeline -> itself and the alternatives that a user could declare instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ingestion_assets.asset import ProcessorKind
from ingestion_assets.pipeline import Pipeline, S3Batches, S3Event, S3Queue, Trigger

#: Batches to compare: what small manifests cost, and what larger ones save.
BATCHES = (10, 200)
#: Workers that the console gives a new job. https://docs.aws.amazon.com/glue/latest/dg/add-job.html
CONSOLE_WORKERS = 10
KINDS: dict[ProcessorKind, str] = {"auto": "auto", "lambda": "Lambda", "glue_pyspark": "Glue"}


@dataclass(frozen=True)
class Scenario:
    """One way to declare the pipeline.

    Args:
        label: Processor and batching: `Glue, batches of 10`.
        pipeline: The declaration, changed.
        declared: Whether it is the user's own.
    """

    label: str
    pipeline: Pipeline
    declared: bool = False


def scenarios(pipeline: Pipeline) -> list[Scenario]:
    """Return the declared pipeline, then each alternative that differs from it."""
    found = [Scenario(_label(pipeline), pipeline, declared=True)]
    for trigger in (single(pipeline.trigger), *(batches(pipeline.trigger, files) for files in BATCHES)):
        found += [_scenario(pipeline, trigger, kind) for kind in KINDS]
    most = max(asset.processor.workers for asset in pipeline.assets)
    if most < CONSOLE_WORKERS:
        found.append(
            _scenario(pipeline, batches(pipeline.trigger, BATCHES[0]), "glue_pyspark", CONSOLE_WORKERS)
        )
    # What is declared by another name is not an alternative.
    seen: list[Pipeline] = []
    kept = []
    for scenario in found:
        if scenario.pipeline not in seen:
            seen.append(scenario.pipeline)
            kept.append(scenario)
    return kept


def single(trigger: Trigger) -> Trigger:
    """Return the trigger that gives each file an execution of its own."""
    return S3Queue(trigger.source, trigger.suffixes) if isinstance(trigger, S3Batches) else trigger


def batches(trigger: Trigger, files: int) -> S3Batches:
    """Return the trigger that gives so many files an execution."""
    if isinstance(trigger, S3Batches):
        return replace(trigger, files=files, max_bytes=None)
    return S3Batches(trigger.source, files=files, suffixes=trigger.suffixes)


def _scenario(
    pipeline: Pipeline, trigger: Trigger, kind: ProcessorKind, workers: int | None = None
) -> Scenario:
    assets = tuple(
        replace(
            asset,
            processor=replace(
                asset.processor,
                kind=kind,
                # An engine that is declared is meant for the place that is declared.
                engine=asset.processor.engine if kind == asset.processor.kind else None,
                workers=workers or asset.processor.workers,
            ),
        )
        for asset in pipeline.assets
    )
    changed = replace(pipeline, trigger=trigger, assets=assets)
    return Scenario(_label(changed), changed)


def _label(pipeline: Pipeline) -> str:
    kinds = dict.fromkeys(KINDS[asset.processor.kind] for asset in pipeline.assets)
    workers = max(asset.processor.workers for asset in pipeline.assets)
    parts = [" and ".join(kinds), _batching(pipeline.trigger)]
    if workers >= CONSOLE_WORKERS and "Lambda" not in kinds:
        parts.append(f"{workers} workers")
    return ", ".join(parts)


def _batching(trigger: Trigger) -> str:
    match trigger:
        case S3Batches(files=files, max_bytes=None):
            return f"batches of {files:,}"
        case S3Batches(files=files, max_bytes=most):
            return f"batches of {files:,} or {most:,} bytes"
        case S3Queue():
            return "a file each"
        case S3Event():
            return "a file each, EventBridge"
