"""The Lambda handler over an in-process AWS: what it reads, writes, rejects and answers."""

import json
from types import SimpleNamespace

import pytest
from botocore.awsrequest import AWSResponse
from toy_world import DOWNSTREAM, ROWS

from aws_runtime import storage
from aws_runtime.events import S3Object
from aws_runtime.handlers import materialize as handler_module
from aws_runtime.identity import FileIdentity
from aws_runtime.materialize import DiskExhaustedError, MemoryExhaustedError, UpstreamError

KEYS = (
    "orders/a b.json",
    "orders/a+b%2Fc=d&e.json",
    "orders/dt=2025-01-17/übergröße 订单.json",
    "orders/line\nbreak.json",
    "orders/what?#[x]{y}*.json",
    "orders//empty//parts.json.gz",
    "orders/no-extension",
    "orders/" + "k" * 1017,
    "orders/reason.json",
    "orders/folder/",
)


def test_completed_run(world):
    landed = world.put()
    record = world.invoke(world.event(landed))
    stem = f"20250117T101502Z-{FileIdentity('landing', 'orders/a.json', landed['version_id']).digest}"
    outputs = [f"s3://staging/lines/dt=2025-01-{day}/part-{stem}.zstd.parquet" for day in (17, 18, 19)]
    rows = f"s3://quarantine/rows/shop/order_lines/{stem}.parquet"
    assert record == {
        "status": "completed",
        "identity": stem.partition("-")[2],
        "records_in": {"orders": 8},
        "rows_in": 8,
        "rows_out": 7,
        "rows_quarantined": 1,
        "outputs": outputs,
        "output_count": 3,
        "partitions": [
            {
                "values": [["2025-01-17"], ["2025-01-18"], ["2025-01-19"]],
                "paths": ["dt=2025-01-17/", "dt=2025-01-18/", "dt=2025-01-19/"],
            }
        ],
        "quarantine": [rows],
        "violations": {"orders.n": 1},
        "record": "s3://staging/_runs/shop/order_lines/run-1.json",
        "files": "s3://staging/_runs/shop/order_lines/run-1.files.json",
    }
    assert json.loads(world.read(record["record"])) == record
    files = json.loads(world.read(record["files"]))
    assert [entry["uri"] for entry in files["outputs"]] == outputs
    assert sum(entry["rows"] for entry in files["outputs"]) == 7
    assert world.keys("landing") == ["orders/a.json"]
    assert set(world.everything()) >= {*outputs, rows}


@pytest.mark.parametrize("bucket", ["landing", "inbox"])
@pytest.mark.parametrize("key", KEYS)
def test_any_key_is_read_and_any_key_is_kept_when_rejected(world, key, bucket):
    assert world.invoke(world.event(world.put(key=key, bucket=bucket)))["rows_out"] == 7
    broken = world.put(b"{", key=key, bucket=bucket)
    record = world.invoke(world.event(broken, execution="run-2"))
    assert (record["status"], record["reason"]["code"]) == ("rejected", "MalformedJson")
    assert f"s3://{bucket}/{key}" in record["reason"]["message"]
    (kept,) = record["quarantine"]
    assert world.read(kept) == b"{"
    reason = json.loads(world.read(kept.rpartition("/")[0] + "/reason.json"))
    assert reason["code"] == "MalformedJson"
    assert [(f["bucket"], f["key"], f["copy"]) for f in reason["files"]] == [(bucket, key, kept)]
    assert key in world.keys(bucket), "the original stays where it is"


def test_the_named_version_is_read_after_an_overwrite(world):
    first = world.put()
    world.put(b"{")
    assert world.invoke(world.event(first))["rows_out"] == 7


def test_a_deleted_object_of_a_versioned_bucket_is_still_read(world):
    landed = world.put()
    world.s3.delete_object(Bucket="landing", Key=landed["key"])
    assert world.invoke(world.event(landed))["rows_out"] == 7


