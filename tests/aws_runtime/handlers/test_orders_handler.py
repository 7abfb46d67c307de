"""The handler with the real engine: sample order files in, the counts that the sample promises out."""

import json
from collections import Counter
from dataclasses import replace

import duckdb
import pytest

from aws_runtime import storage
from aws_runtime.plan import FormatPlan, InputPlan
from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
from ingestion_assets.pipelines.orders_etl.sample_data import write_orders
from ingestion_assets.plan import asset_plan

PLAN = asset_plan(pipeline, order_lines)
#: A second asset that reads the first one's lines as they are.
COPY = replace(
    PLAN,
    asset="order_lines_copy",
    transform="toy_engine:keep",
    inputs=(InputPlan("orders", FormatPlan("parquet"), PLAN.output.contract, origin="asset"),),
)


@pytest.fixture
def real(world):
    return replace(world, plan=PLAN)


def rows(world, uris, tmp_path):
    """Return the rows of Parquet objects, counted, with the partition that their key names."""
    found = Counter()
    for number, uri in enumerate(uris):
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(world.read(uri))
        found.update((*row, uri.split("/")[-2]) for row in duckdb.read_parquet(str(path)).fetchall())
    return found


def test_sample_files_give_the_promised_counts(real, tmp_path):
    made = write_orders(tmp_path / "sample", files=9)
    records = []
    for number, path in enumerate(sorted((tmp_path / "sample").rglob("*.json"))):
        landed = real.put(path.read_bytes(), key=f"orders/{path.parent.name}/{path.name}")
        records.append(real.invoke(real.event(landed, execution=f"run-{number}")))
    assert Counter(record["status"] for record in records) == {
        "completed": made.files - made.broken_files,
        "rejected": made.broken_files,
    }
    assert sum(record["records_in"]["orders"] for record in records) == made.orders
    assert sum(record["rows_in"] for record in records) == made.lines
    assert sum(record["rows_quarantined"] for record in records) == made.bad_lines
    assert all(r["rows_in"] == r["rows_out"] + r["rows_quarantined"] for r in records)
    written = rows(real, [uri for record in records for uri in record["outputs"]], tmp_path)
    assert written.total() == sum(record["rows_out"] for record in records)
    assert all(row[-1] == f"dt={row[1]}" for row in written)


def test_a_retry_writes_the_same_rows_to_the_same_names(real, tmp_path):
    write_orders(tmp_path / "sample", files=3)
    path = min((tmp_path / "sample").rglob("*.json"))
    event = real.event(real.put(path.read_bytes()))
    first = real.invoke(event)
    before = rows(real, first["outputs"], tmp_path)
    keys = set(real.everything())
    assert real.invoke(event) == first
    assert set(real.everything()) == keys
    assert rows(real, first["outputs"], tmp_path) == before


def test_a_downstream_asset_reads_what_the_upstream_wrote(real, tmp_path):
    write_orders(tmp_path / "sample", files=3)
    path = min((tmp_path / "sample").rglob("*.json"))
    upstream = real.invoke(real.event(real.put(path.read_bytes())))
    record = real.invoke(
        {
            "execution": "run-1",
            "event_time": "2025-01-17T10:15:02Z",
            "inputs": {"orders": {"record": upstream["record"]}},
        },
        COPY,
        "s3://staging/copy/",
    )
    assert record["rows_out"] == upstream["rows_out"] > 0
    assert rows(real, record["outputs"], tmp_path) == rows(real, upstream["outputs"], tmp_path)


def test_an_empty_array_gives_no_rows_and_its_downstream_neither(real):
    upstream = real.invoke(real.event(real.put(b"[]")))
    assert (upstream["status"], upstream["rows_in"], upstream["outputs"]) == ("completed", 0, [])
    record = real.invoke(
        {
            "execution": "run-1",
            "event_time": "2025-01-17T10:15:02Z",
            "inputs": {"orders": {"record": upstream["record"]}},
        },
        COPY,
        "s3://staging/copy/",
    )
    assert (record["status"], record["rows_in"], record["outputs"]) == ("completed", 0, [])


@pytest.mark.parametrize(
    "key", ["orders/it's [a] {b}*?.json", 'orders/"q" $x; --.json', "orders/%20+ü 订.json"]
)
def test_odd_keys_reach_the_quarantine_as_they_are(real, tmp_path, key):
    order = {"order_id": "", "order_date": "2025-01-17", "total_amount": 1, "customer": None, "products": []}
    record = real.invoke(real.event(real.put(json.dumps(order).encode(), key=key)))
    assert record["rows_quarantined"] == 1
    path = tmp_path / "rows.parquet"
    path.write_bytes(real.read(record["quarantine"][0]))
    stage, uri, row = duckdb.sql(f"SELECT stage, source_uri, source_row FROM '{path}'").fetchall()[0]
    assert (stage, row) == ("order_lines", 1)
    assert uri == f"s3://landing/{key}"


def test_a_large_file_goes_through_in_parts(real, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "PART_BYTES", 5_000)
    write_orders(tmp_path / "sample", files=3)
    path = max((tmp_path / "sample").rglob("*.json"), key=lambda p: p.name == "orders-0001.json")
    content = path.read_bytes()
    assert len(content) > 15_000
    record = real.invoke(real.event(real.put(content)))
    assert record["status"] == "completed"
    assert rows(real, record["outputs"], tmp_path).total() == record["rows_out"] > 0
