"""Whole runs that merge: validated, transformed, checked and loaded in an in-process AWS; two at once, cut off anywhere."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import curation_world as world
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curation_world import CURATED, LANDING, QUARANTINE, KilledError, get, keys, put

from aws_runtime import records, storage
from aws_runtime.curation import leases, staging
from aws_runtime.curation.checking import check_output
from aws_runtime.curation.job import Job
from aws_runtime.curation.leases import PartitionsBusy
from aws_runtime.curation.publish import publish
from aws_runtime.engines import Limits
from aws_runtime.errors import TableChanged
from aws_runtime.events import parse_event
from aws_runtime.materialize import materialize
from aws_runtime.plan import AssetPlan

KEYS = ["dt", "region", "order_id"]
FOLDER = "dt=2024-07-02/region=eu/"
PLAN = AssetPlan.from_json(
    {
        "pipeline": "shop",
        "asset": "orders",
        "transform": "test_merging_runs:same",
        "inputs": [
            {
                "name": "landed",
                "format": {"name": "parquet"},
                "contract": {
                    "name": "Order",
                    "columns": [{**column, "coerce": True} for column in world.COLUMNS],
                },
            }
        ],
        "output": {
            "contract": {"name": "Order", "columns": world.COLUMNS},
            "partition_by": world.DOCUMENT["partition_by"],
        },
    }
)


def same(landed: Any) -> Any:
    return landed


class Account:
    """Runs by name, and a clock that leases look at."""

    def __init__(self) -> None:
        self.at = datetime(2024, 7, 4, tzinfo=UTC)

    def begin(
        self, name: str, rows: dict[str, float | None], day: int = 2, folder: str = FOLDER, **more: Any
    ) -> Job:
        """Land one file, and validate it."""
        body = world.parquet(pa.table({"order_id": list(rows), "amount": list(rows.values())}))
        put(LANDING, f"orders/{folder}{name}.parquet", body)
        job = world.opened({"write_mode": "merge", "keys": KEYS, **more}, name)
        job = replace(job, event_time=datetime(2024, 7, day, 10, tzinfo=UTC))
        self.told = staging.validate(job, None)
        storage.put_json(f"{job.runs}told.json", self.told)
        return job

    def transform(self, job: Job) -> dict[str, Any]:
        told = storage.get_json(f"{job.runs}told.json")
        assert told is not None
        event = {
            "execution": job.id,
            "event_time": job.event_time.isoformat(),
            "inputs": {"landed": {"manifest": told["manifest"]}},
            "curation": told["curation"],
        }
        at = records.places(f"s3://{CURATED}/orders/", f"s3://{QUARANTINE}/", PLAN, job.id)
        return materialize(
            PLAN, parse_event(event, PLAN), at, limits=lambda folder: Limits(256 << 20, 1, str(folder))
        )

    def load(self, job: Job) -> dict[str, Any]:
        return publish(job, f"s3://{CURATED}/_runs/shop/orders/{job.id}.json")

    def run(self, name: str, rows: dict[str, float | None], **more: Any) -> dict[str, Any]:
        job = self.begin(name, rows, **more)
        record = self.transform(job)
        if record["status"] == "completed":
            self.load(job)
        return record

    def table(self, folder: str = FOLDER) -> dict[str, float | None]:
        """Return amount by id; each id is there once."""
        found: dict[str, float | None] = {}
        for key in keys(CURATED, f"orders/{folder}"):
            for row in pq.read_table(pa.BufferReader(get(CURATED, key))).to_pylist():
                assert row["order_id"] not in found
                found[row["order_id"]] = row["amount"]
        return found


@contextlib.contextmanager
def opened(*, versioned: bool = True) -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch, world.aws(patch, versioned=versioned):
        there = Account()
        patch.setattr(leases, "now", lambda: there.at)
        yield there


@pytest.mark.parametrize("versioned", [True, False])
def test_rows_are_updated_inserted_and_kept(versioned: bool) -> None:
    with opened(versioned=versioned) as there:
        first = there.run("one", {"a": 1.0, "b": 2.0})
        other = there.run("other", {"a": 7.0}, folder="dt=2024-07-02/region=us/")
        second = there.run("two", {"b": None, "c": 3.0})
        assert there.table() == {"a": 1.0, "b": None, "c": 3.0}
        assert there.table("dt=2024-07-02/region=us/") == {"a": 7.0}
        assert len(keys(CURATED, f"orders/{FOLDER}")) == 1
    counts = [[one[name] for name in ("rows_in", "rows_out", "rows_existing", "rows_merged", "rows_staged")]
              for one in (first, other, second)]  # fmt: skip
    assert counts == [[2, 2, 0, 0, 2], [1, 1, 0, 0, 1], [2, 2, 2, 1, 3]]


def test_the_document_names_the_versions_that_were_read() -> None:
    with opened() as there:
        there.run("one", {"a": 1.0})
        (key,) = keys(CURATED, f"orders/{FOLDER}")
        head = storage.s3().head_object(Bucket=CURATED, Key=key)
        job = there.begin("two", {"b": 2.0})
        record = there.transform(job)
        document = json.loads(get(CURATED, f"_runs/shop/orders/{job.id}/existing.json"))
        assert document == {
            "digest": record["existing"],
            "files": [
                {
                    "bucket": CURATED,
                    "key": key,
                    "version_id": head["VersionId"],
                    "etag": head["ETag"].strip('"'),
                    "size": head["ContentLength"],
                    "partition": {"dt": "2024-07-02", "region": "eu"},
                }
            ],
        }


def test_a_row_without_a_key_is_quarantined() -> None:
    with opened() as there:
        job = there.begin("one", {"a": 1.0})
        body = world.parquet(pa.table({"order_id": ["a", None], "amount": [1.0, 2.0]}))
        (key,) = keys(CURATED, "_staging/shop/one/input/")
        nullable = [{**column, "nullable": True, "coerce": True} for column in world.COLUMNS]
        put(CURATED, key, body)
        manifest = storage.get_json(f"{job.runs}manifest.json")
        head = storage.s3().head_object(Bucket=CURATED, Key=key)
        manifest["files"][0] |= {
            "version_id": head["VersionId"],
            "etag": head["ETag"].strip('"'),
            "size": len(body),
        }
        storage.put_json(f"{job.runs}manifest.json", manifest)
        document = PLAN.to_json()
        for contract in (document["inputs"][0]["contract"], document["output"]["contract"]):
            contract["columns"] = nullable
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(globals(), "PLAN", AssetPlan.from_json(document))
            record = there.transform(job)
        assert [record[name] for name in ("rows_in", "rows_out", "rows_quarantined", "rows_staged")] == [
            2,
            1,
            1,
            1,
        ]
        row = pq.read_table(pa.BufferReader(get(*storage.parse_uri(record["quarantine"][0])))).to_pylist()[0]
        assert row["stage"] == "orders"
        assert "order_id" in row["reasons"][0]


def test_a_key_that_comes_twice_rejects_the_run_and_keeps_its_files() -> None:
    with opened() as there:
        there.run("one", {"a": 1.0})
        put(LANDING, f"orders/{FOLDER}more.parquet", world.orders("b"))
        job = there.begin("two", {"b": 1.0, "c": 2.0})
        record = there.transform(job)
        assert record["status"] == "rejected"
        assert record["reason"]["code"] == "DuplicateKeys"
        assert (
            "2 rows of the run have the key dt=2024-07-02, region=eu, order_id=b"
            in record["reason"]["message"]
        )
        assert len(record["quarantine"]) == 2
        answer = check_output(job, record["record"])
        assert (answer["status"], answer["code"]) == ("broken", "DuplicateKeys")
        assert there.table() == {"a": 1.0}


def test_fewest_rows_are_those_of_the_run_not_of_the_table() -> None:
    with opened() as there:
        there.run("one", {"a": 1.0, "b": 1.0, "c": 1.0})
        job = there.begin("two", {"a": 2.0}, dq_rules={"min_rows": 2})
        record = there.transform(job)
        assert record["rows_staged"] == 3
        answer = check_output(job, record["record"])
        assert (answer["rows"], answer["code"], answer["message"]) == (
            3,
            "TooFewRows",
            "1 rows; min_rows is 2",
        )


def test_scd2_keeps_history_which_the_catalog_tells_of() -> None:
    with opened() as there:
        boto3.client("glue", "eu-west-1").create_database(DatabaseInput={"Name": "lake"})
        for name, amount, day in (("one", 1.0, 2), ("two", 2.0, 3)):
            job = there.begin(name, {"a": amount, "b": 0.0}, day=day, write_mode="scd2")
            job = replace(job, declared=replace(job.declared, database="lake", table="orders"))
            there.transform(job)
            assert check_output(job, f"s3://{CURATED}/_runs/shop/orders/{name}.json")["status"] == "valid"
            there.load(job)
        rows = [
            (row["order_id"], row["amount"], row["valid_to"], row["is_current"])
            for key in keys(CURATED, "orders/")
            for row in pq.read_table(pa.BufferReader(get(CURATED, key))).to_pylist()
        ]
        end = datetime.fromisoformat("2024-07-03T10:00:00")
        assert sorted(rows, key=repr) == [
            ("a", 1.0, end, False), ("a", 2.0, None, True), ("b", 0.0, None, True)
        ]  # fmt: skip
        table = boto3.client("glue", "eu-west-1").get_table(DatabaseName="lake", Name="orders")["Table"]
        columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
        assert columns == {"order_id": "string", "amount": "double", "valid_from": "timestamp",
                           "valid_to": "timestamp", "is_current": "boolean"}  # fmt: skip


def test_files_that_vanish_while_they_are_read_are_found_anew() -> None:
    """Another run replaces the partition between its listing and its reading."""
    with opened() as there, pytest.MonkeyPatch.context() as patch:
        there.run("one", {"a": 1.0})
        job = there.begin("two", {"b": 2.0})
        download, done = storage.download, []

        def replacing(item: Any, target: Path) -> None:
            if item.key.startswith("orders/") and not done:
                done.append(item.key)
                there.run("between", {"a": 5.0})
                storage.s3().delete_object(Bucket=CURATED, Key=item.key, VersionId=item.version_id)
            download(item, target)

        patch.setattr(storage, "download", replacing)
        there.transform(job)
        there.load(job)
        assert done
        assert there.table() == {"a": 5.0, "b": 2.0}


def test_two_runs_that_read_the_same_table_are_one_after_the_other() -> None:
    with opened() as there:
        there.run("zero", {"a": 0.0})
        one, two = there.begin("one", {"a": 1.0, "b": 1.0}), there.begin("two", {"a": 2.0, "c": 2.0})
        there.transform(one)
        there.transform(two)
        there.load(one)
        with pytest.raises(TableChanged, match="start the run again"):
            there.load(two)
        assert there.table() == {"a": 1.0, "b": 1.0}
        there.transform(two)
        there.load(two)
        assert there.table() == {"a": 2.0, "b": 1.0, "c": 2.0}


def finished(there: Account, job: Job) -> None:
    """Load as a state machine and an operator do: again while it is busy, and from the transform where it must."""
    for _ in range(5):
        try:
            there.load(job)
        except PartitionsBusy:
            there.at += leases.LEASE + timedelta(seconds=1)
        except TableChanged:
            there.transform(job)
        else:
            return
    raise AssertionError


RUNS = {"one": {"a": 1.0, "b": 1.0}, "two": {"a": 2.0, "c": 2.0}}


def begun(there: Account) -> tuple[Job, Job]:
    there.run("zero", {"a": 0.0, "d": 0.0})
    jobs = [there.begin(name, rows) for name, rows in RUNS.items()]
    for job in jobs:
        there.transform(job)
    return jobs[0], jobs[1]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_load_that_is_cut_off_loses_and_doubles_nothing(*, after: bool) -> None:
    """One dies in its load; two finishes; one is retried. The table is that of one order of both."""
    with opened() as there:
        one, _ = begun(there)
        with world.killed() as killer:
            there.load(one)
    for at in range(len(killer.calls)):
        with opened() as there:
            one, two = begun(there)
            with world.killed(at, after=after), contextlib.suppress(KilledError):
                there.load(one)
            finished(there, two)
            between = there.table()
            orders = ({"a": 2.0, "c": 2.0, "d": 0.0}, {"a": 2.0, "b": 1.0, "c": 2.0, "d": 0.0})
            assert between in orders, at
            finished(there, one)
            last = {"a": 2.0} if between == orders[1] else {"a": 1.0}
            assert there.table() == {"b": 1.0, "c": 2.0, "d": 0.0, **last}, at
            assert keys(CURATED, "_staging/") == []


def test_what_a_dead_load_left_is_not_read_as_rows() -> None:
    """Between the copies and the clean-up a folder holds old and new rows; a run reads one of both."""
    more = {"write_mode": "scd2"}
    with opened() as there:
        there.run("zero", {"a": 0.0, "d": 0.0}, **more)
        one = there.begin("one", {"a": 1.0, "b": 1.0}, day=3, **more)
        there.transform(one)
        with world.killed() as killer:
            there.load(one)
    seen = set()
    for at in range(len(killer.calls)):
        with opened() as there:
            there.run("zero", {"a": 0.0, "d": 0.0}, **more)
            one, two = (
                there.begin(name, rows, day=day, **more) for day, (name, rows) in enumerate(RUNS.items(), 3)
            )
            there.transform(one)
            with world.killed(at, after=True), contextlib.suppress(KilledError):
                there.load(one)
            committed = storage.get_json(f"{one.runs}committed.json") is not None
            assert there.transform(two)["rows_existing"] == (4 if committed else 2), at
            seen.add(committed)
            there.at += leases.LEASE + timedelta(seconds=1)
            there.load(two)  # what it has read is what is there once the dead run is cleaned up after
    assert seen == {False, True}


def test_a_transform_that_is_cut_off_is_repeated() -> None:
    with opened() as there:
        one, _ = begun(there)
        with world.killed() as killer:
            there.transform(one)
    for at in range(0, len(killer.calls), 2):
        with opened() as there:
            one, two = begun(there)
            there.load(two)
            with world.killed(at, after=True), contextlib.suppress(KilledError):
                there.transform(one)
            finished(there, one)
            assert there.table()["a"] == 1.0
            assert len(there.table()) == 4
