"""Which files a run takes: one, those below a marker, or all; and each file goes to one run only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.client
import curation_world as world
import pytest
from curation_world import CURATED, LANDING, QUARANTINE, killed, opened, orders, put

from aws_runtime import storage
from aws_runtime.curation import staging
from aws_runtime.curation.staging import validate
from aws_runtime.events import S3Object

DAY = "orders/dt=2024-07-02/"
EU, US = f"{DAY}region=eu/a.parquet", f"{DAY}region=us/a.parquet"
OTHER_DAY = "orders/dt=2024-07-03/region=eu/a.parquet"


@pytest.fixture(params=[True, False], ids=["versioned", "unversioned"])
def account(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with world.aws(monkeypatch, versioned=request.param):
        for key in (EU, US, OTHER_DAY):
            put(LANDING, key, orders(key))
        yield


def arrived(key: str) -> S3Object:
    """Return the object as an event tells of it."""
    head = storage.s3().head_object(Bucket=LANDING, Key=key)
    return S3Object(LANDING, key, head.get("VersionId"), head["ETag"].strip('"'), head["ContentLength"])


def staged(answer: dict[str, Any]) -> list[dict[str, str]]:
    return [file["partition"] for file in storage.get_json(answer["manifest"])["files"]]


@pytest.mark.parametrize(
    ("marker", "partitions"),
    [
        ("orders/_SUCCESS", [("2024-07-02", "eu"), ("2024-07-02", "us"), ("2024-07-03", "eu")]),
        (f"{DAY}_SUCCESS", [("2024-07-02", "eu"), ("2024-07-02", "us")]),
        (f"{DAY}region=us/_committed_1", [("2024-07-02", "us")]),
        ("orders/dt=2024-07-04/_SUCCESS", []),
        ("orders/_temporary/0/_SUCCESS", []),
    ],
)
def test_a_marker_stands_for_the_files_below_its_folder(
    account: None, marker: str, partitions: list[tuple[str, str]]
) -> None:
    put(LANDING, marker, b"")
    answer = validate(opened(), arrived(marker))
    assert answer["status"] == ("valid" if partitions else "empty")
    assert staged(answer) == [{"dt": dt, "region": region} for dt, region in partitions]
    assert len(world.keys(LANDING)) == 3 - len(partitions) + 1
    assert marker in world.keys(LANDING)


def test_a_marker_that_comes_again_finds_nothing_left(account: None) -> None:
    put(LANDING, f"{DAY}_SUCCESS", b"")
    validate(opened(execution="first"), arrived(f"{DAY}_SUCCESS"))
    again = validate(opened(execution="second"), arrived(f"{DAY}_SUCCESS"))
    assert (again["status"], again["files"], again["files_rejected"]) == ("empty", 0, 0)


def test_a_file_arrives_alone(account: None) -> None:
    answer = validate(opened(), arrived(US))
    assert staged(answer) == [{"dt": "2024-07-02", "region": "us"}]
    assert world.keys(LANDING) == [EU, OTHER_DAY]


@pytest.mark.parametrize("key", [f"{DAY}region=eu/", f"{DAY}_temporary/a.parquet", f"{DAY}.a.parquet.crc"])
def test_what_readers_ignore_is_no_file(account: None, key: str) -> None:
    put(LANDING, key, b"")
    assert validate(opened(), arrived(key))["status"] == "empty"
    assert key in world.keys(LANDING)


def test_a_file_whose_event_comes_twice_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with world.aws(monkeypatch):
        put(LANDING, EU, orders("1"))
        event = arrived(EU)
        assert validate(opened(execution="first"), event)["status"] == "valid"
        again = validate(opened(execution="second"), event)
        assert (again["status"], again["files_rejected"]) == ("empty", 0)


def test_a_file_that_somebody_deleted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with world.aws(monkeypatch):
        put(LANDING, EU, orders("1"))
        event = arrived(EU)
        storage.s3().delete_object(Bucket=LANDING, Key=EU, VersionId=event.version_id)
        for _ in range(2):  # a retry says the same
            answer = validate(opened(), event)
            assert (answer["status"], answer["code"]) == ("rejected", "ObjectDeleted")


@contextmanager
def interrupted(at: int) -> Iterator[list[dict[str, Any]]]:
    """Let a second run begin and end before the given call of the first, whose calls come one by one."""
    second: list[dict[str, Any]] = []
    seen = 0
    call = botocore.client.BaseClient._make_api_call

    def one_more(self: Any, name: str, arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == at + 1:
            second.append(validate(opened(execution="second"), None))
        return call(self, name, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", one_more)
        patch.setattr(storage, "each", lambda action, items: [action(item) for item in items])
        yield second


@pytest.mark.parametrize("versioned", [True, False])
def test_runs_at_once_share_the_files_out(monkeypatch: pytest.MonkeyPatch, *, versioned: bool) -> None:
    """Whatever call a run has come to when another one begins and ends, each file is staged once."""
    names = {f"{DAY}region=eu/{name}.parquet": orders(name) for name in "abc"}
    names[f"{DAY}region=eu/d.parquet"] = b"no Parquet"

    def landed() -> None:
        for key, body in names.items():
            put(LANDING, key, body)

    with world.aws(monkeypatch, versioned=versioned):
        landed()
        with killed() as whole:
            validate(opened(execution="first"), None)
    for at in range(len(whole.calls)):
        with world.aws(monkeypatch, versioned=versioned):
            landed()
            with interrupted(at) as second:
                first = validate(opened(execution="first"), None)
            both = [first, *second]
            assert sum(answer["files"] for answer in both) == 3, at
            assert sum(answer["files_rejected"] for answer in both) == 1, at
            bodies = [world.get(CURATED, key) for key in world.keys(CURATED, "_staging/")]
            assert sorted(bodies) == sorted(body for body in names.values() if body != b"no Parquet"), at
            assert len([key for key in world.keys(QUARANTINE) if key.endswith("reason.json")]) == 1
            assert world.keys(LANDING) == []


def test_a_file_of_a_run_that_died_stays_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with world.aws(monkeypatch):
        put(LANDING, EU, orders("1"))
        monkeypatch.setattr(staging, "_verified", lambda _item, _uri: None)
        with pytest.raises(staging.CopyNotVerifiedError):
            validate(opened(execution="first"), None)
        monkeypatch.undo()
    with world.aws(monkeypatch):
        put(LANDING, EU, orders("1"))
        with killed(6), pytest.raises(world.KilledError):
            validate(opened(execution="first"), None)
        assert validate(opened(execution="second"), None)["files"] == 0
        assert world.keys(LANDING) == [EU]
        assert validate(opened(execution="first"), None)["files"] == 1
