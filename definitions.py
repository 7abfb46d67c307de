"""Dagster's code location: every pipeline below `ingestion_assets/pipelines`."""

from ingestion_assets.dagster_defs import build_definitions
from ingestion_assets.pipelines import discover

defs = build_definitions(discover())
