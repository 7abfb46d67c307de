"""parquet_ingestion merging on the local AWS: runs of a function and of a Glue job update one partition, one after the other."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]

NAME, FOLDER = "parquet_ingestion", "dt=2031-05-01/region=eu/"
KEYS = ["order_id", "dt", "region"]


def merged(stack, folder, amounts, **changes):
    """Run one delivery of order id -> amount by `asl run --input`: exit code and what it prints."""
    path = folder / "in" / f"{FOLDER}{'-'.join(amounts)}.parquet"
    path.parent.mkdir(parents=True)
    rows = {
        "customer_id": [f"C{n:05d}" for n in range(len(amounts))],
        "order_id": list(amounts),
        "amount": list(amounts.values()),
    }
    pq.write_table(pa.table(rows), path)
    asked = folder / "input.json"
    asked.write_text(json.dumps({"write_mode": "merge", "keys": KEYS, **changes}))
    code, out = stack.asl("run", NAME, folder / "in", "--input", asked, "--json", "--timeout", 300)
    return code, json.loads(out)


def table(stack, summary):
    """Order id -> amount of the partition, which holds the files of one run."""
    bucket, _, _ = summary["target"].removeprefix("s3://").partition("/")
    files = stack.objects(bucket, f"orders/{FOLDER}")
    assert {f"s3://{bucket}/{key}" for key in files} == set(summary["outputs"])
    rows = [row for body in files.values() for row in pq.read_table(pa.BufferReader(body)).to_pylist()]
    assert len({row["order_id"] for row in rows}) == len(rows)
    return {row["order_id"]: row["amount"] for row in rows}


@pytest.mark.spark
def test_orders_are_updated_and_inserted_wherever_the_transform_runs(deployed, tmp_path):
    expected = {}
    for processor, amounts in {
        "lambda": {"a": 1.0, "b": 2.0},
        "glue_sql": {"b": 20.0, "c": 3.0},
        "auto": {"c": 30.0, "d": 4.0},
    }.items():
        code, run = merged(deployed, tmp_path / processor, amounts, processor_type=processor)
        assert (code, run["error"]) == (0, None)
        expected |= amounts
        assert (run["summary"]["rows_in"], run["summary"]["rows_out"]) == (2, 2)
        assert table(deployed, run["summary"]) == expected

    code, run = merged(deployed, tmp_path / "scd2", {"a": 9.0}, processor_type="lambda", write_mode="scd2")
    assert code == 1
    assert "lacks the column 'valid_from'" in run["error"]
    code, run = merged(deployed, tmp_path / "config", {"a": 9.0}, keys=["order_id"])
    assert code == 1
    assert "write_mode: merge needs the partition column 'dt' among keys, or a Delta table" in run["error"]
    code, run = merged(deployed, tmp_path / "again", {"e": 5.0}, processor_type="lambda")
    assert (code, run["error"]) == (0, None)
    # What the refused configuration left where it landed is ingested with it.
    assert table(deployed, run["summary"]) == expected | {"a": 9.0, "e": 5.0}
