"""A Delta table on S3: the function writes a run once, whoever else writes, and wherever it is cut off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import curation_world as world
import delta_world
import pytest
from curation_world import CONTEXT
from delta_world import FOLDER, made, staged, table

from aws_runtime import storage
from aws_runtime.codec import encode
from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.curation import catalog, delta_log, delta_run, leases
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.delta import write_delta
from aws_runtime.curation.delta_run import DeltaRun
from aws_runtime.curation.delta_sql import DeltaWriteError
from aws_runtime.curation.table_schema import FormatConflict
from aws_runtime.handlers import load, load_delta, validate_parquet

ORDERS = Contract(
    "Order",
    (
        Column("order_id", DataType("string")),
        Column("amount", DataType("float64"), nullable=True),
        Column("dt", DataType("date")),
        Column("region", DataType("string")),
    ),
)


pytestmark = pytest.mark.local_aws


@pytest.fixture
def bucket(local_aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(load_delta, "load_declared", lambda: world.told(delta=True))
    with delta_world.bucket(local_aws.endpoint) as name:
        yield name


def write(run: DeltaRun) -> dict[str, Any]:
    answer: dict[str, Any] = load_delta.handler({"load": encode(run)}, CONTEXT)
    return answer


@pytest.mark.parametrize("mode", WriteMode)
def test_each_mode_writes_a_run_once(bucket: str, mode: WriteMode) -> None:
    first = staged(bucket, "job-1", [("a", 1.0), ("b", 2.0)], mode)
    second = staged(bucket, "job-2", [("b", 3.0), ("c", None)], mode)
    versions = [write(run)["version"] for run in (first, second, first, second)]
    assert versions[:2] == versions[2:]
    expected = {
        WriteMode.APPEND: [("a", 1.0), ("b", 2.0), ("b", 3.0), ("c", None)],
        WriteMode.OVERWRITE_PARTITIONS: [("b", 3.0), ("c", None)],
        WriteMode.MERGE: [("a", 1.0), ("b", 3.0), ("c", None)],
        WriteMode.SCD2: [("a", 1.0), ("b", 2.0), ("b", 3.0), ("c", None)],
    }
    assert table(bucket) == expected[mode]
    assert {row[0].isoformat() for row in table(bucket, "dt")} == {"2024-07-02"}
    added = delta_log.read(first.table, versions[1])
    assert added is not None
    assert all(file.partition == {"dt": "2024-07-02", "region": "eu"} for file in added.added)
    assert all(storage.s3().head_object(Bucket=bucket, Key=storage.parse_uri(f.uri)[1]) for f in added.added)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_writer_cut_off_at_any_call_is_resumed(bucket: str, *, after: bool) -> None:
    """Cut off there, another run goes in between; each is in the table once, in some order."""
    at, cut = 0, True
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patch:
        # A dead run's lease is over at once.
        patch.setattr(leases, "LEASE", -leases.LEASE)
        while cut:
            run = staged(bucket, f"job-{at}", [(f"id-{at}", 1.0)])
            other = staged(bucket, f"other-{at}", [(f"other-{at}", 1.0)])
            with world.killed(at, after=after) as killer, contextlib.suppress(world.KilledError):
                write(run)
            cut = killer.dead
            write(other)
            version = write(run)["version"]
            assert table(bucket, "order_id").count((f"id-{at}",)) == 1
            commit = delta_log.read(run.table, version)
            assert commit is not None
            assert commit.transactions == {f"ingestion/{run.job_id}"}
            at += 1
    assert len(table(bucket)) == 2 * at
    assert at > 8


def test_the_functions_of_a_run(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the landing zone to the catalog, twice; plain files are not mixed in."""
    environment = {
        "BUCKET_LANDING": f"landing-{bucket}",
        "BUCKET_CURATED": bucket,
        "QUARANTINE": f"s3://quarantine-{bucket}/",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name in (f"landing-{bucket}", f"quarantine-{bucket}"):
        made(name)
    database = f"d_{bucket.replace('-', '_')}"
    catalog.glue().create_database(DatabaseInput={"Name": database})
    told = world.told(delta=True, database=database, table="orders")
    for module in (validate_parquet, load):
        monkeypatch.setattr(module, "load_declared", lambda: told)
    answers = []
    for number, given in enumerate(({}, {"write_mode": "merge", "keys": ["order_id"]})):
        world.put(f"landing-{bucket}", f"orders/{FOLDER}a.parquet", world.orders("1"))
        asked = {"source_bucket": "landing", "table_format": "delta", **given}
        job = validate_parquet.handler(world.event(asked, f"job-{number}"), CONTEXT)
        assert (job["status"], job["table_format"]) == ("valid", "delta")
        rows = [("a", 1.0 + number), (f"b{number}", None)]
        record = staged(bucket, f"job-{number}", rows).record
        load_delta.handler({"load": {**job["delta"], "record": record}}, CONTEXT)
        answers.append(load.handler({"job": job, "record": record}, CONTEXT))
        assert load.handler({"job": job, "record": record}, CONTEXT) == answers[-1]
    assert table(bucket) == [("a", 2.0), ("b0", None), ("b1", None)]
    assert [answer["rows"] for answer in answers] == [2, 2]
    assert answers[0]["partitions"] == ["dt=2024-07-02/region=eu"]
    (file,) = storage.get_json(answers[0]["manifest"])["files"]
    tags = storage.s3().get_object_tagging(Bucket=bucket, Key=file["key"])["TagSet"]
    assert {"Key": "job_id", "Value": "job-0"} in tags
    there = catalog.glue().get_table(DatabaseName=database, Name="orders")["Table"]
    assert there["Parameters"]["table_type"] == "DELTA"
    assert there["StorageDescriptor"]["Location"] == f"s3://{bucket}/orders/"
    assert world.keys(bucket, "_staging/") == []

    world.put(f"landing-{bucket}", f"orders/{FOLDER}a.parquet", world.orders("1"))
    job = validate_parquet.handler(world.event({}, "job-2"), CONTEXT)
    with pytest.raises(FormatConflict, match="is a Delta table"):
        load.handler({"job": job, "record": staged(bucket, "job-2", [("c", 1.0)]).record}, CONTEXT)
    assert len(table(bucket)) == 3


def test_plain_files_are_not_hidden_by_a_table(bucket: str) -> None:
    world.put(bucket, f"orders/{FOLDER}part-x.parquet", world.orders("old"))
    with pytest.raises(
        DeltaWriteError, match=r"holds plain files \(dt=2024-07-02/region=eu/part-x.parquet\)"
    ):
        write(staged(bucket, "job-1", [("a", 1.0)]))
    assert delta_log.newest(f"s3://{bucket}/orders/") is None


def test_functions_at_once(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_run, "PAUSE_SECONDS", 0.2)
    runs = [staged(bucket, f"job-{n}", [(f"id-{n}", 1.0)], WriteMode.MERGE) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        versions = [answer["version"] for answer in pool.map(write, [*runs, *runs])]
    assert versions[:4] == versions[4:]
    assert len(set(versions)) == 4
    assert table(bucket, "order_id") == [(f"id-{n}",) for n in range(4)]


def test_writers_without_leases_lose_no_commit(bucket: str) -> None:
    """Commits are conditional puts: writers that know nothing of each other lose nothing either."""
    runs = [staged(bucket, f"job-{n}", [(f"id-{n}", 1.0)]) for n in range(8)]

    def one(run: DeltaRun) -> int:
        return write_delta(
            delta_run.staged(run).files,
            table_uri=run.table,
            contract=ORDERS,
            mode=WriteMode.APPEND,
            partition_by=("dt", "region"),
            job_id=run.job_id,
            event_time=run.moment,
        ).version

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, runs))
    assert table(bucket, "order_id") == [(f"id-{n}",) for n in range(8)]


def test_a_table_that_is_held_makes_wait(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = staged(bucket, "job-1", [("a", 1.0)])
    held = leases.take(run.locks, "another", f"{run.runs}x.json", {run.table: ()})
    monkeypatch.setattr(load_delta, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(leases.PartitionsBusy, match="another"):
        write(run)
    leases.release(held[run.table])
    assert write(run)["status"] == "written"
