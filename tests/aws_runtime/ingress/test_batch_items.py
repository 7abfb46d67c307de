"""What fits into a batch, and what a batch is written as."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from door_world import START, arrivals
from hypothesis import given
from hypothesis import strategies as st

from aws_runtime.ingress.batches import (
    FILES_AN_UPDATE,
    MAX_WEIGHT,
    Batch,
    Bounds,
    date_of,
    entry,
    expiry,
    file_items,
    fill,
    manifest,
    weight,
)

PREFIX = "pipeline/input/"
FIVE = arrivals(5)


def batch(files, **given):
    return Batch(
        date="2025-01-17",
        number=3,
        bucket="input",
        status="manifested",
        count=len(files),
        bytes=sum(item.size for item in files),
        weight=sum(map(weight, files)),
        opened_at="2025-01-17T12:00:00.000Z",
        manifest="s3://input/manifests/2025-01-17/batch-0003.json",
        sealed_at="2025-01-17T12:00:01.000Z",
        files={item.identity.digest: item for item in files},
        **given,
    )


@pytest.mark.parametrize(
    ("key", "date"),
    [
        ("2025-01-16-file001.ndjson", "2025-01-16"),
        ("dt=2025-01-16/2025-01-15.ndjson", "2025-01-16"),
        ("x2025-02-30-2025-03-01.ndjson", "2025-03-01"),
        ("12025-01-16.ndjson", "2025-01-17"),
        ("2025-01-160.ndjson", "2025-01-17"),
        ("20250116.ndjson", "2025-01-17"),
        ("nothing.ndjson", "2025-01-17"),
    ],
)
def test_a_file_belongs_to_the_first_date_below_the_prefix_or_the_day_it_arrived(key, date):
    assert date_of(replace(FIVE[0], key=PREFIX + key), PREFIX) == date


def test_a_date_in_the_prefix_is_no_files_date():
    assert date_of(replace(FIVE[0], key="since-2020-01-01/a.ndjson"), "since-2020-01-01/") == "2025-01-17"


def test_the_day_that_a_file_arrived_is_utc():
    assert date_of(replace(FIVE[0], key="a", event_time="2025-01-17T23:30:00-02:00"), "") == "2025-01-18"


@pytest.mark.parametrize(
    ("bounds", "taken", "full"),
    [
        (Bounds(files=5), 5, True),
        (Bounds(files=6), 5, False),
        (Bounds(files=2), 2, True),
        (Bounds(files=1), 1, True),
        (Bounds(files=10, bytes=1), 1, True),
        (Bounds(files=10, bytes=3_000_000), 3, True),
        (Bounds(files=10, bytes=3_000_004), 4, True),
        (Bounds(files=10, bytes=9_000_000), 5, False),
        (Bounds(files=10, wait=timedelta()), 5, True),
    ],
)
def test_bounds(bounds, taken, full):
    added = fill(None, FIVE, bounds, START)
    assert (len(added.files), added.full, added.count) == (taken, full, taken)
    assert added.bytes == sum(item.size for item in FIVE[:taken])


def test_an_open_batch_is_filled_up():
    opened = replace(batch(FIVE[:2]), status="open", opened_at="2025-01-17T11:59:00.000Z")
    added = fill(opened, FIVE[2:], Bounds(files=4), START)
    assert (added.files, added.count, added.full) == (tuple(FIVE[2:4]), 4, True)
    waited = fill(opened, FIVE[2:], Bounds(files=9, wait=timedelta(seconds=60)), START)
    assert (len(waited.files), waited.full) == (3, True)


def test_one_update_takes_no_more_than_its_expression_holds():
    many = arrivals(200)
    assert (
        len(fill(replace(batch(many[:1]), status="open"), many[1:], Bounds(1000), START).files)
        == FILES_AN_UPDATE
    )
    assert len(fill(None, many, Bounds(1000), START).files) == 200


def test_a_batch_of_long_keys_is_full_before_its_item_is():
    long = [replace(item, key="ä" * 500 + item.key[-20:], version_id="v" * 900) for item in arrivals(999)]
    added = fill(None, long, Bounds(1000), START)
    assert added.full
    assert MAX_WEIGHT <= added.weight < MAX_WEIGHT + 4000
    assert (
        item_bytes({"M": {item.identity.digest: entry(item) for item in added.files}})
        <= added.weight
        < 400_000
    )


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(
    KEYS,
    st.integers(0, 2**52),
    st.none() | st.text("v.", min_size=1),
    st.text("0f"),
    st.text("0F", max_size=20),
)
def test_an_entry_tells_all_and_weighs_no_more_than_said(key, size, version, etag, sequencer):
    given_file = replace(
        FIVE[0], key=key, size=size, version_id=version, etag=etag or "e", sequencer=sequencer
    )
    one = batch([given_file])
    item = {
        "date": {"S": one.date},
        "batch": {"N": "3"},
        "status": {"S": "manifested"},
        "files": {"M": {given_file.identity.digest: entry(given_file)}},
        "opened_at": {"S": one.opened_at},
        "manifest": {"S": one.manifest},
        "file_count": {"N": "1"},
        "bytes": {"N": str(size)},
        "weight": {"N": str(one.weight)},
        "sealed_at": {"S": one.sealed_at},
    }
    assert Batch.from_item(item) == one
    assert item_bytes({"M": {given_file.identity.digest: entry(given_file)}}) <= weight(given_file)


def item_bytes(value):
    """Return what DynamoDB counts.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    ((kind, given_value),) = value.items()
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + item_bytes(item) for name, item in given_value.items())
    return len(given_value.encode()) if kind == "S" else len(given_value) // 2 + 2


def test_a_manifest_has_its_files_by_time_and_is_the_same_each_time():
    files = [replace(FIVE[2], event_time="2025-01-17T11:00:00Z"), *FIVE[:2]]
    written = manifest(batch(files), "ndjson_to_parquet")
    assert written == manifest(batch(files[::-1]), "ndjson_to_parquet")
    told = json.loads(written)
    assert [item["key"] for item in told["files"]] == [item.key for item in files]
    assert {name: told[name] for name in ("pipeline", "date", "batch", "bytes")} == {
        "pipeline": "ndjson_to_parquet",
        "date": "2025-01-17",
        "batch": 3,
        "bytes": sum(item.size for item in files),
    }
    assert set(told["files"][0]) == {"bucket", "key", "version_id", "etag", "size", "event_time", "sequencer"}


def test_a_manifest_of_a_bucket_without_versions_names_none():
    told = json.loads(manifest(batch([replace(FIVE[0], version_id=None, sequencer="")]), "p"))
    assert set(told["files"][0]) == {"bucket", "key", "etag", "size", "event_time"}


def test_items_of_files_depend_on_their_batch_alone():
    items = file_items(batch(FIVE), 400)
    assert items == file_items(batch(FIVE[::-1]), 400)
    assert [item["batch"] for item in items] == [{"N": "3"}] * 5
    assert items[0]["expires_at"] == expiry(START + timedelta(seconds=1), 400)
    for open_or_done in (replace(batch(FIVE), sealed_at=None), replace(batch(FIVE), files=None)):
        with pytest.raises(ValueError, match="no final list"):
            file_items(open_or_done, 400)
