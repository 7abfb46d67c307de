"""parquet_ingestion's orders, into a Delta table where a run asks for it."""
