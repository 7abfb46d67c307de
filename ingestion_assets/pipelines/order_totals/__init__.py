"""Totals of what each completed run of parquet_ingestion published."""
