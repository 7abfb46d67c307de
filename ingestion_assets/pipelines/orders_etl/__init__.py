"""Serverless order JSON to Parquet."""
