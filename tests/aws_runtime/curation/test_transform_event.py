"""What a configured run says in a materialization's event: checked before anything is read."""

from __future__ import annotations

from typing import Any

import duckdb
import narwhals as nw
import pytest

from aws_runtime import storage
from aws_runtime.contract import Contract
from aws_runtime.curation.built_in import prepared
from aws_runtime.curation.config import ConfigError
from aws_runtime.events import parse_event
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan
from aws_runtime.units import resolve

PLAN = AssetPlan(
    "curated", "orders", "m:f", (InputPlan("sales", FormatPlan("parquet"), Contract("sales", ())),), OutputPlan(Contract("sales", ()))
)  # fmt: skip


def event(**curation: Any) -> dict[str, Any]:
    return {
        "execution": "job-1",
        "event_time": "2024-07-02T10:00:00Z",
        "inputs": {"sales": {"manifest": "s3://curated/_runs/m.json"}},
        "curation": curation,
    }


def test_destination_and_steps_are_read() -> None:
    asked = parse_event(event(destination="s3://b/staging/", steps=[{"drop": ["a"]}]), PLAN).curation
    assert asked is not None
    assert asked.destination == "s3://b/staging/"
    assert asked.steps == ({"drop": ["a"]},)


@pytest.mark.parametrize("destination", ["s3://b/staging", "/tmp/", "s3:///x/"])
def test_destination_that_is_no_prefix_is_refused(destination: str) -> None:
    with pytest.raises(ValueError, match=r"curation\.destination"):
        parse_event(event(destination=destination), PLAN)


def test_built_in_steps_run_in_order() -> None:
    steps = prepared([{"rename": {"a": "b"}}, {"filter": "b > 1"}, {"derive": {"c": "b * 2"}}])
    frame = nw.from_native(duckdb.sql("SELECT unnest([1, 2, 3]) AS a")).lazy()
    assert sorted(nw.to_native(steps(frame)).fetchall()) == [(2, 4), (3, 6)]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"renam": {}}, r"steps\[0\].*renam"),
        ({"filter": "a >"}, r"steps\[0\]\.filter"),
        ({"drop": "a"}, "drop"),
    ],
)
def test_step_that_is_none_is_an_error_of_the_configuration(step: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        prepared([step])


def test_files_of_a_manifest_that_says_together_are_one_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        {"bucket": "b", "key": f"in/{name}.parquet", "version_id": name, "event_time": "2024-07-02T09:00:00Z",
         "partition": {"dt": f"2024-07-0{name}"}}
        for name in ("1", "2")
    ]  # fmt: skip
    manifest = {"pipeline": "curated", "date": "2024-07-02", "batch": 1, "bytes": 2, "files": files}
    asked = parse_event(event(destination="s3://b/staging/"), PLAN)
    for together, units in ((True, 1), (False, 2)):
        document = {**manifest, "together": together}
        monkeypatch.setattr(storage, "get_json", lambda _, document=document: document)
        found = resolve(asked)
        assert (len(found.units), found.batch) == (units, not together)
        objects = [item for unit in found.units for item in unit.inputs["sales"]]
        assert [item.partition for item in objects] == [{"dt": "2024-07-01"}, {"dt": "2024-07-02"}]
