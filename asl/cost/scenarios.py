"""A declared pipeline -> itself and the alternatives that a user could declare instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ingestion_assets.asset import ProcessorKind
from ingestion_assets.curation import Curation
from ingestion_assets.pipeline import Pipeline, PipelineCompleted, S3Batches, S3Event, S3Queue, Trigger

#: Batches to compare: what small manifests cost, and what larger ones save.
BATCHES = (10, 200)
#: Workers that the console gives a new job. https://docs.aws.amazon.com/glue/latest/dg/add-job.html
CONSOLE_WORKERS = 10
KINDS: dict[ProcessorKind, str] = {"auto": "auto", "lambda": "Lambda", "glue_pyspark": "Glue"}
#: A query costs what the same job costs, so it is no alternative, only a declaration.
LABELS: dict[ProcessorKind, str] = {**KINDS, "glue_sql": "Glue SQL", "configured": "configured"}


@dataclass(frozen=True)
class Scenario:
    """One way to declare the pipeline.

    Args:
        pipeline: The declaration, or a changed one.
        declared: Whether it is the user's own.
        workers: Of its jobs, where they are not the declared ones.
    """

    pipeline: Pipeline
    declared: bool = False
    workers: int | None = None

    @property
    def processor(self) -> str:
        """How its assets run: `auto`, `Lambda`, `Glue`."""
        if self.pipeline.curation:
            return LABELS[processor_type(self.pipeline)]
        kinds = dict.fromkeys(LABELS[asset.processor.kind] for asset in self.pipeline.assets)
        return "+".join(kinds) + (f" x{self.workers}" if self.workers else "")

    @property
    def label(self) -> str:
        """How its assets run, and on how many files at a time: `Glue, 10 files a batch`."""
        trigger = self.pipeline.trigger
        if is_marked(trigger):
            return f"{self.processor}, all files of a marker"
        files = (
            f"{trigger.files:,} files a batch" if isinstance(trigger, S3Batches) else "each file by itself"
        )
        return f"{self.processor}, {files}"


def scenarios(pipeline: Pipeline) -> list[Scenario]:
    """Return the declared pipeline, then each alternative that differs from it."""
    if pipeline.curation:  # its configuration decides on the processor, and its files on the run
        others = [Scenario(_configured(pipeline, pipeline.curation, kind)) for kind in KINDS]
        return [
            Scenario(pipeline, declared=True),
            *(each for each in others if processor_type(each.pipeline) != processor_type(pipeline)),
        ]
    if isinstance(pipeline.trigger, PipelineCompleted):  # no file of its own arrives
        alone = [Scenario(_changed(pipeline, pipeline.trigger, kind)) for kind in KINDS if kind != "auto"]
        return [Scenario(pipeline, declared=True), *(each for each in alone if each.pipeline != pipeline)]
    triggers = (single(pipeline.trigger), *(batches(pipeline.trigger, files) for files in BATCHES))
    others = [Scenario(_changed(pipeline, trigger, kind)) for trigger in triggers for kind in KINDS]
    if all(asset.processor.workers < CONSOLE_WORKERS for asset in pipeline.assets):
        usual = _changed(pipeline, batches(pipeline.trigger, BATCHES[0]), "glue_pyspark", CONSOLE_WORKERS)
        others.append(Scenario(usual, workers=CONSOLE_WORKERS))
    return [Scenario(pipeline, declared=True), *(each for each in others if each.pipeline != pipeline)]


def processor_type(pipeline: Pipeline) -> ProcessorKind:
    """Return what runs a curated pipeline's transform where neither parameter nor input says otherwise."""
    given = pipeline.curation.defaults if pipeline.curation else {}
    found: ProcessorKind = given.get("processor_type", "auto")
    return found


def is_marked(trigger: Trigger) -> bool:
    """Whether a run is for all files of a delivery, which an empty file marks as complete."""
    return (
        isinstance(trigger, S3Event)
        and bool(trigger.suffixes)
        and all(each.startswith("_") for each in trigger.suffixes)
    )


def _configured(pipeline: Pipeline, curation: Curation, kind: ProcessorKind) -> Pipeline:
    defaults = {**curation.defaults, "processor_type": kind}
    return replace(pipeline, curation=replace(curation, defaults=defaults))


def single(trigger: Trigger) -> Trigger:
    """Return the trigger that gives each file an execution of its own."""
    return S3Queue(trigger.source, trigger.suffixes) if isinstance(trigger, S3Batches) else trigger


def batches(trigger: Trigger, files: int) -> S3Batches:
    """Return the trigger that gives so many files an execution."""
    if isinstance(trigger, S3Batches):
        return replace(trigger, files=files, max_bytes=None)
    return S3Batches(trigger.source, files=files, suffixes=trigger.suffixes)


def _changed(
    pipeline: Pipeline, trigger: Trigger, kind: ProcessorKind, workers: int | None = None
) -> Pipeline:
    assets = []
    for asset in pipeline.assets:
        processor = replace(asset.processor, kind=kind, workers=workers or asset.processor.workers)
        if kind != asset.processor.kind:
            # An engine that is declared is meant for the place that is declared.
            processor = replace(processor, engine=None)
        assets.append(replace(asset, processor=processor))
    return replace(pipeline, trigger=trigger, assets=tuple(assets))
