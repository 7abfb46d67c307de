"""The Glue job's Delta table on S3, on Sail in Spark's place: the same rows as deltalake's, once a run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import curation_world as world
import delta_world
import narwhals as nw
import polars as pl
import pytest
from curation_world import CONTEXT
from delta_world import Row, sail_environment, sail_python, staged, table

from aws_runtime import storage
from aws_runtime.codec import encode
from aws_runtime.curation import delta_log, delta_run, write_modes
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.delta_run import DeltaRun
from aws_runtime.handlers import load_delta
from aws_runtime.plan import AssetPlan, OutputPlan

pytestmark = [pytest.mark.sail, pytest.mark.local_aws]

TOLD = world.told(delta=True)
PLAN = AssetPlan("shop", "orders", "m:f", (), OutputPlan(TOLD.output_contract, TOLD.partition_by))
Ask = Callable[[DeltaRun], dict[str, Any]]
EU, US, NOWHERE = (
    "dt=2024-07-02/region=eu/",
    "dt=2024-07-02/region=u%3As/",
    "dt=2024-07-02/region=__HIVE_DEFAULT_PARTITION__/",
)
#: Runs after each other: rows that change, stay, come again and are new, in three partitions.
RUNS: tuple[tuple[str, list[Row]], ...] = (
    (EU, [("a", 1.0), ("b", None), ("c", 3.0)]),
    (US, [("d", 1.0)]),
    (EU, [("a", 1.0), ("b", 2.0), ("e", None)]),
    (NOWHERE, [("f", 1.0)]),
    (EU, [("a", None), ("b", 2.0)]),
)


@pytest.fixture(scope="module")
def bucket(local_aws: Any) -> Iterator[str]:
    with delta_world.bucket(local_aws.endpoint) as name:
        yield name


@pytest.fixture(scope="module")
def spark(bucket: str) -> Iterator[Ask]:
    """Return what the Glue job does, in a process of its own."""
    with subprocess.Popen(
        [str(sail_python()), str(Path(__file__).with_name("sail_worker.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=sail_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def ask(run: DeltaRun) -> dict[str, Any]:
            asked = {"plan": PLAN.to_json(), "event": {"load": encode(run)}}
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield ask
        process.stdin.close()


def lambda_(run: DeltaRun) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_delta, "load_declared", lambda: TOLD)
        answer: dict[str, Any] = load_delta.handler({"load": encode(run)}, CONTEXT)
    return answer


@pytest.mark.parametrize("mode", WriteMode)
def test_the_same_runs_give_the_same_table(bucket: str, spark: Ask, mode: WriteMode) -> None:
    """By deltalake, by Spark, and by both in turn; each run written twice."""
    history = ", valid_from, valid_to, is_current" if mode is WriteMode.SCD2 else ""
    columns = f"order_id, amount, dt, region{history}"
    found = {}
    for name, writers in {"function": (lambda_,), "job": (spark,), "both": (spark, lambda_)}.items():
        path = f"{mode}-{name}"
        for number, (folder, rows) in enumerate(RUNS):
            at = f"2024-07-0{number + 1}T10:00:00+00:00"
            run = staged(bucket, f"{path}-{number}", rows, mode, folder=folder, event_time=at, table=path)
            write = writers[number % len(writers)]
            answers = [write(run), write(run)]
            assert "error" not in answers[0], answers[0]
            assert answers[0]["version"] == answers[1]["version"]
        found[name] = table(bucket, columns, path)
    assert found["function"] == found["job"] == found["both"]
    assert {row[3] for row in found["job"]} == {"eu", "u:s", None}
    if mode in delta_world.KEYED:
        assert _by_files(mode) == sorted((row[:2] + row[4:] for row in found["job"]), key=repr)


def _by_files(mode: WriteMode) -> list[tuple[Any, ...]]:
    """Return the table's rows as merge and scd2 on files have them, by the keys alone."""
    types = {"order_id": pl.String, "amount": pl.Float64}
    added = {"valid_from": pl.Datetime("us"), "valid_to": pl.Datetime("us"), "is_current": pl.Boolean}
    there = pl.DataFrame(schema=types | (added if mode is WriteMode.SCD2 else {})).lazy()
    for number, (_, rows) in enumerate(RUNS):
        incoming = nw.from_native(pl.DataFrame(rows, schema=types, orient="row").lazy())
        existing = nw.from_native(there)
        if mode is WriteMode.SCD2:
            after = write_modes.scd2(
                existing, incoming, ["order_id"], datetime.fromisoformat(f"2024-07-0{number + 1}T10:00:00")
            )
        else:
            after = write_modes.merge(existing, incoming, ["order_id"])
        there = nw.to_native(after).collect().lazy()
    return sorted(there.collect().rows(), key=repr)


def test_a_job_that_died_after_its_commit_is_told_of_by_the_next_one(bucket: str, spark: Ask) -> None:
    """Sail's log knows no transactions, so the note of who was writing decides."""
    first = staged(bucket, "died-0", [("a", 1.0)], table="died")
    version = spark(first)["version"]
    note = {"run": encode(first), "version": version - 1}
    uri = f"{first.runs}delta.json"
    storage.delete_all([uri])
    storage.put_json(delta_run._note(first), note)
    second = staged(bucket, "died-1", [("b", 1.0)], table="died")
    assert spark(second)["version"] == version + 1
    assert spark(first)["version"] == version
    assert table(bucket, "order_id", "died") == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", 1.0), ("a", 2.0)], "2 rows of the key order_id=a"),
    ],
)
def test_what_does_not_fit_changes_nothing(bucket: str, spark: Ask, rows: list[Row], said: str) -> None:
    run = staged(bucket, "twice", rows, WriteMode.MERGE, table="twice")
    answer = spark(run)
    assert answer["error"] == "DeltaWriteError"
    assert said in answer["message"]
    assert delta_log.newest(run.table) is None
