"""Delivered Parquet, curated by a machine that is configured at run time."""
