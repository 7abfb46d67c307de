"""A run that failed, taken up again: its files are where it has left them, its rules are new ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from curation_world import ENVIRONMENT, LANDING, aws, event, keys, orders, put, told

from aws_runtime import storage
from aws_runtime.curation.config import ConfigError
from aws_runtime.curation.job import open_job
from aws_runtime.curation.staging import validate
from aws_runtime.identity import FileIdentity
from aws_runtime.ingress.executions import input_of
from aws_runtime.ingress.notifications import Arrival


@pytest.fixture(autouse=True)
def in_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with aws(monkeypatch):
        yield


def run(execution: str, **given: Any) -> dict[str, Any]:
    job, arrived = open_job(event(given, execution), told(), ENVIRONMENT, lambda _name: None)
    return validate(job, arrived)


def files(answer: dict[str, Any]) -> list[str]:
    manifest = storage.get_json(answer["manifest"])
    assert manifest is not None
    return [each["key"] for each in manifest["files"]]


def test_a_resumed_run_has_the_files_of_the_first_and_the_rules_of_its_own() -> None:
    put(LANDING, "orders/dt=2024-07-02/region=eu/a.parquet", orders("1", "2"))
    first = run("job-1", dq_rules={"min_rows": 9})
    assert keys(LANDING) == []
    put(LANDING, "orders/dt=2024-07-02/region=eu/b.parquet", orders("3"))
    again = run("job-2", resume="job-1", dq_rules={"min_rows": 1})
    assert (again["job_id"], again["files"], files(again)) == ("job-1", 1, files(first))
    document = storage.get_json(again["config"])
    assert document is not None
    assert document["config"]["dq_rules"]["min_rows"] == 1
    # What came since is another run's.
    assert len(keys(LANDING)) == 1


def test_files_that_the_first_run_rejected_stay_rejected() -> None:
    put(LANDING, "orders/dt=2024-07-02/region=eu/a.parquet", orders("1"))
    put(LANDING, "orders/dt=2024-13-45/region=eu/b.parquet", orders("2"))
    put(LANDING, "orders/dt=2024-07-02/region=eu/c.parquet", b"text")
    first, again = run("job-1"), run("job-2", resume="job-1")
    assert (again["files"], again["files_rejected"]) == (first["files"], first["files_rejected"]) == (1, 2)


def test_a_run_that_failed_before_it_took_a_file_takes_them_when_it_is_resumed() -> None:
    put(LANDING, "orders/dt=2024-07-02/region=eu/a.parquet", orders("1"))
    with pytest.raises(ConfigError):
        run("job-1", drift="no")
    assert run("job-2", resume="job-1")["files"] == 1


@pytest.mark.parametrize("name", ["../x", "", 7, "a b", "x" * 81])
def test_what_names_no_run_is_refused_before_anything_is_touched(name: Any) -> None:
    put(LANDING, "orders/dt=2024-07-02/region=eu/a.parquet", orders("1"))
    if name == "":
        assert run("job-1", resume=name)["job_id"] == "job-1"
        return
    with pytest.raises(ConfigError, match=r"^resume: "):
        run("job-1", resume=name)
    assert len(keys(LANDING)) == 1


def test_every_later_input_names_the_first_run() -> None:
    arrival = Arrival("b", "orders/_SUCCESS", "2024-07-02T10:00:00Z", 0, "e", "v", "")
    item = {
        "input": {"S": '{"dq_rules": {}}'},
        "execution_arn": {"S": "arn:aws:states:r:1:execution:m:first"},
    }
    once = input_of(item, arrival)
    assert json.loads(once) == {"resume": "first", "dq_rules": {}}
    item = {"input": {"S": once}, "execution_arn": {"S": "arn:aws:states:r:1:execution:m:first-r1"}}
    assert input_of(item, arrival) == once
    assert "resume" not in json.loads(input_of({"pipeline": {"S": "p"}}, arrival))
    assert FileIdentity("b", "orders/_SUCCESS", "v") == arrival.identity
