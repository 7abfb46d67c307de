"""ndjson_to_parquet on the local AWS: S3 -> SQS -> manifest builder -> a machine for a batch of files."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest

from asl.deploy import runs
from asl.deploy.files import expand
from ingestion_assets.pipelines.ndjson_to_parquet.sample_data import write_clickstream
from tests.e2e.helpers import here, there, until

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]

NAME = "ndjson_to_parquet"


def event(number, **changes):
    """One good event."""
    return {
        "event_id": f"e-{number}", "event_type": "view", "event_date": "2025-03-05",
        "occurred_at": "2025-03-05T10:00:00.000Z", "user": {"id": "u1", "country": "DE"},
        "device": {"os": "web", "app_version": None}, "page": {"path": "/", "referrer": None},
        "amount": None, "currency": None,
    } | changes  # fmt: skip


def write(path, *events):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(each)}\n" for each in events), encoding="utf-8")
    return path


def batches(stack, date):
    """The batches of a date, in DynamoDB's own form."""
    return stack.client("dynamodb").query(
        TableName=stack.pipeline(NAME).batches, KeyConditionExpression="#d = :d",
        ExpressionAttributeNames={"#d": "date"}, ExpressionAttributeValues={":d": {"S": date}},
    )["Items"]  # fmt: skip


def manifests(stack, date):
    """The manifests of a date by key."""
    found = stack.objects(stack.pipeline(NAME).bucket, f"manifests/{date}/")
    return {key: json.loads(body) for key, body in found.items()}


def send(stack, folder, *, flush=True):
    """Upload files and follow them."""
    place, since = stack.pipeline(NAME), datetime.now(UTC)
    sent = runs.upload(stack.target, place, expand([str(folder)]))
    *_, ended = runs.follow(stack.target, place, sent, since=since, timeout=120, flush=flush)
    return {run.file.key.rpartition("/")[2]: run for run in ended}


def _expected_code(files):
    return int(any(run["status"] == "REJECTED" for run in files.values()))


def test_batches_give_the_rows_that_the_step_gives_here(deployed, tmp_path):
    summary = write_clickstream(tmp_path / "in", files=13, seed=5, days=1, events=(20, 60))
    code, waiting = deployed.run(NAME, tmp_path / "in")
    # Ten files fill a batch, and three wait for more.
    assert Counter(run["status"] for run in waiting.values())["PENDING"] == 3
    # One file is no text at all; which batch it came into is as it happened.
    assert code == _expected_code(waiting)
    code, out = deployed.asl("status", NAME, "--state", "pending", "--json")
    assert (code, json.loads(out)["counts"]["pending"]) == (0, 3)
    code, out = deployed.asl("run", NAME, "--flush", "--json", "--timeout", 120)
    flushed = {run["file"].rpartition("/")[2]: run for run in json.loads(out)["executions"]}
    assert (code, len(flushed)) == (_expected_code(flushed), 3)
    found = waiting | flushed
    assert Counter(run["status"] for run in found.values()) == {
        "SUCCEEDED": 12,
        "REJECTED": summary.broken_files,
    }
    assert Counter(run["batch"] for run in found.values()) == {"2025-01-17/1": 10, "2025-01-17/2": 3}
    assert sum(run["rows_in"] for run in found.values()) == summary.records
    assert sum(run["rows_quarantined"] for run in found.values()) == summary.bad_records
    for number, (key, run) in enumerate(found.items()):
        if run["status"] == "SUCCEEDED":
            _, schema, rows = here(NAME, tmp_path / "in" / key, run["file"], tmp_path / str(number))
            written, sent = there(deployed, run["outputs"])
            assert sent == rows
            assert written.equals(schema)
    folders = {
        uri.partition("/pipeline/output/")[2].rpartition("/")[0]
        for run in found.values()
        for uri in run["outputs"]
    }
    assert "year=2025/month=01/day=17" in folders
    assert all(uri.endswith(".snappy.parquet") for run in found.values() for uri in run["outputs"])


def test_each_file_is_in_one_manifest_and_its_batch_knows_it(deployed, tmp_path):
    date = "2025-03-05"
    for n in range(12):
        write(tmp_path / "in" / f"{date}-a b+{n}é.ndjson", event(n))
    found = send(deployed, tmp_path / "in")
    assert {run.status for run in found.values()} == {"SUCCEEDED"}
    told = manifests(deployed, date)
    assert sorted(told) == [f"manifests/{date}/batch-{n:04d}.json" for n in (1, 2)]
    listed = [file["key"] for manifest in told.values() for file in manifest["files"]]
    assert sorted(listed) == sorted(run.file.key for run in found.values())
    assert [len(manifest["files"]) for manifest in told.values()] == [10, 2]
    first, second = batches(deployed, date)
    assert [item["status"]["S"] for item in (first, second)] == ["completed"] * 2
    assert [item["rows_out"]["N"] for item in (first, second)] == ["10", "2"]
    assert not {"files", "live", "reason"} & set(first)


