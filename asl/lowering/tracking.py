"""A run's bookkeeping -> states: tracked, announced, or failed and alerted.

In: the pipeline and where its assets' runs are. Out: the states before and after the assets, which
differ for a file (`files.py`) and for a batch of files (`batches.py`).
"""

from __future__ import annotations

from asl.ir import State
from asl.lowering import batches, files
from asl.lowering.expressions import BATCH, EVENT
from ingestion_assets.pipeline import Pipeline, S3Batches


def is_batch(pipeline: Pipeline) -> bool:
    """Whether an execution is for a batch of files."""
    return isinstance(pipeline.trigger, S3Batches)


def arrived(pipeline: Pipeline) -> str:
    """Return what started the execution, as a member of the event of an asset that reads it."""
    return f"'manifest': {BATCH}.manifest" if is_batch(pipeline) else files.arrived(pipeline)


def event_time(pipeline: Pipeline) -> str:
    """Return when it arrived, as JSONata."""
    return f"{EVENT}.time" if is_batch(pipeline) else files.event_time(pipeline)


def beginning(pipeline: Pipeline, following: str) -> tuple[State, ...]:
    """Return the states before the assets; the last one leads to `following`."""
    return (
        batches.beginning(pipeline, following) if is_batch(pipeline) else files.beginning(pipeline, following)
    )


def ending(pipeline: Pipeline, runs: str) -> tuple[State, ...]:
    """Return the states after the assets; `runs` is a JSONata object of runs by asset."""
    return batches.ending(pipeline, runs) if is_batch(pipeline) else files.ending(pipeline, runs)


def failing(pipeline: Pipeline) -> tuple[State, ...]:
    """Return the failure path, which needs nothing but the variables of `Begin` and the failure."""
    return batches.failing(pipeline) if is_batch(pipeline) else files.failing(pipeline)