def test_a_deleted_object_is_rejected(world):
    for execution, bucket in (("run-1", "inbox"), ("run-2", "landing")):
        landed = world.put(bucket=bucket)
        version = {"VersionId": landed["version_id"]} if bucket == "landing" else {}
        world.s3.delete_object(Bucket=bucket, Key=landed["key"], **version)
        record = world.invoke(world.event(landed, execution=execution))
        assert (record["status"], record["reason"]["code"]) == ("rejected", "ObjectDeleted")
        assert record["quarantine"] == []
        assert json.loads(world.read(record["record"])) == record
    reasons = [key for key in world.keys("quarantine") if key.endswith("/reason.json")]
    assert len(reasons) == 2


def test_an_object_replaced_in_a_bucket_without_versions_is_rejected_and_its_successor_not_kept(world):
    first = world.put(bucket="inbox")
    second = world.put(ROWS + b"\n" + ROWS, bucket="inbox")
    record = world.invoke(world.event(first))
    assert (record["reason"]["code"], record["quarantine"]) == ("ObjectReplaced", [])
    assert world.invoke(world.event(second, execution="run-2"))["rows_out"] == 14


def test_an_archived_object_is_rejected_until_it_is_restored(world):
    key = "orders/a.json"
    made = world.s3.put_object(Bucket="landing", Key=key, Body=ROWS, StorageClass="GLACIER")
    named = {"bucket": "landing", "key": key, "version_id": made["VersionId"]}
    record = world.invoke(world.event(named))
    assert (record["reason"]["code"], record["quarantine"]) == ("ObjectArchived", [])
    world.s3.restore_object(Bucket="landing", Key=key, RestoreRequest={"Days": 1})
    assert world.invoke(world.event(named, execution="run-2"))["rows_out"] == 7


