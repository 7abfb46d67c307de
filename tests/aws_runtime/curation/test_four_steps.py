"""The four functions one after the other, as the machine calls them: what a failure in each of them says."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import curation_world as world
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curation_world import CURATED, LANDING, QUARANTINE, get, keys, put

from aws_runtime.curation import catalog
from aws_runtime.curation.config import ConfigError
from aws_runtime.curation.table_schema import SchemaConflict
from aws_runtime.handlers import check_output, load, materialize, validate_parquet

DAY = "orders/dt=2024-07-02/"
EU, US = f"{DAY}region=eu/a.parquet", f"{DAY}region=us/b.parquet"
PLAN: dict[str, Any] = {
    "pipeline": "shop",
    "asset": "orders",
    "transform": "test_four_steps:same",
    "inputs": [
        {
            "name": "landed",
            "format": {"name": "parquet"},
            "contract": {"name": "Order", "columns": [{**column, "coerce": True} for column in world.COLUMNS]},
        }
    ],
    "output": {
        "contract": {"name": "Order", "columns": world.COLUMNS},
        "partition_by": world.DOCUMENT["partition_by"],
    },
}  # fmt: skip
CONTEXT = world.CONTEXT


def same(landed: Any) -> Any:
    return landed


class Machine:
    """What the state machine does between its functions."""

    def __init__(self, name: str = "job-1", **given: Any) -> None:
        self.name, self.given = name, given

    def validate(self) -> dict[str, Any]:
        self.job: dict[str, Any] = validate_parquet.handler(world.event(self.given, self.name), CONTEXT)
        return self.job

    def transform(self) -> dict[str, Any]:
        event = {
            "execution": self.job["job_id"],
            "event_time": world.EVENT_TIME,
            "inputs": {"landed": {"manifest": self.job["manifest"]}},
            "curation": self.job["curation"],
        }
        self.run: dict[str, Any] = materialize.handler(event, CONTEXT)
        return self.run

    def check(self) -> dict[str, Any]:
        found: dict[str, Any] = check_output.handler({"job": self.job, "record": self.run["record"]}, CONTEXT)
        return found

    def load(self) -> dict[str, Any]:
        found: dict[str, Any] = load.handler({"job": self.job, "record": self.run["record"]}, CONTEXT)
        return found


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An account, and a folder that is the root of each function's code."""
    (tmp_path / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    declare(tmp_path)
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("DESTINATION", f"s3://{CURATED}/orders/")
    caches = (validate_parquet.load_declared, materialize.load_plan, catalog.glue)
    for cache in caches:
        cache.cache_clear()  # type: ignore[attr-defined] # functools.cache, which mypy does not see through the union
    with world.aws(monkeypatch):
        yield tmp_path
    for cache in caches:
        cache.cache_clear()  # type: ignore[attr-defined] # see above


def declare(root: Path, **changes: Any) -> None:
    (root / "curation.json").write_text(json.dumps({**world.DOCUMENT, **changes}), encoding="utf-8")


def orders(*ids: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    table = pa.table({"order_id": list(ids), "amount": [1.5] * len(ids)})
    pq.write_table(table, buffer, use_dictionary=False, **options)
    return buffer.getvalue()


def with_a_broken_page(*ids: str) -> bytes:
    data = orders(*ids, compression="none", write_page_checksum=True)
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(0).column(1)
    last = chunk.data_page_offset + chunk.total_compressed_size - 1
    return data[:last] + bytes([data[last] ^ 0x55]) + data[last + 1 :]


def curated_ids() -> list[str]:
    found = [get(CURATED, key) for key in keys(CURATED, "orders/")]
    return sorted(
        value for body in found for value in pq.read_table(io.BytesIO(body))["order_id"].to_pylist()
    )


def test_a_good_run(account: Path) -> None:
    put(LANDING, EU, orders("1", "2"))
    put(LANDING, US, orders("3"))
    machine = Machine()
    assert machine.validate()["status"] == "valid"
    assert machine.transform()["status"] == "completed"
    assert machine.check()["status"] == "valid"
    assert machine.load()["status"] == "loaded"
    assert curated_ids() == ["1", "2", "3"]


def test_validate_refuses_a_configuration_and_touches_nothing(account: Path) -> None:
    put(LANDING, EU, orders("1"))
    with pytest.raises(ConfigError, match=r"dq_rules\.max_null_pct: 5 is no share .* said by the input"):
        Machine(dq_rules={"max_null_pct": 5}).validate()
    assert (keys(LANDING), keys(CURATED), keys(QUARANTINE)) == ([EU], [], [])


def test_validate_rejects_every_file(account: Path) -> None:
    put(LANDING, EU, b"order_id,amount\n")
    put(LANDING, US, orders("3")[:-20])
    answer = Machine().validate()
    assert (answer["status"], answer["files"], answer["files_rejected"]) == ("rejected", 0, 2)
    assert answer["code"] in {"NotParquet", "CorruptFile"}
    assert "s3://landing-1/orders/dt=2024-07-02/region=" in answer["message"]
    assert len([key for key in keys(QUARANTINE) if key.endswith("reason.json")]) == 2


def test_transform_names_the_file_that_it_cannot_read_and_a_resumed_run_goes_on_without(
    account: Path,
) -> None:
    bad = with_a_broken_page("3")
    put(LANDING, EU, orders("1", "2"))
    put(LANDING, US, bad)
    machine = Machine()
    assert machine.validate()["files"] == 2
    record = machine.transform()
    assert record["status"] == "rejected"
    assert record["reason"]["code"] == "CorruptFile"
    said = record["reason"]["message"]
    assert said.startswith(
        "a page of amount is not what its checksum says (s3://curated-1/_staging/shop/job-1/"
    )
    assert said.endswith("-b.parquet)")
    (copy,) = [key for key in keys(QUARANTINE) if key.endswith("b.parquet")]
    assert get(QUARANTINE, copy) == bad
    answer = machine.check()
    assert (answer["status"], answer["code"]) == ("broken", "CorruptFile")
    assert curated_ids() == []

    again = Machine("job-2", resume="job-1")
    told = again.validate()
    assert (told["status"], told["files"], told["files_rejected"]) == ("valid", 1, 1)
    assert told["code"] == "CorruptFile"
    assert again.transform()["status"] == "completed"
    assert again.check()["status"] == "valid"
    assert again.load()["status"] == "loaded"
    assert curated_ids() == ["1", "2"]


def test_a_column_that_files_may_lack_is_null(account: Path) -> None:
    put(LANDING, EU, world.parquet(pa.table({"order_id": ["1"]})))
    machine = Machine(drift="permissive")
    assert machine.validate()["status"] == "valid"
    assert machine.transform()["rows_out"] == 1
    assert machine.check()["null_pct"]["amount"] == 1.0


def test_check_tells_the_threshold_that_is_broken(account: Path) -> None:
    put(LANDING, EU, orders("1"))
    machine = Machine(dq_rules={"min_rows": 1000})
    machine.validate()
    machine.transform()
    answer = machine.check()
    assert (answer["status"], answer["code"]) == ("broken", "TooFewRows")
    assert answer["message"] == "1 rows; min_rows is 1,000"
    assert curated_ids() == []


def test_load_tells_a_table_that_cannot_be_evolved(account: Path) -> None:
    declare(account, database="shop", table="orders")
    catalog.glue().create_database(DatabaseInput={"Name": "shop"})
    put(LANDING, EU, orders("1"))
    first = Machine()
    for step in (first.validate, first.transform, first.check, first.load):
        step()
    table = catalog.glue().get_table(DatabaseName="shop", Name="orders")["Table"]
    told = {
        name: table[name]
        for name in ("Name", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    }
    for column in told["StorageDescriptor"]["Columns"]:
        column["Type"] = "date" if column["Name"] == "amount" else column["Type"]
    catalog.glue().update_table(DatabaseName="shop", TableInput=told)
    put(LANDING, EU, orders("2"))
    second = Machine("job-2")
    for step in (second.validate, second.transform, second.check):
        step()
    with pytest.raises(SchemaConflict, match="amount"):
        second.load()


def test_load_tells_a_table_that_changed_meanwhile(account: Path) -> None:
    put(LANDING, EU, orders("1"))
    merge: dict[str, Any] = {"write_mode": "merge", "keys": ["dt", "region", "order_id"]}
    first = Machine(**merge)
    for step in (first.validate, first.transform, first.check):
        step()
    put(CURATED, f"{EU.removesuffix('a.parquet')}part-other.zstd.parquet", orders("9"))
    with pytest.raises(Exception, match="part-other") as found:
        first.load()
    assert type(found.value).__name__ == "TableChanged"
