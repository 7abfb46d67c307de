"""The three functions of the front door: their environment, their answers to SQS, what they import."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from door_world import arrivals, front_door, notification, queue_event

from asl.emit.bundle import closure
from aws_runtime.handlers import build_manifests, orchestrate, sweep

HANDLERS = ("orchestrate", "build_manifests", "sweep")
HEAVY = {"duckdb", "narwhals", "pandas", "pandera", "polars", "pyarrow", "pyspark", "numpy", "sqlglot"}


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_imports_no_engine(handler):
    """A cold start pays for boto3 and powertools alone."""
    code = f"import sys, json, aws_runtime.handlers.{handler}; print(json.dumps(sorted(sys.modules)))"
    given = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in json.loads(given.stdout)}
    assert not loaded & HEAVY
    assert {"boto3", "aws_lambda_powertools"} <= loaded


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_ships_the_front_door_alone(handler):
    files = {path.name for path in closure([f"aws_runtime.handlers.{handler}"])}
    assert not files & {"duckdb.py", "contract.py", "materialize.py", "step.py", "rules.py"}
    assert {f"{handler}.py", "aws.py", "executions.py", "identity.py"} <= files


def test_a_bad_message_holds_up_no_good_one(account):
    with front_door("batches") as door:
        files = arrivals(9)
        assert door.receive([*files[:4], "garbage", *files[4:]]) == ["garbage"]
        (item,) = door.items("batches")
        assert item["file_count"] == {"N": "9"}


def test_what_is_not_the_sources_is_ignored_and_another_bucket_is_refused(account):
    with front_door("batches", SUFFIXES='[".ndjson", ".json"]') as door:
        (file,) = arrivals(1)
        outside = replace(file, key="elsewhere/2025-01-17.ndjson")
        manifest = replace(file, key="manifests/2025-01-17/batch-0001.json")
        other_suffix = replace(file, key=f"{file.key}.tmp")
        strange = replace(file, bucket="another")
        assert door.receive([outside, manifest, other_suffix, strange, file]) == [strange]
        (item,) = door.items("batches")
        assert [entry["M"]["k"]["S"] for entry in item["files"]["M"].values()] == [file.key]


def test_nothing_to_do_calls_nothing(account):
    with front_door("batches") as door:
        assert door.receive([json.dumps({"Event": "s3:TestEvent"})]) == []
        assert door.receive(["garbage"]) == ["garbage"]
        assert not door.calls
        with pytest.raises(ValueError, match="event of SQS"):
            build_manifests.handler({"hello": 1}, door.context())


def test_a_date_that_fails_keeps_no_other_date_from_its_batch(account):
    with front_door("batches", BATCH_FILES="2") as door:
        good, bad = arrivals(2), arrivals(2, day="2025-01-18")

        def refuse(params, **_):
            if "2025-01-18" in params["Key"]:
                raise ConnectionError("no answer")

        events = door.clients.s3.meta.events
        events.register("before-parameter-build.s3.PutObject", refuse)
        assert door.receive([bad[0], good[0], bad[1], good[1]]) == bad
        events.unregister("before-parameter-build.s3.PutObject", refuse)
        assert door.statuses() == {"manifested": 2}
        # The redelivered messages find their batch half done, and do the rest.
        assert door.receive(bad) == []
        assert len(door.manifests()) == 2
        assert len(door.executions()) == 2


def test_a_batch_of_many_dates_reads_all_items_in_one_call(account):
    with front_door("batches") as door:
        files = [arrivals(1, day=f"2025-01-{day}")[0] for day in range(10, 20)]
        assert door.receive(files) == []
        assert door.calls == ["Query"] * 10 + ["BatchGetItem"] + ["PutItem"] * 10


def test_a_batch_that_waited_is_sealed_by_the_next_file(account):
    with front_door("batches") as door:
        first, second, third = arrivals(3)
        door.receive([first])
        door.now += timedelta(minutes=15)
        door.receive([second])
        assert door.statuses() == {"manifested": 1}
        door.receive([third])
        assert door.statuses() == {"manifested": 1, "open": 1}


def test_a_newer_version_of_a_key_is_another_file(account):
    with front_door("batches", BATCH_FILES="2") as door:
        (file,) = arrivals(1)
        door.receive([file, replace(file, version_id="newer")])
        (told,) = door.manifests().values()
        assert sorted(item["version_id"] for item in told["files"]) == sorted([file.version_id, "newer"])


def test_a_message_that_comes_twice_in_one_event_counts_once(account):
    with front_door("batches") as door:
        (file,) = arrivals(1)
        event = queue_event([file, notification(file), file])
        assert build_manifests.handler(event, door.context()) == {"batchItemFailures": []}
        (item,) = door.items("batches")
        assert (item["file_count"], item["bytes"]) == ({"N": "1"}, {"N": str(file.size)})


@pytest.mark.parametrize(
    ("module", "environ", "error"),
    [
        (build_manifests, {"MANIFESTS": "manifests/"}, "is not s3://bucket/prefix/"),
        (build_manifests, {"BATCH_FILES": "ten"}, "invalid literal"),
        (sweep, {"TRIGGER": "cron"}, "none of event, queue, batches"),
        (orchestrate, {"RETENTION_DAYS": ""}, "invalid literal"),
    ],
)
def test_an_environment_that_is_not_as_agreed_is_an_error(account, module, environ, error):
    with front_door("batches", **environ) as door, pytest.raises(ValueError, match=error):
        module.handler(queue_event(arrivals(1)), door.context())
