"""A batch of files in one materialization gives what the files give alone, in fewer calls."""

import json
from dataclasses import replace

import pytest
from toy_world import CONTRACT, DOWNSTREAM, PLAN, ROWS, Killed, counted, fresh_world, kill_at

from aws_runtime import materialize as module
from aws_runtime.identity import FileIdentity
from aws_runtime.plan import FormatPlan, InputPlan

TIMES = [f"2025-01-17T10:15:0{i}.5Z" for i in range(4)]


def line(i, day=17, n=1):
    return json.dumps({"id": f"o{i}", "day": f"2025-01-{day}", "n": n}).encode()


def files(world):
    """Four files: two days, a bad row, none that can be read, one row."""
    contents = (ROWS, line(1, 20) + b"\n" + line(2, 20, -1), b"{", line(3))
    return [world.put(content, key=f"orders/{i}.json") for i, content in enumerate(contents)]


def digest(item):
    return FileIdentity(item["bucket"], item["key"], item["version_id"]).digest


def test_a_batch_gives_what_its_files_give_alone(world):
    landed = files(world)
    record = world.invoke(world.batch_event(world.manifest(*landed, times=TIMES)))
    together = world.published()
    kept = {key: world.read(f"s3://quarantine/{key}") for key in world.keys("quarantine", "rejected/")}
    assert {key: record[key] for key in ("status", "files_in", "files_rejected", "files_superseded")} == {
        "status": "completed",
        "files_in": 4,
        "files_rejected": 1,
        "files_superseded": 0,
    }
    assert list(record["rejected"]) == [digest(landed[2])]
    assert record["rejected"][digest(landed[2])]["code"] == "MalformedJson"
    assert "orders/2.json" in record["rejected"][digest(landed[2])]["message"]
    assert json.loads(world.read(record["record"])) == record

    for key in together:
        world.s3.delete_object(Bucket="staging" if key.startswith("lines/") else "quarantine", Key=key)
    alone = [
        world.invoke(world.event(item, execution=f"run-{i}", time=TIMES[i])) for i, item in enumerate(landed)
    ]
    assert world.published() == together
    assert [one["status"] for one in alone] == ["completed", "completed", "rejected", "completed"]
    for count in ("rows_in", "rows_out", "rows_quarantined", "output_count"):
        assert record[count] == sum(one[count] for one in alone)
    assert record["violations"] == {"orders.n": 2}
    assert record["records_in"] == {"orders": 11}
    assert sorted(record["outputs"]) == sorted(uri for one in alone for uri in one["outputs"])
    assert sorted(record["quarantine"]) == sorted(uri for one in alone for uri in one["quarantine"])
    again = {key: world.read(f"s3://quarantine/{key}") for key in kept if not key.endswith("reason.json")}
    assert again == {key: value for key, value in kept.items() if not key.endswith("reason.json")}
    assert again


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_results_depend_neither_on_the_order_nor_on_the_batches(world, order):
    landed = files(world)
    world.invoke(
        world.batch_event(world.manifest(*(landed[i] for i in order), times=[TIMES[i] for i in order]))
    )
    one = world.published()
    for number, part in enumerate((order[:1], order[1:])):
        uri = world.manifest(
            *(landed[i] for i in part), name=f"batch-{number}", times=[TIMES[i] for i in part]
        )
        world.invoke(world.batch_event(uri, execution=f"batch-{number}"))
    assert world.published() == one


def test_each_partition_is_told_once(world):
    landed = [world.put(line(i, 17 + i % 2), key=f"orders/{i}.json") for i in range(5)]
    record = world.invoke(world.batch_event(world.manifest(*landed)))
    assert record["partitions"] == [
        {"values": [["2025-01-17"], ["2025-01-18"]], "paths": ["dt=2025-01-17/", "dt=2025-01-18/"]}
    ]
    assert record["output_count"] == 5


