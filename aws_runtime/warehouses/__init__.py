"""Warehouses: a run's Parquet files into one table, once. One file a warehouse."""
