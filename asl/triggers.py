"""What follows from a pipeline's trigger: its source, its table of runs, its queues, by logical id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asl import names
from ingestion_assets.asset import S3Source
from ingestion_assets.pipeline import Pipeline, PipelineCompleted, S3Batches, S3Event, S3Queue, Trigger

#: What the front door's functions and the export call a trigger.
NAMES: Mapping[type[Trigger], str] = {
    S3Event: "event",
    S3Queue: "queue",
    S3Batches: "batches",
    # Its machine tracks a completed run as it does a file: the one that lists what was published.
    PipelineCompleted: "event",
}


def by_rule(pipeline: Pipeline) -> bool:
    """Whether a rule of EventBridge starts the executions, which then track their own beginning."""
    return isinstance(pipeline.trigger, S3Event | PipelineCompleted)


def trigger_name(pipeline: Pipeline) -> str:
    """Return `event`, `queue` or `batches`."""
    return NAMES[type(pipeline.trigger)]


def source_of(pipeline: Pipeline) -> S3Source:
    """Return the source whose files start executions."""
    return next(source for source in pipeline.sources if source.name == pipeline.trigger.source)


def runs_table_id(pipeline: Pipeline) -> str:
    """Return the id of the table that says what became of each file, or of each batch."""
    if isinstance(pipeline.trigger, S3Queue):
        return names.status_id(source_of(pipeline).bucket.name)
    if isinstance(pipeline.trigger, S3Batches):
        return names.batches_id(pipeline.name)
    return names.tracking_id(pipeline.name)


def arrivals_id(pipeline: Pipeline) -> str | None:
    """Return the id of the queue that S3 notifies; None where EventBridge brings events."""
    if isinstance(pipeline.trigger, S3Queue):
        return names.bucket_arrivals_id(source_of(pipeline).bucket.name)
    return names.arrivals_id(pipeline.name) if isinstance(pipeline.trigger, S3Batches) else None


def dead_letters_id(pipeline: Pipeline) -> str:
    """Return the id of the queue of events that could not start an execution."""
    if isinstance(pipeline.trigger, S3Queue):
        return names.bucket_dead_letters_id(source_of(pipeline).bucket.name)
    return names.dead_letters_id(pipeline.name)


def step_ids(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the ids of a curated pipeline's functions around its transform, in the order of its machine."""
    if pipeline.curation is None:
        return ()
    (asset,) = pipeline.assets
    steps = ("validate", "check", *(("delta",) if pipeline.curation.delta else ()), "load")
    return tuple(names.step_id(pipeline.name, asset.name, step) for step in steps)


def orchestrated(pipelines: Iterable[Pipeline]) -> dict[str, tuple[Pipeline, ...]]:
    """Return the pipelines of each bucket that an orchestrator serves, by its logical name."""
    found: dict[str, tuple[Pipeline, ...]] = {}
    for pipeline in pipelines:
        if isinstance(pipeline.trigger, S3Queue):
            bucket = source_of(pipeline).bucket.name
            found[bucket] = (*found.get(bucket, ()), pipeline)
    return dict(sorted(found.items()))
