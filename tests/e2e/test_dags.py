"""DAGs on the local AWS: a Glue asset behind a Lambda one, and a diamond."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]


def basket(number, customer, *items):
    made = [{"sku": sku, "price": price, "pieces": pieces} for sku, price, pieces in items]
    return {"basket_id": f"B-{number}", "customer": customer, "day": "2025-01-17", "items": made}


def rows(stack, bucket, prefix):
    """Every row below a prefix."""
    found = stack.objects(bucket, prefix)
    return [
        row
        for key, body in found.items()
        for row in pq.ParquetFile(io.BytesIO(body)).read().to_pylist()
        if key
    ]


@pytest.mark.spark
def test_a_glue_job_reads_what_a_function_wrote(examples, tmp_path):
    baskets = [
        basket(1, "Ada", ("lamp", 2.5, 2), ("desk", 10.0, 1)),
        basket(2, "Ada", ("pen", 1.0, 3)),
        basket(3, "Bob", ("pen", 1.0, 1), ("bad", 1.0, 0)),
    ]
    path = tmp_path / "day one" / "till+1.json"
    path.parent.mkdir()
    path.write_text(json.dumps(baskets))
    code, found = examples.run("customer_value", tmp_path)
    run = found["day one/till+1.json"]
    assert run["error"] is None
    assert (code, run["status"]) == (0, "SUCCEEDED")
    assert run["rows_quarantined"] == 1  # no pieces
    lake = examples.outputs["ShopLakeBucket"]
    assert len(rows(examples, lake, "basket_items/")) == 4
    totals = {
        row["customer"]: (row["items"], row["value"]) for row in rows(examples, lake, "customer_totals/")
    }
    assert totals == {"Ada": (6, 18.0), "Bob": (1, 1.0)}


def test_a_diamond_joins_what_its_two_sides_made(examples, tmp_path):
    readings = [
        {"sensor": sensor, "day": day, "celsius": celsius}
        for sensor, day, celsius in [
            ("north", "2025-01-17", -3.5), ("north", "2025-01-17", 4.0), ("north", "2025-01-18", 1.0),
            ("south", "2025-01-17", 20.0), ("south", "2025-01-17", 400.0),
        ]
    ]  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps(readings))
    code, found = examples.run("diamond", tmp_path / "r.json")
    run = found["r.json"]
    assert run["error"] is None
    assert (code, run["status"], run["rows_quarantined"]) == (0, "SUCCEEDED", 1)
    spans = {
        (row["sensor"], str(row["day"])): row["span"]
        for row in rows(examples, examples.outputs["ClimateBucket"], "spans/")
    }
    assert spans == {("north", "2025-01-17"): 7.5, ("north", "2025-01-18"): 0.0, ("south", "2025-01-17"): 0.0}
