"""Files that landed are staged or rejected, each once and with its reason, wherever a run is cut off."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import curation_world as world
import pyarrow as pa
import pytest
from botocore.exceptions import ClientError
from curation_world import CURATED, LANDING, QUARANTINE, killed, opened, orders, put

from aws_runtime import storage
from aws_runtime.curation import arrival, staging
from aws_runtime.curation.footer import TAIL_BYTES
from aws_runtime.curation.staging import validate
from aws_runtime.events import S3Object

GOOD, BAD = "orders/dt=2024-07-02/region=eu/a.parquet", "orders/dt=2024-07-02/region=eu/b b+ü.parquet"


@pytest.fixture(params=[True, False], ids=["versioned", "unversioned"])
def account(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with world.aws(monkeypatch, versioned=request.param):
        yield


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with world.aws(monkeypatch):
        yield


def manifest(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = storage.get_json(answer["manifest"])
    return found


def reasons() -> list[dict[str, Any]]:
    return [
        json.loads(world.get(QUARANTINE, key))
        for key in world.keys(QUARANTINE)
        if key.endswith("reason.json")
    ]


def test_good_files_are_staged_and_bad_ones_kept_with_a_reason(account: None) -> None:
    put(LANDING, GOOD, orders("1", "2"))
    put(LANDING, BAD, b"order_id,amount\n")
    put(LANDING, "orders/", b"")
    put(LANDING, "orders/dt=2024-07-02/region=eu/_SUCCESS", b"")

    answer = validate(opened(), None)

    assert (answer["status"], answer["files"], answer["files_rejected"]) == ("valid", 1, 1)
    assert answer["code"] == "NotParquet"
    assert answer["curation"]["destination"] == f"s3://{CURATED}/_staging/shop/job-1/output/"
    (file,) = manifest(answer)["files"]
    assert file["partition"] == {"dt": "2024-07-02", "region": "eu"}
    assert file["key"].startswith("_staging/shop/job-1/input/dt=2024-07-02/region=eu/")
    assert world.get(file["bucket"], file["key"]) == orders("1", "2")
    told = storage.s3().head_object(Bucket=file["bucket"], Key=file["key"])["Metadata"]
    assert told["job_id"] == "job-1"
    assert told["source"] == f"s3://{LANDING}/orders/dt%3D2024-07-02/region%3Deu/a.parquet"
    assert dt.datetime.fromisoformat(told["ingested_at"]).tzinfo is not None
    (reason,) = reasons()
    assert reason["code"] == "NotParquet"
    bucket, key = storage.parse_uri(reason["files"][0]["copy"])
    assert world.get(bucket, key) == b"order_id,amount\n"
    assert world.keys(LANDING) == ["orders/", "orders/dt=2024-07-02/region=eu/_SUCCESS"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_cut_off_at_any_call_is_resumed(monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    files = {GOOD: orders("1", "2"), BAD: b"no Parquet"}
    with world.aws(monkeypatch):
        for key, body in files.items():
            put(LANDING, key, body)
        with killed() as whole:
            validate(opened(), None)
    for at in range(len(whole.calls)):
        with world.aws(monkeypatch):
            for key, body in files.items():
                put(LANDING, key, body)
            with killed(at, after=after), pytest.raises(world.KilledError):
                validate(opened(), None)
            _nothing_lost(files)

            answer = validate(opened(), None)

            assert (answer["status"], answer["files"], answer["files_rejected"]) == ("valid", 1, 1), at
            assert [file["size"] for file in manifest(answer)["files"]] == [len(files[GOOD])]
            assert len(reasons()) == 1
            assert world.keys(LANDING) == []
            assert len(world.keys(CURATED, "_staging/")) == 1
            assert len(world.keys(QUARANTINE)) == 2
            assert validate(opened(), None) == answer


def _nothing_lost(files: dict[str, bytes]) -> None:
    held = {world.get(bucket, key) for bucket in (LANDING, CURATED, QUARANTINE) for key in world.keys(bucket)}
    assert held.issuperset(files.values())


@pytest.mark.parametrize(("rows", "ranges"), [(1, 1), (20_000, 2)])
def test_what_a_file_costs(aws: None, monkeypatch: pytest.MonkeyPatch, rows: int, ranges: int) -> None:
    body = orders(*(f"{n:08d}" for n in range(rows)))
    fetched: list[int] = []
    read_range = storage.read_range

    def counted(item: S3Object, start: int, length: int) -> bytes:
        fetched.append(length)
        return read_range(item, start, length)

    monkeypatch.setattr(storage, "read_range", counted)
    put(LANDING, GOOD, body)
    with killed() as one:
        validate(opened(execution="one"), None)
    put(LANDING, GOOD, body)
    put(LANDING, GOOD.replace("a.", "c."), body)
    fetched.clear()
    with killed() as two:
        validate(opened(execution="two"), None)
    more = Counter(two.calls) - Counter(one.calls)
    assert more == {"PutObject": 1, "HeadObject": 2, "GetObject": ranges, "CopyObject": 1, "DeleteObject": 1}
    assert sum(fetched) <= 2 * min(len(body), TAIL_BYTES + 4)


def test_an_object_that_took_the_place_stays(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    put(LANDING, GOOD, orders("old"))
    removed = staging._removed

    def replaced(item: Any) -> None:
        put(LANDING, GOOD, orders("new", "newer"))
        try:
            removed(item)
        except ClientError as error:  # pragma: no cover - only where it is not conditional
            pytest.fail(str(error))

    monkeypatch.setattr(staging, "_removed", replaced)
    answer = validate(opened(), None)
    (file,) = manifest(answer)["files"]
    assert world.get(file["bucket"], file["key"]) == orders("old")
    assert world.get(LANDING, GOOD) == orders("new", "newer")


def test_a_copy_that_is_not_whole_keeps_the_original(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    put(LANDING, GOOD, orders("1"))
    monkeypatch.setattr(staging, "_verified", lambda _item, _uri: None)
    with pytest.raises(staging.CopyNotVerifiedError, match="the original is untouched"):
        validate(opened(), None)
    assert world.keys(LANDING) == [GOOD]


def test_nothing_there_is_empty(aws: None) -> None:
    answer = validate(opened(), None)
    assert (answer["status"], answer["files"]) == ("empty", 0)
    assert manifest(answer)["files"] == []


def test_too_many_files_are_refused_untouched(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "MOST_FILES", 2)
    for name in "abc":
        put(LANDING, f"orders/dt=2024-07-02/region=eu/{name}", orders(name))
    with pytest.raises(arrival.TooManyFilesError):
        validate(opened(), None)
    assert len(world.keys(LANDING)) == 3
    assert world.keys(CURATED) == []


@pytest.mark.parametrize(
    ("regions", "code"),
    [
        (["eu", "eu"], None),
        (["eu", "us"], "ContradictingPartition"),
        (["eu", None], "NullPartition"),
    ],
)
def test_a_partition_column_without_statistics_is_read(
    aws: None, regions: list[str | None], code: str | None
) -> None:
    table = pa.table({"order_id": ["1", "2"], "amount": [1.0, 2.0], "region": regions})
    put(LANDING, GOOD, world.parquet(table, write_statistics=False))
    answer = validate(opened(), None)
    assert answer.get("code") == code


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("orders/dt=2024-13-45/region=eu/a", "InvalidPartition"),
        ("orders/dt=2024-07-02/a", "MissingPartition"),
        ("orders/dt=..%2F..%2Fx/region=eu/a", "InvalidPartition"),
        ("orders/dt=__HIVE_DEFAULT_PARTITION__/region=eu/a", "NullPartition"),
    ],
)
def test_wrong_partitions_are_rejected_and_kept(aws: None, key: str, code: str) -> None:
    put(LANDING, key, orders("1"))
    answer = validate(opened(), None)
    assert (answer["status"], answer["code"]) == ("rejected", code)
    (reason,) = reasons()
    bucket, copy = storage.parse_uri(reason["files"][0]["copy"])
    assert world.get(bucket, copy) == orders("1")


def test_folders_too_long_to_be_staged_are_rejected_and_kept(aws: None) -> None:
    long = "x" * 240
    key = f"orders/dt=2024-07-02/region={long}/a={long}/b={long}/c={long}/d"
    put(LANDING, key, orders("1"))
    answer = validate(opened({"required_partitions": ["dt", "region", "a", "b", "c"]}), None)
    assert (answer["status"], answer["code"]) == ("rejected", "PathTooLong")
    bucket, copy = storage.parse_uri(reasons()[0]["files"][0]["copy"])
    assert world.get(bucket, copy) == orders("1")
