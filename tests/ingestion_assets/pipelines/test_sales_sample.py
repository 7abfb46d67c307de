"""The sample of csv_to_parquet is reproducible, and its summary is true of what the pipeline makes of it."""

import csv
import gzip
import io
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from ingestion_assets.dagster_defs import materialize_pipeline
from ingestion_assets.pipelines.csv_to_parquet.pipeline import pipeline
from ingestion_assets.pipelines.csv_to_parquet.sample_data import BRANCHES, HEADER, number, write_sales

LANDING = "pre-workflow-ingestion/sales"
OUTPUT = "post-workflow-ingestion/sales"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_sales(tmp_path / name, files=16, seed=seed, big_rows=10)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_every_branch_writes_its_own_csv(tmp_path):
    write_sales(tmp_path, files=40)
    files = contents(tmp_path)
    for branch in BRANCHES:
        name, content = next((n, c) for n, c in files.items() if f"/{branch.name.lower()}-" in n)
        text = (gzip.decompress(content) if name.endswith(".gz") else content).decode(branch.encoding)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=branch.delimiter))
        assert sorted(rows[0]) == sorted(HEADER)
        assert len(rows) > 20
        assert text.count(branch.newline) >= len(rows)


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(1249.5, 2, "1.249,50"), (1200, 0, "1.200"), (4.5, 2, "4,50")]
)
def test_numbers_as_the_branches_write_them(value, digits, text):
    assert number(value, digits) == text


def test_the_pipeline_finds_what_the_summary_says(tmp_path):
    made = write_sales(tmp_path / LANDING, files=16, big_rows=300)
    sales = materialize_pipeline(pipeline, tmp_path).assets["sales"]
    assert (sales.files, len(sales.rejected)) == (made.files, made.broken_files)
    assert (sales.rows_in, sales.rows_quarantined) == (made.records, made.bad_records)
    assert sales.rows_out == made.records - made.bad_records
    months = {path.parent.name for path in (tmp_path / OUTPUT).rglob("*.parquet")}
    assert months == {"month=2025-01", "month=2025-02"}


def test_values_are_cleaned_and_computed(tmp_path):
    day = tmp_path / LANDING / "2025-01-31"
    day.mkdir(parents=True)
    (day / "wien.csv").write_bytes(
        "\ufeffRemarks,Order ID,Order Date,Sold At,Branch,Country,Product,Units,Unit Price,Discount %\r\n"
        '"so, ""new""\r\nline",S-0000001,31.01.2025,31.01.2025 17:05:09,Wien ,AT, Lampe,1.200,"1.249,50","12,5"\r\n'
        "-,S-0000002,01.02.2025,,Wien,AT,Lampe,1,10,\r\n".encode()
    )
    (day / "bern.csv").write_bytes("Order ID;Order Date\nS-0000003;31.01.2025\n".encode("utf-16"))
    sales = materialize_pipeline(pipeline, tmp_path).assets["sales"]
    assert [(r.uri.rsplit("/", 1)[1], r.code) for r in sales.rejected] == [("bern.csv", "MissingColumns")]
    first, second = (pq.read_table(path, partitioning=None).to_pylist()[0] for path in sorted(sales.outputs))
    assert (first["order_id"], first["branch"], first["product"], first["units"]) == (
        "S-0000001", "Wien", "Lampe", 1200,
    )  # fmt: skip
    assert (first["order_date"].isoformat(), first["sold_at"].isoformat()) == (
        "2025-01-31",
        "2025-01-31T17:05:09",
    )
    assert (first["unit_price"], first["discount_share"]) == (1249.5, 0.125)
    assert (first["list_total"], first["line_total"]) == (1_499_400.0, 1_311_975.0)
    assert first["remarks"] == 'so, "new"\r\nline'
    assert (second["discount_share"], second["line_total"]) == (0.0, 10.0)
    assert (second["remarks"], second["sold_at"]) == (None, None)


def test_the_columns_written_are_shown_with_the_contracts_types_and_rules(tmp_path):
    made = write_sales(tmp_path / LANDING, files=4)
    assert made.files == 4
    with dg.DagsterInstance.ephemeral() as instance:
        materialize_pipeline(pipeline, tmp_path, instance=instance)
        (event,) = instance.fetch_materializations(dg.AssetKey(["csv_to_parquet", "sales"]), limit=1).records
    schema = event.asset_materialization.metadata["dagster/column_schema"].value
    columns = {column.name: column for column in schema.columns}
    assert (columns["order_id"].type, columns["sold_at"].type) == ("string", "timestamp[us]")
    assert not columns["order_id"].constraints.nullable
    assert columns["units"].constraints.other == ["greater_than_or_equal_to(min_value=1)"]