def test_downstream_assets_run_over_the_same_units_but_the_rejected(world):
    landed = files(world)
    upstream = world.invoke(world.batch_event(world.manifest(*landed, times=TIMES)))
    record = world.invoke(
        world.downstream_event(orders=upstream["record"]), DOWNSTREAM, "s3://staging/summary/"
    )
    assert (record["files_in"], record["rows_in"]) == (3, upstream["rows_out"])
    assert record["identity"] == upstream["identity"]
    ours = [key.removeprefix("summary/") for key in world.keys("staging", "summary/")]
    assert ours == [key.removeprefix("lines/") for key in world.keys("staging", "lines/")]


def test_two_upstream_assets_join_file_by_file(world):
    landed = files(world)
    uri = world.manifest(*landed, times=TIMES)
    picky = replace(PLAN, asset="picky", transform="toy_engine:keep")
    both = replace(
        PLAN,
        asset="both",
        transform="toy_engine:union",
        inputs=tuple(
            InputPlan(name, FormatPlan("parquet"), CONTRACT, origin="asset") for name in ("orders", "others")
        ),
    )
    one = world.invoke(world.batch_event(uri))
    # The other asset has rejected one file more, as its engine might.
    other = world.invoke(world.batch_event(world.manifest(*landed[:2], name="two", times=TIMES[:2])), picky)
    event = world.downstream_event(orders=one["record"], others=other["record"])
    record = world.invoke(event, both, "s3://staging/both/")
    assert record["files_in"] == 2
    stems = {key.rpartition("/")[2] for key in world.keys("staging", "both/")}
    expected = (key for key in world.keys("staging", "lines/") if any(digest(i) in key for i in landed[:2]))
    assert stems == {key.rpartition("/")[2] for key in expected}
    assert record["rows_in"] == 2 * other["rows_out"]


def test_a_batch_of_rejected_files_alone_completes_and_so_does_its_downstream(world):
    upstream = world.invoke(world.batch_event(world.manifest(world.put(b"{"))))
    assert (upstream["status"], upstream["files_rejected"], upstream["rows_in"]) == ("completed", 1, 0)
    event = world.downstream_event(orders=upstream["record"])
    record = world.invoke(event, DOWNSTREAM, "s3://staging/summary/")
    assert (record["status"], record["files_in"], record["rows_in"]) == ("completed", 0, 0)


def test_markers_of_folders_are_no_files(world):
    marker = world.put(b"", key="orders/2025/")
    alone = world.invoke(world.event(marker))
    assert (alone["status"], alone["rows_in"], alone["outputs"]) == ("completed", 0, [])
    untold = {key: marker[key] for key in ("bucket", "key")}
    assert world.invoke(world.event(untold, execution="run-2"))["status"] == "completed"
    beside = world.invoke(world.event(marker, world.put(line(1)), execution="run-3"))
    assert beside["rows_out"] == 1
    record = world.invoke(world.batch_event(world.manifest(marker, world.put(line(1), key="orders/b.json"))))
    assert (record["files_in"], record["files_rejected"], record["rows_out"]) == (2, 0, 1)
    named = world.put(b"", key="orders/empty.json")
    assert world.invoke(world.event(named, execution="run-4"))["records_in"] == {"orders": 0}


@pytest.mark.parametrize("files_in", [1, 10, 30])
def test_calls_of_a_batch(world, files_in):
    """A new file of one partition: GET it, PUT the claim and the output, GET the claim again."""
    landed = [world.put(line(i), key=f"orders/{i}.json") for i in range(files_in)]
    event = world.batch_event(world.manifest(*landed))
    with counted(world) as calls:
        world.invoke(event)
    # Of the whole batch: GET the manifest, PUT the list of files and the record.
    assert calls == {"GetObject": 2 * files_in + 1, "PutObject": 2 * files_in + 2}


