"""The contenders of the CSV case: a file and a folder -> counts.

Each reads sales lines as text, converts what converts, computes the amount, and writes zstd Parquet
partitioned by day. `ours` and those with Pandera also hold the contract and set bad rows aside with
their reasons.
"""

# ruff: noqa: PLC0415 - each contender imports its own library only, which is part of what is measured
from __future__ import annotations

import json
import os
from pathlib import Path

THREADS = 2
MEMORY_BYTES = 300 * 1024**2
CHUNK_ROWS = 200_000
NUMBERS = {"quantity": "Int64", "unit_price": "float64", "discount": "float64"}


def ours(source: str, out: str) -> dict[str, int]:
    from aws_runtime.engines import InputFile, Limits
    from aws_runtime.plan import AssetPlan
    from aws_runtime.step import run_step

    plan = AssetPlan.from_json(json.loads(Path(os.environ["BENCH_PLAN"]).read_text()))
    result = run_step(
        plan,
        {"lines": [InputFile(source, source)]},
        destination=f"{out}/rows",
        quarantine=f"{out}/quarantine",
        stem="20250117T000000Z-bench",
        limits=Limits(MEMORY_BYTES, THREADS, f"{out}/spill"),
    )
    return {"rows": result.rows_out + result.rows_quarantined, "bad": result.rows_quarantined}


def duckdb_copy(source: str, out: str, *settings: str) -> dict[str, int]:
    import duckdb

    from bench.sales_data import HEADER

    connection = duckdb.connect()
    for setting in (
        f"threads = {THREADS}",
        f"memory_limit = '{MEMORY_BYTES}B'",
        f"temp_directory = '{out}/spill'",
        # DuckDB 2.0 moves TRY_CAST into its CSV reader, where it fails on what does not convert.
        "disabled_optimizers = 'type_pushdown'",
        *settings,
    ):
        connection.execute(f"SET {setting}")
    columns = dict.fromkeys(HEADER.split(","), "VARCHAR")
    rows = connection.execute(f"""
        COPY (
            SELECT order_id, TRY_CAST(sold_at AS TIMESTAMP) AS sold_at, customer_id, email, country, status, sku,
                TRY_CAST(quantity AS BIGINT) AS quantity, TRY_CAST(unit_price AS DOUBLE) AS unit_price,
                TRY_CAST(discount AS DOUBLE) AS discount, TRY_CAST(gift AS BOOLEAN) AS gift, remarks,
                TRY_CAST(quantity AS BIGINT) * TRY_CAST(unit_price AS DOUBLE) AS amount, sold_at[:10] AS dt
            FROM read_csv('{source}', columns = {columns}, header = true)
        ) TO '{out}/rows' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (dt))""").fetchone()[0]
    return {"rows": rows}


def duckdb_copy_tuned(source: str, out: str) -> dict[str, int]:
    return duckdb_copy(source, out, "partitioned_write_flush_threshold = 20000")


def _converted(lines):
    """What converts, in Polars; the rest is null."""
    import polars as pl

    return lines.with_columns(
        pl.col("sold_at").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False),
        pl.col("quantity").cast(pl.Int64, strict=False),
        pl.col("unit_price", "discount").cast(pl.Float64, strict=False),
        pl.col("gift").replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean),
        dt=pl.col("sold_at").str.slice(0, 10),
    ).with_columns(amount=pl.col("quantity") * pl.col("unit_price"))


def polars_plain(source: str, out: str) -> dict[str, int]:
    import polars as pl

    target = pl.PartitionBy(f"{out}/rows", key="dt", include_key=False)
    _converted(pl.scan_csv(source, infer_schema=False)).sink_parquet(
        target, compression="zstd", mkdir=True, engine="streaming"
    )
    written = pl.scan_parquet(f"{out}/rows/**/*.parquet", hive_partitioning=True)
    return {"rows": written.select(pl.len()).collect().item()}


def pandera_polars(source: str, out: str) -> dict[str, int]:
    import pandera.polars as pa
    import polars as pl

    from bench.sales_contract import CheckedSale

    class Model(CheckedSale):
        class Config:
            strict = False  # the partition's column is there too

    lines = _converted(pl.read_csv(source, infer_schema=False))
    try:
        Model.validate(lines, lazy=True)
        reasons = pl.DataFrame(schema={"index": pl.Int32, "reason": pl.String})
    except pa.errors.SchemaErrors as error:
        reasons = error.failure_cases.group_by("index").agg(
            reason=pl.concat_str("column", pl.lit(": "), "check").unique().sort().str.join("; ")
        )
    numbered = lines.with_row_index("index").with_columns(pl.col("index").cast(pl.Int32))
    bad = numbered.join(reasons, on="index")
    good = numbered.join(reasons, on="index", how="anti").drop("index")
    good.lazy().sink_parquet(
        pl.PartitionBy(f"{out}/rows", key="dt", include_key=False), compression="zstd", mkdir=True
    )
    bad.write_parquet(f"{out}/quarantine.parquet")
    return {"rows": good.height + bad.height, "bad": bad.height}


