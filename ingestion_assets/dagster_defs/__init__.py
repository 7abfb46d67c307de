"""ingestion_assets/dagster_defs."""
