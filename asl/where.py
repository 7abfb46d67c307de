"""A declaration -> the place that an error or a warning of it names."""

from __future__ import annotations

from dataclasses import replace

from ingestion_assets.asset import IngestionAsset, S3Source
from ingestion_assets.errors import Where
from ingestion_assets.pipeline import Pipeline


def at(pipeline: Pipeline, node: S3Source | IngestionAsset | None = None) -> Where:
    """Return where a pipeline, or a source or asset of it, is declared."""
    if node is None:
        return replace(pipeline.where, pipeline=pipeline.name)
    return replace(node.where, pipeline=pipeline.name, asset=node.name)