def test_a_file_that_does_not_fit_is_rejected_with_the_way_out(world, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    record = world.invoke(world.event(world.put()))
    assert record["reason"]["code"] == "FileTooLarge"
    assert "glue_pyspark" in record["reason"]["message"]
    assert world.read(record["quarantine"][0]) == ROWS


def test_a_large_object_is_read_in_ranges_of_one_version(world, monkeypatch, tmp_path):
    monkeypatch.setattr(storage, "PART_BYTES", 7)
    landed = S3Object(**world.put())
    world.put(b"{" * len(ROWS))
    storage.download(storage.describe(landed), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == ROWS


def test_an_object_replaced_while_it_is_read_is_rejected(world, tmp_path):
    described = storage.describe(S3Object(**world.put(bucket="inbox")))
    world.put(b"{}", bucket="inbox")
    with pytest.raises(storage.RejectedFile, match="ObjectReplaced"):
        storage.download(described, tmp_path / "copy")


def test_a_retry_overwrites_its_own_output(world):
    event = world.event(world.put())
    first = world.invoke(event)
    state = world.everything()
    assert world.invoke(event) == first
    assert world.everything() == state


def test_the_same_file_under_another_event_leaves_no_second_copy(world):
    landed = world.put()
    world.invoke(world.event(landed))
    again = world.invoke(world.event(landed, execution="run-2", time="2025-01-18T00:00:00+01:00"))
    assert sorted(world.keys("staging", "lines/")) == [
        uri.removeprefix("s3://staging/") for uri in again["outputs"]
    ]
    assert len(world.keys("quarantine")) == 1


def test_an_upstream_record_is_an_input_and_passes_its_identity_on(world):
    upstream = world.invoke(world.event(world.put()))
    event = {
        "execution": "run-1",
        "event_time": "2025-01-17T10:15:02Z",
        "inputs": {"orders": {"record": upstream["record"]}},
    }
    record = world.invoke(event, DOWNSTREAM, "s3://staging/summary/")
    assert (record["rows_in"], record["rows_out"]) == (7, 7)
    assert record["identity"] == upstream["identity"]
    assert record["record"] == "s3://staging/_runs/shop/summary/run-1.json"


def test_an_upstream_record_that_is_missing_or_rejected_is_an_error(world):
    event = {
        "execution": "run-1",
        "event_time": "2025-01-17T10:15:02Z",
        "inputs": {"orders": {"record": "s3://staging/_runs/shop/order_lines/run-1.json"}},
    }
    with pytest.raises(UpstreamError, match=r"run-1\.json"):
        world.invoke(event, DOWNSTREAM)
    world.invoke(world.event(world.put(b"{")))
    with pytest.raises(UpstreamError, match=r"run-1\.json"):
        world.invoke(event, DOWNSTREAM)


def test_several_files_are_one_run_with_a_name_that_no_order_changes(world):
    one, two = world.put(), world.put(key="orders/b.json")
    record = world.invoke(world.event(one, two))
    assert record["records_in"] == {"orders": 16}
    assert world.invoke(world.event(two, one))["outputs"] == record["outputs"]
    assert world.invoke(world.event(one, execution="run-2"))["outputs"] != record["outputs"]


def test_of_several_files_only_the_broken_one_is_kept(world):
    good, broken = world.put(), world.put(b"{", key="orders/b.json")
    record = world.invoke(world.event(good, broken))
    assert [world.read(uri) for uri in record["quarantine"]] == [b"{"]
    assert world.keys("staging", "lines/") == []


def test_a_denied_read_is_an_error_and_not_a_rejection(world):
    def deny(**_):
        return AWSResponse("https://landing", 403, {}, SimpleNamespace(stream=lambda: iter([b""])))

    landed = world.put()
    world.s3.meta.events.register_first("before-send.s3.GetObject", deny)
    with pytest.raises(storage.AccessDeniedError, match=r"s3://landing/orders/a\.json"):
        world.invoke(world.event(landed))
    assert world.everything() == {}


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (type("OutOfMemoryException", (Exception,), {})("could not allocate"), MemoryExhaustedError),
        (MemoryError(), MemoryExhaustedError),
        (OSError(28, "No space left on device"), DiskExhaustedError),
        (RuntimeError("IO Error: Could not write: No space left on device"), DiskExhaustedError),
        (ZeroDivisionError("of our own"), ZeroDivisionError),
    ],
)
def test_exhaustion_is_an_error_with_a_name_and_publishes_nothing(world, monkeypatch, fault, named):
    def fail(*_args, **_kwargs):
        raise fault

    monkeypatch.setattr("toy_engine.Engine.read", fail)
    with pytest.raises(named):
        world.invoke(world.event(world.put()))
    assert world.everything() == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"execution": ""}, "execution"),
        ({"execution": "a/b"}, "execution"),
        ({"event_time": "yesterday"}, "event_time"),
        ({"event_time": "2025-01-17T10:15:02"}, "event_time"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": {"orders": {}}}, r"inputs\.orders"),
        ({"inputs": {"orders": {"objects": [{"bucket": "landing"}]}}}, r"inputs\.orders\.objects\[0\]"),
        ({"inputs": {"orders": {"objects": [{"bucket": "landing", "key": ""}]}}}, r"objects\[0\]"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_event_names_its_fault(world, change, message):
    event = world.event({"bucket": "landing", "key": "a"})
    with pytest.raises(ValueError, match=message):
        world.invoke(event | change)


def test_logs_and_metrics_are_one_json_line_each(world, capsys):
    world.invoke(world.event(world.put()))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = next(line for line in lines if "_aws" in line)
    assert (metrics["RowsIn"], metrics["RowsOut"], metrics["RowsQuarantined"]) == ([8], [7], [1])
    assert (metrics["pipeline"], metrics["asset"]) == ("shop", "order_lines")
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "IngestionAssets"


def test_the_plan_lies_at_the_root_of_the_functions_code(world, monkeypatch, tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps(DOWNSTREAM.to_json()))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    handler_module.load_plan.cache_clear()
    assert handler_module.load_plan() == DOWNSTREAM
    handler_module.load_plan.cache_clear()


def test_limits_leave_memory_for_what_the_engine_does_not_count(account, tmp_path):
    limits = handler_module.limits(tmp_path)
    assert limits.memory_bytes < 0.6 * 2048 * 1024**2
    assert limits.threads >= 1


def test_nothing_stays_in_tmp(world, tmp_path):
    world.invoke(world.event(world.put()))
    world.invoke(world.event(world.put(b"{"), execution="run-2"))
    assert list(tmp_path.iterdir()) == []