def test_duplicates_and_a_newer_version(deployed, tmp_path):
    date, name = "2025-03-06", f"2025-03-06-{uuid.uuid4().hex}.ndjson"
    write(tmp_path / "in" / name, *(event(n, event_date=date) for n in range(3)))
    write(tmp_path / "in" / f"{date}-other.ndjson", event(9, event_date=date))
    first = send(deployed, tmp_path / "in")
    sqs, place = deployed.client("sqs"), deployed.pipeline(NAME)
    before = batches(deployed, date)
    file = first[name].file
    item = {"key": file.key, "size": 1, "eTag": "e", "versionId": file.version, "sequencer": "01"}
    record = {
        "eventName": "ObjectCreated:Put", "eventTime": "2025-03-06T10:15:02.123Z",
        "s3": {"bucket": {"name": file.bucket}, "object": item},
    }  # fmt: skip
    for _ in range(3):
        sqs.send_message(QueueUrl=place.queue, MessageBody=json.dumps({"Records": [record]}))
    until(lambda: emptied(sqs, place.queue))
    assert batches(deployed, date) == before

    write(tmp_path / "new" / name, event(1, event_date=date), event(7, event_date=date))
    second = send(deployed, tmp_path / "new")[name]
    assert (second.status, second.batch) == ("SUCCEEDED", (date, 2))
    alive = set(
        deployed.objects(deployed.outputs["OutputBucket"], "pipeline/output/year=2025/month=03/day=06/")
    )
    expected = {
        uri.partition("/pipeline/output/")[2]
        for run in (first[f"{date}-other.ndjson"], second)
        for uri in run.to_json()["outputs"]
    }
    assert {key.removeprefix("pipeline/output/") for key in alive} == expected


def emptied(sqs, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return all(found[name] == "0" for name in names)


def test_a_failed_batch_is_sent_again_once_its_cause_is_gone(deployed, tmp_path, without):
    date = "2025-03-07"
    restore = without("NdjsonToParquetEventsFunctionRole", "s3:GetObjectVersion")
    for n in range(2):
        write(tmp_path / "in" / f"{date}-{n}.ndjson", event(n, event_date=date))
    failed = send(deployed, tmp_path / "in")
    assert {run.status for run in failed.values()} == {"FAILED"}
    assert all("AccessDenied" in run.error for run in failed.values())
    code, out = deployed.asl("status", NAME, "--state", "failed", "--json")
    listed = {file["file"].rpartition("/")[2]: file for file in json.loads(out)["files"]}
    assert code == 0
    assert {listed[name]["batch"] for name in failed} == {f"{date}/1"}
    restore()
    code, out = deployed.asl("redrive", NAME, "--batch", f"{date}/1")
    assert (code, out.splitlines()) == (0, [f"batch {date}/1 -> {date}-batch-0001-r1", "1 sent again"])
    (item,) = until(lambda: (found := batches(deployed, date))[0]["status"]["S"] == "completed" and found)
    assert (item["rows_out"]["N"], item["attempt"]["N"]) == ("2", "1")
    code, out = deployed.asl("redrive", NAME)
    assert (code, out.strip()) == (0, "0 sent again")


def test_a_rejected_file_does_not_fail_its_batch_and_can_be_tried_again(deployed, tmp_path):
    date = "2025-03-08"
    write(tmp_path / "in" / f"{date}-good.ndjson", event(1, event_date=date))
    (tmp_path / "in" / f"{date}-bad.ndjson").write_bytes(b"nothing of this is JSON\n")
    found = send(deployed, tmp_path / "in")
    good, bad = found[f"{date}-good.ndjson"], found[f"{date}-bad.ndjson"]
    assert (good.status, bad.status) == ("SUCCEEDED", "REJECTED")
    assert "MalformedJson" in bad.error
    code, out = deployed.asl("status", NAME, "--state", "quarantined")
    assert code == 0
    line = next(line for line in out.splitlines() if bad.file.key in line)
    assert line.startswith("quarantined")
    assert "MalformedJson" in line
    alive = deployed.objects(deployed.outputs["OutputBucket"], "pipeline/output/year=2025/month=03/day=08/")
    code, out = deployed.asl("redrive", NAME, "--state", "quarantined", "--file", bad.file.key)
    assert out.splitlines()[0] == f"batch {date}/1 -> {date}-batch-0001-r1"
    until(lambda: batches(deployed, date)[0]["status"]["S"] == "completed")
    assert (
        deployed.objects(deployed.outputs["OutputBucket"], "pipeline/output/year=2025/month=03/day=08/")
        == alive
    )
    assert batches(deployed, date)[0]["files_rejected"]["N"] == "1"
