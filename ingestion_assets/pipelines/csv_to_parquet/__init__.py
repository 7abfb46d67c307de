"""Sales exports as CSV, converted to Parquet."""
