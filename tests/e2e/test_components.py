"""Pipelines without Python on the local AWS: two `defs.yaml`, one stack, rows as they declare them."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal

import polars as pl
import pytest

from tests.e2e.conftest import deploy
from tests.e2e.helpers import there

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]


@pytest.fixture(scope="module")
def depots(local_aws, tmp_path_factory):
    """A stack of its own."""
    return deploy(local_aws, tmp_path_factory.mktemp("build"), "depots", "tests.components")


def landed(folder, place, frame):
    path = folder / "in" / place / f"{uuid.uuid4().hex}.parquet"
    path.parent.mkdir(parents=True)
    frame.write_parquet(path)


def test_columns_and_checks_of_the_yaml_decide(depots, tmp_path):
    frame = pl.DataFrame(
        {
            "shipment_id": ["S000001", "S000002", "T1", None],
            "weight_kg": [1.5, None, 2.0, 3.0],
            "fee": [Decimal("1.25"), Decimal("2.50"), None, None],
            "express": [True, False, True, False],
        },
        schema_overrides={"fee": pl.Decimal(10, 2)},
    )
    landed(tmp_path, "dt=2024-07-01/depot=ams", frame)
    landed(tmp_path, "dt=1999-07-01/depot=ber", frame.head(1).with_columns(shipment_id=pl.lit("S000009")))
    (tmp_path / "in" / "_SUCCESS").touch()
    code, out = depots.asl(
        "run", "shipments", tmp_path / "in", "--stack", "depots", "--json", "--timeout", 300
    )
    (run,) = json.loads(out)["executions"]
    assert (code, run["error"]) == (0, None)
    assert (run["rows_in"], run["rows_out"], run["rows_quarantined"]) == (5, 2, 3)
    schema, rows = there(depots, run["outputs"])
    assert schema.names == ["shipment_id", "weight_kg", "fee", "express"]
    place = "dt=2024-07-01/depot=ams"
    assert set(rows) == {
        (place, "S000001", 1.5, Decimal("1.25"), True),
        (place, "S000002", None, Decimal("2.50"), False),
    }


def test_a_query_beside_the_yaml_runs_on_lambda_too(depots, tmp_path):
    landed(tmp_path, "dt=2024-07-01", pl.DataFrame({"parcel": [" ab1", "c", "xyz "], "grams": [1500, 2, -5]}))
    code, out = depots.run("parcels", tmp_path / "in")
    ((key, run),) = out.items()
    assert (code, run["status"]) == (0, "SUCCEEDED"), run["error"]
    assert key.startswith("dt=2024-07-01/")
    schema, rows = there(depots, run["outputs"])
    assert schema.names == ["parcel_id", "weight_kg"]
    assert set(rows) == {("dt=2024-07-01", "AB1", 1.5)}