def _pandas_model():
    import pandas as pd
    import pandera.pandas as pa

    from bench.sales_data import COUNTRIES, STATUSES

    between = pa.Check.in_range
    return pa.DataFrameSchema(
        {
            "order_id": pa.Column(checks=pa.Check.str_matches(r"^S[0-9]{9}$"), unique=True),
            "sold_at": pa.Column(
                checks=[pa.Check.ge(pd.Timestamp(2020, 1, 1)), pa.Check.le(pd.Timestamp(2030, 1, 1))]
            ),
            "customer_id": pa.Column(checks=pa.Check.str_matches(r"^C[0-9]{6}$")),
            "email": pa.Column(checks=pa.Check.str_matches(r"^[^@\s]+@[^@\s]+\.[a-z]+$")),
            "country": pa.Column(checks=pa.Check.isin(list(COUNTRIES))),
            "status": pa.Column(checks=pa.Check.isin(list(STATUSES))),
            "sku": pa.Column(checks=[pa.Check.str_startswith("SKU-"), pa.Check.str_length(10, 10)]),
            "quantity": pa.Column(checks=[pa.Check.ge(1), pa.Check.le(1000)]),
            "unit_price": pa.Column(checks=between(0, 10_000)),
            "discount": pa.Column(checks=between(0, 1)),
            "gift": pa.Column(),
            "remarks": pa.Column(checks=pa.Check.str_length(max_value=200), nullable=True),
            "amount": pa.Column(checks=pa.Check.ge(0)),
        }
    )


def _pandas_converted(lines):
    import pandas as pd

    lines["dt"] = lines["sold_at"].str[:10]
    lines["sold_at"] = pd.to_datetime(lines["sold_at"], format="%Y-%m-%dT%H:%M:%S", errors="coerce")
    for name, dtype in NUMBERS.items():
        lines[name] = pd.to_numeric(lines[name], errors="coerce").astype(dtype)
    lines["gift"] = lines["gift"].map({"true": True, "false": False}).astype("boolean")
    lines["amount"] = lines["quantity"].astype("float64") * lines["unit_price"]
    return lines


def _written(lines, out: str, number: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_to_dataset(
        pa.Table.from_pandas(lines, preserve_index=False),
        f"{out}/rows",
        partition_cols=["dt"],
        compression="zstd",
        basename_template=f"{number}-{{i}}.parquet",
    )
    return len(lines)


def _split(lines, model, out: str, number: int) -> tuple[int, int]:
    """Write the rows that keep the contract, and the others with their reasons; return both counts."""
    import pandera.pandas as pa

    try:
        model.validate(lines, lazy=True)
    except pa.errors.SchemaErrors as error:
        failures = error.failure_cases
        said = failures["column"].astype(str) + ": " + failures["check"].astype(str)
        reasons = said.groupby(failures["index"].astype("int64")).agg("; ".join)
        bad = lines.loc[reasons.index].assign(reason=reasons)
        bad.to_parquet(f"{out}/quarantine-{number}.parquet")
        return _written(lines.drop(index=reasons.index), out, number), len(bad)
    return _written(lines, out, number), 0


def pandera_pandas(source: str, out: str) -> dict[str, int]:
    import pandas as pd

    good, bad = _split(_pandas_converted(pd.read_csv(source, dtype=str)), _pandas_model(), out, 0)
    return {"rows": good + bad, "bad": bad}


def pandera_pandas_chunks(source: str, out: str) -> dict[str, int]:
    """Finds duplicates within a chunk only."""
    import pandas as pd

    model, good, bad = _pandas_model(), 0, 0
    with pd.read_csv(source, dtype=str, chunksize=CHUNK_ROWS) as chunks:
        for number, chunk in enumerate(chunks):
            kept, refused = _split(_pandas_converted(chunk), model, out, number)
            good, bad = good + kept, bad + refused
    return {"rows": good + bad, "bad": bad}


def pandas_whole(source: str, out: str) -> dict[str, int]:
    import pandas as pd

    return {"rows": _written(_pandas_converted(pd.read_csv(source, dtype=str)), out, 0)}


def pandas_chunks(source: str, out: str) -> dict[str, int]:
    import pandas as pd

    with pd.read_csv(source, dtype=str, chunksize=CHUNK_ROWS) as chunks:
        return {"rows": sum(_written(_pandas_converted(chunk), out, n) for n, chunk in enumerate(chunks))}


def awswrangler_chunks(source: str, _out: str) -> dict[str, int]:
    """Reads and writes S3 at `AWS_ENDPOINT_URL`; `source` is its URI."""
    import awswrangler as wr

    rows = 0
    for chunk in wr.s3.read_csv(source, dtype=str, chunksize=CHUNK_ROWS):
        converted = _pandas_converted(chunk)
        rows += len(converted)
        wr.s3.to_parquet(
            converted,
            "s3://bench/rows/",
            dataset=True,
            partition_cols=["dt"],
            mode="append",
            compression="zstd",
        )
    return {"rows": rows}
