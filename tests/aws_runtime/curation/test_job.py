"""The configuration of a run: three layers, known buckets, and one line for a mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import curation_world as world
import pytest

from aws_runtime.curation.config import ConfigError
from aws_runtime.curation.job import open_job

FIXTURE = Path(__file__).parent / "fixtures" / "execution_input.json"


def nothing(_name: str) -> None:
    return None


def test_layers_are_merged_and_buckets_resolved() -> None:
    asked: list[str] = []

    def parameter(name: str) -> str:
        asked.append(name)
        return json.dumps({"dq_rules": {"min_rows": 7}, "drift": "evolve"})

    job, arrived = open_job(
        world.event({"dq_rules": {"max_null_pct": 0.5}}), world.told(), world.ENVIRONMENT, parameter
    )
    assert asked == ["/ingestion/shop/orders"]
    assert arrived is None
    assert (job.config.dq_rules.min_rows, job.config.dq_rules.max_null_pct) == (7, 0.5)
    assert (job.config.source_bucket, job.config.target_bucket) == (world.LANDING, world.CURATED)
    assert job.config.required_partitions == ("dt", "region")


def test_the_fixture_is_accepted_verbatim() -> None:
    given = json.loads(FIXTURE.read_text(encoding="utf-8"))
    contract = {
        "name": "Order",
        "columns": [{"name": "customer_id", "type": {"name": "string"}}, *world.COLUMNS],
    }
    told = world.told(
        buckets={"my-landing-zone": "BUCKET_LANDING", "my-curated-zone": "BUCKET_CURATED"},
        contract=contract,
        output_contract=contract,
    )
    job, _ = open_job(world.event(given), told, world.ENVIRONMENT, nothing)
    assert job.config.source_bucket == world.LANDING
    assert job.config.dq_rules.min_rows == 1000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source_bucket": "elsewhere"}, "source_bucket: 'elsewhere' is no bucket of this pipeline"),
        ({"processor_typ": "lambda"}, "did you mean 'processor_type'"),
        (
            {"write_mode": "merge", "keys": ["order_id", "dt"]},
            "write_mode: merge needs the partition column 'region' among keys, or a Delta table",
        ),
        (
            {"write_mode": "merge", "keys": ["dt", "region", "id"]},
            "keys: 'id' is no column of Order; there are",
        ),
        (
            {"write_mode": "scd2", "keys": ["dt", "region", "amount"]},
            "keys: 'amount' is a float64, by which no row is told from another",
        ),
        ({"table_format": "delta"}, "table_format"),
        ({"output_format": "xml"}, "output_format: 'xml' is none of parquet, csv, json"),
        ({"dataset": "../x"}, "dataset"),
        ({"dataset": 3}, "dataset: expected a text"),
        ({"steps": [{"filter": "amount >"}]}, r"steps\[0\].filter"),
    ],
)
def test_a_mistake_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as found:
        open_job(world.event(given), world.told(), world.ENVIRONMENT, nothing)
    assert "\n" not in str(found.value)


def test_a_parameter_that_is_no_json_is_named() -> None:
    with pytest.raises(ConfigError, match="/ingestion/shop/orders is not JSON"):
        open_job(world.event(), world.told(), world.ENVIRONMENT, lambda _name: "{")


def test_an_event_names_one_exact_object() -> None:
    given = {
        "detail": {
            "bucket": {"name": world.LANDING},
            "object": {"key": "orders/a b", "version-id": "v", "etag": "e", "size": 3, "sequencer": "0A"},
        }
    }
    _, arrived = open_job(world.event(given), world.told(), world.ENVIRONMENT, nothing)
    assert arrived is not None
    assert (arrived.key, arrived.version_id, arrived.size) == ("orders/a b", "v", 3)
    given["detail"]["bucket"]["name"] = "elsewhere"
    with pytest.raises(ConfigError, match="source_bucket: the event tells of elsewhere"):
        open_job(world.event(given), world.told(), world.ENVIRONMENT, nothing)
