"""Clickstream NDJSON in many small files, converted to Parquet in batches."""