def test_calls_of_one_file(world):
    event = world.event(world.put())
    with counted(world) as calls:
        world.invoke(event)
    # Three outputs, one quarantine file, the claim, the list of files, the record.
    assert calls == {"GetObject": 2, "PutObject": 7}


def test_only_what_the_event_does_not_say_is_asked(world):
    named = {key: value for key, value in world.put().items() if key in ("bucket", "key")}
    with counted(world) as calls:
        world.invoke(world.event(named))
    assert calls["HeadObject"] == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_batch_killed_at_any_call_and_retried(account, when):
    def start(world):
        contents = (ROWS, b"{", line(3))
        landed = [world.put(content, key=f"orders/{i}.json") for i, content in enumerate(contents)]
        # The ETag alone makes runs of different accounts comparable.
        named = [{key: item[key] for key in ("bucket", "key", "etag", "size")} for item in landed]
        return world.batch_event(world.manifest(*named, times=TIMES[:3]))

    with fresh_world() as world:
        event = start(world)
        made, heal = kill_at(world, None, "before")
        expected = world.invoke(event)
        heal()
        state, calls = world.everything(), len(made)
    assert calls > 15
    for call in range(calls):
        with fresh_world() as world:
            event = start(world)
            _, heal = kill_at(world, call, when)
            with pytest.raises(Killed):
                world.invoke(event)
            heal()
            assert world.invoke(event) == expected
            assert world.everything() == state


def test_an_error_of_one_file_fails_the_batch_and_leaves_no_record(world, monkeypatch):
    landed = [world.put(line(i), key=f"orders/{i}.json") for i in range(6)]
    real = module.run_unit

    def fail(shared, unit):
        if unit.digest == digest(landed[3]):
            raise MemoryError("of one file")
        return real(shared, unit)

    monkeypatch.setattr(module, "run_unit", fail)
    event = world.batch_event(world.manifest(*landed))
    with pytest.raises(MemoryError, match="of one file"):
        world.invoke(event)
    assert not [key for key in world.keys("staging", "_runs/") if "/_published/" not in key]
    monkeypatch.setattr(module, "run_unit", real)
    assert world.invoke(event)["rows_out"] == 6


def test_large_files_of_a_batch_run_alone(world, monkeypatch):
    landed = [world.put(ROWS, key=f"orders/{i}.json") for i in range(5)]
    monkeypatch.setattr(module, "FLIGHT_BYTES", len(ROWS) - 1)
    under_way, most = [], []
    real = module.run_unit

    def watch(shared, unit):
        under_way.append(unit)
        most.append(len(under_way))
        try:
            return real(shared, unit)
        finally:
            under_way.remove(unit)

    monkeypatch.setattr(module, "run_unit", watch)
    assert world.invoke(world.batch_event(world.manifest(*landed)))["rows_out"] == 35
    assert max(most) == 1


def test_a_batch_of_too_many_partitions_fails_with_the_way_out(world, monkeypatch):
    landed = [world.put(line(i, 10 + i), key=f"orders/{i}.json") for i in range(6)]
    monkeypatch.setattr("aws_runtime.records.MOST_PARTITIONS", 5)
    with pytest.raises(module.BatchTooWideError, match="S3Batches"):
        world.invoke(world.batch_event(world.manifest(*landed)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": []}, "no identity"),
        ({"files": [{"bucket": "landing", "key": "a"}]}, "event_time"),
        ({"files": [{"bucket": "landing", "key": "a", "event_time": "yesterday"}]}, "yesterday"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_manifest_names_its_fault(world, change, message):
    uri = world.manifest(world.put())
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    world.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(json.loads(world.read(uri)) | change))
    with pytest.raises(ValueError, match=message) as caught:
        world.invoke(world.batch_event(uri))
    assert uri in str(caught.value)


def test_a_missing_manifest_is_named(world):
    with pytest.raises(ValueError, match=r"s3://landing/manifests/x\.json"):
        world.invoke(world.batch_event("s3://landing/manifests/x.json"))
