"""The sample of parquet_ingestion is reproducible, and its summary is true of what the pipeline makes of it."""

from pathlib import Path

import pyarrow.parquet as pq

from ingestion_assets.dagster_defs import materialize_pipeline
from ingestion_assets.pipelines.parquet_ingestion.pipeline import pipeline
from ingestion_assets.pipelines.parquet_ingestion.sample_data import BROKEN, write_deliveries

LANDING = "my-landing-zone/orders"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_deliveries(tmp_path / name, files=8, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_the_marker_comes_last_and_senders_write_in_their_own_way(tmp_path):
    made = write_deliveries(tmp_path, files=20)
    files = sorted(tmp_path.rglob("*.parquet"))
    assert len(files) == made.files
    marker = tmp_path / "_SUCCESS"
    assert marker.read_bytes() == b""
    assert marker.stat().st_mtime > max(path.stat().st_mtime for path in files)
    orders, codecs = set(), set()
    for path in files:
        if path.read_bytes()[:4] != b"PAR1" or path.read_bytes()[-4:] != b"PAR1":
            continue
        file = pq.ParquetFile(path)
        orders.add(tuple(file.schema_arrow.names))
        codecs.add(file.metadata.row_group(0).column(0).compression)
    assert {"ZSTD", "SNAPPY", "GZIP", "UNCOMPRESSED"} <= codecs
    assert {names[0] for names in orders} == {"customer_id", "order_id", "amount"}
    assert any("dt" in names for names in orders)


def test_the_pipeline_finds_what_the_summary_says(tmp_path):
    made = write_deliveries(tmp_path / LANDING)
    orders = materialize_pipeline(pipeline, tmp_path).assets["orders"]
    assert (orders.files, len(orders.rejected)) == (made.files, made.broken_files)
    assert len({rejection.code for rejection in orders.rejected}) == len(BROKEN)
    assert (orders.rows_in, orders.rows_quarantined) == (made.records, made.bad_records)
    assert orders.rows_out == made.records - made.bad_records > 1_200


def test_unpriced_orders_are_null_below_the_declared_threshold(tmp_path):
    made = write_deliveries(tmp_path / LANDING, unpriced=0.02)
    orders = materialize_pipeline(pipeline, tmp_path).assets["orders"]
    assert orders.rows_out == made.records - made.bad_records
    tables = [pq.read_table(path, partitioning=None) for path in orders.outputs]
    nulls = sum(table["amount"].null_count for table in tables)
    assert 0 < nulls < 0.05 * orders.rows_out
    assert nulls == sum(table["is_large"].null_count for table in tables)
