"""parquet_ingestion on the local AWS: one machine, configured at run time, on each of its processors."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asl.deploy import runs
from asl.deploy.files import expand
from ingestion_assets.pipelines.parquet_ingestion.sample_data import BROKEN, write_deliveries
from tests.e2e.helpers import there, until

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]

NAME, TABLE = "parquet_ingestion", "orders"
FIXTURE = Path(__file__).parents[1] / "aws_runtime/curation/fixtures/execution_input.json"


def configured(stack, tmp_path, *files, **changes):
    """`asl run --input` with the fixture, changed: exit code and what it prints."""
    path = tmp_path / f"{uuid.uuid4().hex}.json"
    path.write_text(json.dumps({**json.loads(FIXTURE.read_text()), **changes}))
    code, out = stack.asl("run", NAME, *files, "--input", path, "--json", "--timeout", 300)
    return code, json.loads(out)


def delivery(folder, *, rows=5, **columns):
    """A good file of a few orders in a folder of its own."""
    day, region = "2024-07-01", "eu"
    table = {
        "customer_id": [f"C{n:05d}" for n in range(rows)],
        "order_id": [f"{uuid.uuid4().hex[:8]}-{n}" for n in range(rows)],
        "amount": [1.5 * n for n in range(rows)],
    }
    path = folder / f"dt={day}" / f"region={region}" / f"{uuid.uuid4().hex}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**table, **columns}), path)
    return path


def landed(stack):
    """Keys that still lie where files land."""
    return set(stack.objects(stack.pipeline(NAME).bucket, stack.pipeline(NAME).prefix))


def tracked(stack, run):
    """The tracking item of a run that was started by hand."""
    return stack.item(NAME, f"run/{run['name']}")


@pytest.mark.spark
@pytest.mark.parametrize("processor", ["lambda", "auto", "glue_pyspark", "glue_sql"])
def test_the_configuration_gives_the_same_rows_on_each_processor(deployed, tmp_path, processor, seen_rows):
    sample = write_deliveries(tmp_path / "orders")
    code, run = configured(deployed, tmp_path, tmp_path / "orders", processor_type=processor)
    assert (code, run["error"]) == (0, None)
    summary = run["summary"]
    assert (summary["files"], summary["files_rejected"]) == (sample.files - len(BROKEN), len(BROKEN))
    counted = (summary["rows_in"], summary["rows_quarantined"])
    assert counted == (sample.records, sample.bad_records)
    assert summary["rows_out"] == sample.records - sample.bad_records >= 1000
    states = [state for state in run["states"] if state.startswith("Transform")]
    wanted = {"lambda": "Lambda", "auto": "Lambda", "glue_pyspark": "Glue PySpark", "glue_sql": "Glue SQL"}
    assert states == [f"Transform on {wanted[processor]}"]
    schema, rows = there(deployed, summary["outputs"])
    assert sum(rows.values()) == summary["rows_out"]
    assert schema.names == ["customer_id", "order_id", "amount", "is_large"]
    seen_rows[processor] = rows
    assert len({frozenset(each.items()) for each in seen_rows.values()}) == 1
    assert not [key for key in landed(deployed) if key.endswith(".parquet")]


@pytest.fixture(scope="module")
def seen_rows():
    """Rows by processor, of the tests so far."""
    return {}


def told(inbox, run):
    """The alert and the event of a run that failed."""
    alert = inbox(
        lambda body: (
            body.get("Type") == "Notification"
            and run["name"] in body["Message"]
            and '"step"' in body["Message"]
            and json.loads(body["Message"])
        )
    )
    event = inbox(
        lambda body: (
            body.get("detail-type") == "Ingestion Failed"
            and body["detail"]["job_id"] == run["name"]
            and body["detail"]
        )
    )
    return alert, event


def assert_failed(deployed, inbox, run, step, code, message):
    """One failure path: the answer, the tracking item, the alert and the event tell the same reason."""
    assert run["status"] == "FAILED"
    assert message in run["error"]
    item = tracked(deployed, run)
    assert item["status"]["S"] == "failed" or code == item["reason"]["M"]["code"]["S"]
    reason = {name: value["S"] for name, value in item["reason"]["M"].items()}
    alert, event = told(inbox, run)
    for each in (reason, alert, event):
        assert (each["step"], each["code"]) == (step, code)
        assert message in each["message"]
    assert event["status"] == "failed"


def test_files_that_are_all_bad_fail_validation(deployed, tmp_path, listening):
    inbox = listening(NAME)
    path = tmp_path / "in" / "dt=2024-07-01" / "region=eu" / "text.parquet"
    path.parent.mkdir(parents=True)
    path.write_text("customer_id,order_id\n")
    code, run = configured(deployed, tmp_path, tmp_path / "in", processor_type="lambda")
    assert code == 1
    assert_failed(deployed, inbox, run, "validate", "NotParquet", "text.parquet")
    kept = deployed.objects(deployed.outputs["QuarantineBucket"], f"rejected/{NAME}/")
    assert path.read_bytes() in kept.values()


def test_a_configuration_that_cannot_be_meant_fails_before_anything_is_touched(deployed, tmp_path, listening):
    inbox = listening(NAME)
    delivery(tmp_path / "in")
    code, run = configured(deployed, tmp_path, tmp_path / "in", processor_typ="lambda")
    assert code == 1
    assert_failed(deployed, inbox, run, "validate", "ConfigError", "did you mean 'processor_type'?")
    assert [key for key in landed(deployed) if key.endswith(".parquet")]
    assert configured(deployed, tmp_path, dq_rules={}, processor_type="lambda")[0] == 0


def test_a_page_that_is_corrupt_fails_the_transform(deployed, tmp_path, listening):
    inbox = listening(NAME)
    path = delivery(tmp_path / "in", rows=2000)
    body = bytearray(path.read_bytes())
    at = pq.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset
    body[at + 60 : at + 400] = bytes(340)
    path.write_bytes(body)
    code, run = configured(deployed, tmp_path, tmp_path / "in", processor_type="lambda")
    assert code == 1
    assert_failed(deployed, inbox, run, "transform", "CorruptFile", path.stem)


def test_too_few_rows_fail_the_check_of_the_output(deployed, tmp_path, listening):
    inbox = listening(NAME)
    delivery(tmp_path / "in", rows=7)
    before = deployed.objects(deployed.outputs["MyCuratedZoneBucket"], "orders/").keys()
    code, run = configured(deployed, tmp_path, tmp_path / "in", processor_type="lambda")
    assert code == 1
    assert_failed(deployed, inbox, run, "validate_output", "TooFewRows", "7")
    assert deployed.objects(deployed.outputs["MyCuratedZoneBucket"], "orders/").keys() == before


def test_a_table_that_conflicts_fails_the_load(deployed, tmp_path, listening):
    inbox, glue = listening(NAME), deployed.client("glue")
    delivery(tmp_path / "in")
    table = glue.get_table(DatabaseName=NAME, Name=TABLE)["Table"]
    kept = {
        key: table[key] for key in ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
    }
    changed = json.loads(json.dumps(kept["StorageDescriptor"]))
    next(column for column in changed["Columns"] if column["Name"] == "amount")["Type"] = "string"
    glue.update_table(DatabaseName=NAME, TableInput={**kept, "StorageDescriptor": changed})
    try:
        code, run = configured(deployed, tmp_path, tmp_path / "in", dq_rules={}, processor_type="lambda")
    finally:
        glue.update_table(DatabaseName=NAME, TableInput=kept)
    assert code == 1
    assert_failed(deployed, inbox, run, "load", "SchemaConflict", "amount")


def test_the_marker_of_a_delivery_starts_one_run_that_is_announced(deployed, tmp_path, listening):
    inbox = listening(NAME)
    sample = write_deliveries(tmp_path / "orders", files=8, seed=11)
    code, out = deployed.asl("run", NAME, tmp_path / "orders", "--json", "--timeout", 300)
    (run,) = json.loads(out)["executions"]
    assert (code, run["status"]) == (0, "SUCCEEDED")
    assert run["file"].endswith("/orders/_SUCCESS")
    assert run["rows_in"] == run["rows_out"] + run["rows_quarantined"] == sample.records
    event = inbox(
        lambda body: (
            body.get("detail-type") == "Ingestion Completed"
            and body["detail"]["job_id"] == run["name"]
            and body["detail"]
        )
    )
    assert (event["pipeline"], event["dataset"], event["status"]) == (NAME, "orders", "completed")
    assert (event["files"], event["files_rejected"]) == (sample.files - len(BROKEN), len(BROKEN))
    assert sorted(event["outputs"]) == sorted(run["outputs"])
    table = deployed.client("glue").get_partitions(DatabaseName=NAME, TableName=TABLE)["Partitions"]
    have = {
        "/".join(f"{n}={v}" for n, v in zip(("dt", "region"), one["Values"], strict=True)) for one in table
    }
    assert set(event["partitions"]) <= have
    inbox(
        lambda body: (
            body.get("Type") == "Notification"
            and run["name"] in body["Message"]
            and "completed" in body["Message"]
        )
    )


def test_one_file_by_its_event_is_one_run_and_its_duplicate_none(deployed, tmp_path):
    place, since = deployed.pipeline(NAME), datetime.now(UTC)
    delivery(tmp_path / "in")
    (sent,) = runs.upload(deployed.target, place, expand([str(tmp_path / "in")]))
    head = deployed.client("s3").head_object(Bucket=sent.bucket, Key=sent.key)
    item = {"key": sent.key, "version-id": sent.version, "size": head["ContentLength"], "sequencer": "01"}
    item["etag"] = head["ETag"].strip('"')
    event = {"time": since.isoformat(), "detail": {"bucket": {"name": sent.bucket}, "object": item}}
    sfn = deployed.client("stepfunctions")

    def ended():
        arn = sfn.start_execution(stateMachineArn=place.machine, input=json.dumps(event))["executionArn"]
        return until(
            lambda: (found := sfn.describe_execution(executionArn=arn))["status"] != "RUNNING" and found
        )

    first, second = ended(), ended()
    assert [each.get("cause") for each in (first, second)] == [None, None]
    assert json.loads(first["output"])["rows_out"] == 5
    assert json.loads(second["output"])["status"] == "duplicate"


def test_a_failed_run_is_sent_again_under_rules_that_were_mended(deployed, tmp_path):
    ssm, name = deployed.client("ssm"), f"/ingestion/{NAME}/orders"
    write_deliveries(tmp_path / "orders", files=7, seed=12, rows=(3, 5))
    ssm.put_parameter(Name=name, Type="String", Value=json.dumps({"dq_rules": {"min_rows": 100}}))
    try:
        code, out = deployed.asl("run", NAME, tmp_path / "orders", "--json", "--timeout", 300)
        (run,) = json.loads(out)["executions"]
        assert (code, run["error"].partition(":")[0]) == (1, "TooFewRows")
    finally:
        ssm.delete_parameter(Name=name)
    code, out = deployed.asl("redrive", NAME, "--file", "_SUCCESS", "--json")
    assert (code, len(json.loads(out)["redriven"])) == (0, 1)
    items = until(
        lambda: [
            item
            for item in deployed.client("dynamodb").scan(TableName=deployed.pipeline(NAME).table)["Items"]
            if "attempt" in item and item["status"]["S"] in ("completed", "failed")
        ]
    )
    assert [item["status"]["S"] for item in items] == ["completed"]
    assert int(items[0]["rows_out"]["N"]) > 0


def test_the_parameter_of_a_dataset_lies_between_the_declaration_and_the_input(deployed, tmp_path):
    ssm, name = deployed.client("ssm"), f"/ingestion/{NAME}/orders"
    delivery(tmp_path / "in")
    ssm.put_parameter(Name=name, Type="String", Value=json.dumps({"dq_rules": {"min_rows": 6}}))
    path = tmp_path / "config.json"
    path.write_text("{}")
    try:
        code, out = deployed.asl("run", NAME, tmp_path / "in", "--input", path, "--json")
        assert (code, json.loads(out)["error"].partition(":")[0]) == (1, "TooFewRows")
        delivery(tmp_path / "more")
        code, _ = configured(
            deployed, tmp_path, tmp_path / "more", dq_rules={"min_rows": 1}, processor_type="lambda"
        )
        assert code == 0
    finally:
        ssm.delete_parameter(Name=name)
