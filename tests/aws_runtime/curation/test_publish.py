"""Staged outputs are checked by their footers, and published once, wherever a run is cut off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import curation_world as world
import pytest
from curation_world import CONTEXT, CURATED, LANDING, killed, opened, orders, put

from aws_runtime import storage
from aws_runtime.curation import files as curated_files
from aws_runtime.curation.checking import RunRecordError, check_output
from aws_runtime.curation.job import Job
from aws_runtime.curation.publish import publish
from aws_runtime.handlers import check_output as check_handler
from aws_runtime.handlers import load as load_handler
from aws_runtime.handlers import validate_parquet

FOLDER = "dt=2024-07-02/region=eu/"
RECORD = f"s3://{CURATED}/_runs/shop/orders/record.json"
OVERWRITE = {"write_mode": "overwrite_partitions"}
NEW, OLD = "20240702T100000Z-" + "b" * 16, "20240701T100000Z-" + "a" * 16


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with world.aws(monkeypatch):
        yield


def stage(job: Job, bodies: dict[str, bytes], rows: int = 1) -> str:
    outputs = []
    for name, body in bodies.items():
        uri = f"{job.staging}output/{FOLDER}{name}"
        put(*storage.parse_uri(uri), body)
        outputs.append({"uri": uri, "rows": rows, "partition": {"dt": "2024-07-02", "region": "eu"}})
    record = f"s3://{CURATED}/_runs/shop/orders/{job.id}.json"
    files = record.replace(".json", ".files.json")
    storage.put_json(files, {"outputs": outputs, "quarantine": [], "units": []})
    storage.put_json(record, {"status": "completed", "files": files})
    return record


@pytest.mark.parametrize(
    ("rules", "body", "code"),
    [
        ({}, orders("1"), ""),
        ({"min_rows": 2}, orders("1"), "TooFewRows"),
        ({}, b"order_id\n1\n", "OutputNotParquet"),
        ({"completeness": {"region": {"values": ["eu", "us"]}}}, orders("1"), "IncompletePartitions"),
    ],
)
def test_the_output_is_judged_by_its_footers(aws: None, rules: Any, body: bytes, code: str) -> None:
    job = opened({"dq_rules": rules})
    answer = check_output(job, stage(job, {f"part-{NEW}.zstd.parquet": body}))
    assert (answer["status"], answer["code"]) == ("broken" if code else "valid", code)
    assert bool(storage.get_json(answer["report"])["broken"]) == bool(code)


def test_a_rejected_transform_and_files_from_elsewhere(aws: None) -> None:
    job = opened()
    storage.put_json(RECORD, {"status": "rejected", "reason": {"code": "CorruptFile", "message": "x"}})
    assert check_output(job, RECORD)["code"] == "CorruptFile"
    record = stage(opened(execution="another"), {"part-x.zstd.parquet": orders("1")})
    with pytest.raises(RunRecordError, match="outside"):
        publish(job, record)


@pytest.mark.parametrize(
    ("mode", "form"),
    [("append", "parquet"), ("overwrite_partitions", "parquet"), ("overwrite_partitions", "csv")],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_load_cut_off_at_any_call_is_resumed(
    monkeypatch: pytest.MonkeyPatch, mode: str, form: str, *, after: bool
) -> None:
    names = [f"part-{NEW}.zstd.parquet", f"part-{NEW}-1.zstd.parquet"]
    ending = "zstd.parquet" if form == "parquet" else form
    at, cut = 0, True
    while cut:
        with world.aws(monkeypatch):
            put(CURATED, f"orders/{FOLDER}part-{OLD}.zstd.parquet", orders("old"))
            put(CURATED, f"orders/dt=2024-07-01/region=eu/part-{OLD}.zstd.parquet", orders("old"))
            job = opened({"write_mode": mode, "output_format": form})
            record = stage(job, {name: orders(name) for name in names})
            with killed(at, after=after) as killer, contextlib.suppress(world.KilledError):
                publish(job, record)
            cut, at = killer.dead, at + 1
            answer = publish(job, record)
            kept = [] if mode == "overwrite_partitions" else [f"part-{OLD}.zstd.parquet"]
            there = [key.rpartition("/")[2] for key in world.keys(CURATED, f"orders/{FOLDER}")]
            assert there == sorted([*kept, *(name.replace("zstd.parquet", ending) for name in names)])
            assert len(world.keys(CURATED, "orders/dt=2024-07-01/")) == 1
            assert world.keys(CURATED, "_staging/") == []
            assert (answer["output_count"], answer["partitions"]) == (2, [FOLDER.rstrip("/")])
    assert at > 5


def test_a_newer_run_keeps_its_partition(aws: None) -> None:
    newer, older = opened(OVERWRITE, "newer"), opened(OVERWRITE, "older")
    publish(newer, stage(newer, {f"part-{NEW}.zstd.parquet": orders("new")}))
    answer = publish(older, stage(older, {f"part-{OLD}.zstd.parquet": orders("old")}))
    assert world.keys(CURATED, "orders/") == [f"orders/{FOLDER}part-{NEW}.zstd.parquet"]
    assert (answer["output_count"], answer["rows"], answer["partitions_superseded"]) == (0, 0, 1)
    assert storage.get_json(answer["manifest"])["files"] == []


def test_files_that_were_appended_later_stay(aws: None) -> None:
    appended, job = f"orders/{FOLDER}part-{NEW}.zstd.parquet", opened(OVERWRITE)
    put(CURATED, appended, orders("new"))
    put(CURATED, f"orders/{FOLDER}written-by-hand.parquet", orders("x"))
    put(CURATED, f"orders/{FOLDER}_SUCCESS", b"")
    publish(job, stage(job, {f"part-{OLD}.zstd.parquet": orders("old")}))
    assert world.keys(CURATED, f"orders/{FOLDER}") == sorted(
        [f"orders/{FOLDER}_SUCCESS", appended, f"orders/{FOLDER}part-{OLD}.zstd.parquet"]
    )


def test_others_are_told_exactly_what_was_published(aws: None) -> None:
    job, body = opened(), orders("1")
    answer = publish(job, stage(job, {f"part-{NEW}.zstd.parquet": body}, rows=1))
    manifest = storage.get_json(answer["manifest"])
    key = f"orders/{FOLDER}part-{NEW}.zstd.parquet"
    head = storage.s3().head_object(Bucket=CURATED, Key=key)
    assert manifest["together"] is True
    assert manifest["bytes"] == len(body)
    assert manifest["files"] == [
        {
            "bucket": CURATED,
            "key": key,
            "version_id": head["VersionId"],
            "etag": head["ETag"].strip('"'),
            "size": len(body),
            "event_time": job.event_time.isoformat(),
            "partition": {"dt": "2024-07-02", "region": "eu"},
        }
    ]
    assert answer["catalog"] == {"table": "", "added_columns": [], "partitions_added": 0}


@pytest.mark.parametrize("small", [0, 1_000_000], ids=["one by one", "several at once"])
@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("csv", b'"order_id","amount"\n"1",1.5\n"2",1.5\n'),
        ("json", b'{"order_id":"1","amount":1.5}\n{"order_id":"2","amount":1.5}\n'),
    ],
)
def test_files_are_published_in_the_format_that_is_asked_for(
    aws: None, monkeypatch: pytest.MonkeyPatch, form: str, body: bytes, small: int
) -> None:
    monkeypatch.setattr(curated_files, "SMALL_BYTES", small)
    job = opened({"output_format": form, **OVERWRITE})
    names = [f"part-{NEW}.zstd.parquet", f"part-{NEW}-1.zstd.parquet"]
    old = f"orders/{FOLDER}part-{OLD}.{form}"
    put(CURATED, old, b"old")
    record = stage(job, {name: orders("1", "2") for name in names}, rows=2)
    assert check_output(job, record)["status"] == "valid"
    answer = publish(job, record)
    assert world.keys(CURATED, "orders/") == sorted(
        f"orders/{FOLDER}part-{NEW}{number}.{form}" for number in ("", "-1")
    )
    for file in storage.get_json(answer["manifest"])["files"]:
        head = storage.s3().head_object(Bucket=CURATED, Key=file["key"])
        assert (file["etag"], file["version_id"]) == (head["ETag"].strip('"'), head["VersionId"])
        assert world.get(CURATED, file["key"]) == body
        assert file["size"] == len(body)
        tags = storage.s3().get_object_tagging(Bucket=CURATED, Key=file["key"])["TagSet"]
        assert {"Key": "job_id", "Value": "job-1"} in tags


def test_staging_that_has_expired_is_told(aws: None) -> None:
    job = opened()
    record = stage(job, {f"part-{NEW}.zstd.parquet": orders("1")})
    storage.delete_all([f"{job.staging}output/{FOLDER}part-{NEW}.zstd.parquet"])
    with pytest.raises(RunRecordError, match="not in the staging any more"):
        publish(job, record)


def test_the_three_functions(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (validate_parquet, check_handler, load_handler):
        monkeypatch.setattr(module, "load_declared", world.told)
    put(LANDING, f"orders/{FOLDER}a.parquet", orders("1"))
    job = validate_parquet.handler(world.event(), CONTEXT)
    assert job["status"] == "valid"
    asked = {"job": job, "record": stage(opened(), {f"part-{NEW}.zstd.parquet": orders("1")})}
    assert check_handler.handler(asked, CONTEXT)["status"] == "valid"
    loaded = load_handler.handler(asked, CONTEXT)
    assert loaded["outputs"] == [f"s3://{CURATED}/orders/{FOLDER}part-{NEW}.zstd.parquet"]
    bucket, key = storage.parse_uri(loaded["outputs"][0])
    tags = storage.s3().get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    assert {"Key": "job_id", "Value": "job-1"} in tags
    assert {"Key": "status", "Value": "curated"} in tags


@pytest.mark.parametrize("mode", ["append", "overwrite_partitions"])
def test_a_run_that_is_resumed_otherwise_leaves_nothing_of_its_first_attempt(
    aws: None, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    job = opened({"write_mode": mode})
    record = stage(job, {f"part-{NEW}.zstd.parquet": orders("1"), f"part-{NEW}-1.zstd.parquet": orders("1")})
    moved = f"{job.staging}output/dt=2024-07-09/region=eu/part-{NEW}.zstd.parquet"
    put(*storage.parse_uri(moved), orders("1"))
    listed = record.replace(".json", ".files.json")
    elsewhere = {"uri": moved, "rows": 1, "partition": {"dt": "2024-07-09", "region": "eu"}}
    storage.put_json(listed, {"outputs": [*storage.get_json(listed)["outputs"], elsewhere]})
    with monkeypatch.context() as patch:
        patch.setattr(storage, "put_json", dies_at("committed.json"))
        with pytest.raises(world.KilledError):
            publish(job, record)
    assert len(world.keys(CURATED, "orders/")) == 3
    # It is resumed by another processor, whose files are others, and whose rows have other dates.
    publish(job, stage(job, {f"part-{NEW}.zstd.parquet": orders("2")}))
    assert world.keys(CURATED, "orders/") == [f"orders/{FOLDER}part-{NEW}.zstd.parquet"]
    # Nothing is held any more: another run replaces the partitions at once.
    for day, name in (("2024-07-02", "eu"), ("2024-07-09", "eu")):
        other = opened(OVERWRITE, day)
        uri = f"{other.staging}output/dt={day}/region={name}/part-{NEW[:-1]}c.zstd.parquet"
        put(*storage.parse_uri(uri), orders("3"))
        storage.put_json(listed, {"outputs": [{"uri": uri, "rows": 1, "partition": {}}]})
        storage.put_json(record, {"status": "completed", "files": listed})
        publish(other, record)


def dies_at(name: str, put_json: Any = storage.put_json) -> Any:
    """Return a way to write documents that dies at the one of this name."""

    def write(uri: str, value: Any) -> None:
        if uri.endswith(name):
            raise world.KilledError
        put_json(uri, value)

    return write
