"""Declarations -> Dagster: the only package that imports it. In: pipelines. Out: `Definitions`."""

from ingestion_assets.dagster_defs.build import build_definitions
from ingestion_assets.dagster_defs.component import CuratedPipeline
from ingestion_assets.dagster_defs.run import Materialized, materialize_pipeline

__all__ = ["CuratedPipeline", "Materialized", "build_definitions", "materialize_pipeline"]
