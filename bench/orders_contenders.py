"""The contenders of the NDJSON case: a file and a folder -> counts.

Each reads nested NDJSON, flattens it to order lines and writes zstd Parquet partitioned by day.
Only `ours` also holds the contract: it coerces from text, checks every rule, and quarantines.
"""

# ruff: noqa: PLC0415 - each contender imports its own library only, which is part of what is measured
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

CHUNK_ROWS = 50_000
THREADS = 2
MEMORY_BYTES = 300 * 1024**2


def ours(source: str, out: str) -> dict[str, int]:
    from aws_runtime.engines import InputFile, Limits
    from aws_runtime.plan import AssetPlan
    from aws_runtime.step import run_step

    plan = AssetPlan.from_json(json.loads(Path(os.environ["BENCH_PLAN"]).read_text()))
    result = run_step(
        plan,
        {"orders": [InputFile(source, source)]},
        destination=f"{out}/rows",
        quarantine=f"{out}/quarantine",
        stem="20250117T000000Z-bench",
        limits=Limits(MEMORY_BYTES, THREADS, f"{out}/spill"),
    )
    assert result.rows_quarantined > 0
    return {"rows": result.rows_out + result.rows_quarantined, "bad": result.rows_quarantined}


def duckdb_copy(source: str, out: str, *settings: str) -> dict[str, int]:
    import duckdb

    connection = duckdb.connect()
    for setting in (
        f"threads = {THREADS}",
        f"memory_limit = '{MEMORY_BYTES}B'",
        f"temp_directory = '{out}/spill'",
        *settings,
    ):
        connection.execute(f"SET {setting}")
    rows = connection.execute(f"""
        COPY (
            SELECT order_id, order_date, total_amount, customer.customer_id AS customer_id,
                customer.name AS customer_name, customer.email AS email, customer.address AS address,
                product.product_id AS product_id, product.name AS product_name,
                product.category AS category, product.price AS price, product.quantity AS quantity,
                strftime(order_date, '%Y-%m-%d') AS dt
            FROM (SELECT *, unnest(products) AS product FROM read_json('{source}',
                format = 'newline_delimited', columns = {{order_id: 'VARCHAR', order_date: 'DATE',
                total_amount: 'DOUBLE',
                customer: 'STRUCT(customer_id VARCHAR, name VARCHAR, email VARCHAR, address VARCHAR)',
                products: 'STRUCT(product_id VARCHAR, name VARCHAR, category VARCHAR, price DOUBLE, quantity BIGINT)[]'}}))
        ) TO '{out}/rows' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (dt))""").fetchone()[0]
    return {"rows": rows}


def duckdb_copy_tuned(source: str, out: str) -> dict[str, int]:
    return duckdb_copy(source, out, "partitioned_write_flush_threshold = 20000")


def polars_streaming(source: str, out: str) -> dict[str, int]:
    import polars as pl

    text, number = pl.String, pl.Float64
    schema = {
        "order_id": text,
        "order_date": text,
        "total_amount": number,
        "customer": pl.Struct({"customer_id": text, "name": text, "email": text, "address": text}),
        "products": pl.List(
            pl.Struct(
                {"product_id": text, "name": text, "category": text, "price": number, "quantity": pl.Int64}
            )
        ),
    }
    customer, product = pl.col("customer").struct, pl.col("products").struct
    lines = (
        pl.scan_ndjson(source, schema=schema)
        .explode("products")
        .select(
            "order_id",
            pl.col("order_date").str.to_date(),
            "total_amount",
            customer.field("customer_id"),
            customer.field("name").alias("customer_name"),
            customer.field("email"),
            customer.field("address"),
            product.field("product_id"),
            product.field("name").alias("product_name"),
            product.field("category"),
            product.field("price"),
            product.field("quantity"),
            pl.col("order_date").alias("dt"),
        )
    )
    lines.sink_parquet(
        pl.PartitionBy(f"{out}/rows", key="dt", include_key=False), mkdir=True, engine="streaming"
    )
    written = pl.scan_parquet(f"{out}/rows/**/*.parquet", hive_partitioning=True)
    return {"rows": written.select(pl.len()).collect().item()}


def _flat(chunk):
    import pandas as pd

    lines = chunk.explode("products", ignore_index=True)
    customers = pd.DataFrame(lines.pop("customer").tolist()).rename(columns={"name": "customer_name"})
    products = pd.DataFrame(lines.pop("products").tolist()).rename(columns={"name": "product_name"})
    lines = pd.concat([lines, customers, products], axis=1)
    lines["dt"] = lines["order_date"]
    lines["order_date"] = pd.to_datetime(lines["order_date"]).dt.date
    return lines


def pandas_chunks(source: str, out: str) -> dict[str, int]:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    with pd.read_json(source, lines=True, chunksize=CHUNK_ROWS, dtype=False) as chunks:
        for number, chunk in enumerate(chunks):
            flat = _flat(chunk)
            rows += len(flat)
            pq.write_to_dataset(
                pa.Table.from_pandas(flat, preserve_index=False),
                f"{out}/rows",
                partition_cols=["dt"],
                compression="zstd",
                basename_template=f"{number}-{{i}}.parquet",
            )
    return {"rows": rows}


def awswrangler_chunks(source: str, _out: str) -> dict[str, int]:
    """Reads and writes S3 at `AWS_ENDPOINT_URL`, as it knows nothing else; `source` is its URI."""
    import awswrangler as wr

    rows = 0
    chunks: Iterator = wr.s3.read_json(source, lines=True, chunksize=CHUNK_ROWS, dtype=False)
    for chunk in chunks:
        flat = _flat(chunk)
        rows += len(flat)
        wr.s3.to_parquet(
            flat, "s3://bench/rows/", dataset=True, partition_cols=["dt"], mode="append", compression="zstd"
        )
    return {"rows": rows}
