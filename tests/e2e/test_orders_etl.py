"""orders_etl on the local AWS, from files on disk to rows, catalog, tracking and alerts."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asl import selection
from asl.deploy import runs
from asl.deploy.files import expand
from aws_runtime.engines import InputFile, Limits
from aws_runtime.step import run_step
from ingestion_assets.pipelines.orders_etl.sample_data import write_orders
from ingestion_assets.plan import asset_plan
from tests.e2e.helpers import until

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]

NAME = "orders_etl"
PREFIX = "orders_parquet_datalake/"
ODD_KEYS = ("a b.json", "c+d.json", "e%2Ff.json", "g=h.json", "é🎉 ü/i.json")


def order(number, **changes):
    """One good order of two lines."""
    return {
        "order_id": f"O-{number}", "order_date": "2025-01-17", "total_amount": 12.5,
        "customer": {"customer_id": "C-1", "name": "Ada", "email": "ada@example.com", "address": "1 Main St"},
        "products": [
            {"product_id": "P-1", "name": "Lamp", "category": "Home", "price": 2.5, "quantity": 1},
            {"product_id": "P-2", "name": "Desk", "category": "Home", "price": 10.0, "quantity": 1},
        ],
    } | changes  # fmt: skip


def write(path: Path, *orders) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in orders), encoding="utf-8")
    return path


def table(objects) -> pa.Table:
    """Parquet objects as one table, each with its partition's folder."""
    parts = []
    for key, body in objects.items():
        part = pq.ParquetFile(io.BytesIO(body)).read()
        parts.append(part.append_column("dt", pa.array([key.split("dt=")[1].split("/")[0]] * len(part))))
    return pa.concat_tables(parts)


def rows(given: pa.Table) -> Counter:
    return Counter(tuple(row.items()) for row in given.to_pylist())


def outputs(stack, run) -> dict[str, bytes]:
    """The objects that a run wrote."""
    s3, found = stack.client("s3"), {}
    for uri in run["outputs"]:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        found[key] = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return found


@pytest.fixture
def inbox(listening):
    return listening(NAME)


def test_sample_files_give_the_rows_that_the_step_gives_here(deployed, tmp_path):
    summary = write_orders(tmp_path / "orders", files=12, seed=3)
    code, found = deployed.run(NAME, tmp_path / "orders")
    assert code == 1  # two files are broken
    states = Counter(run["status"] for run in found.values())
    assert states == {"SUCCEEDED": 10, "FAILED": summary.broken_files}
    assert sum(run["rows_in"] for run in found.values()) == summary.lines
    assert sum(run["rows_out"] for run in found.values()) == summary.lines - summary.bad_lines
    assert sum(run["rows_quarantined"] for run in found.values()) == summary.bad_lines

    pipeline = selection.selected([NAME])[0]
    plan = asset_plan(pipeline, pipeline.assets[0])
    good = {key: run for key, run in found.items() if run["status"] == "SUCCEEDED"}
    for key, run in good.items():
        here = tmp_path / "here" / key
        spill = here / "spill"
        spill.mkdir(parents=True)
        result = run_step(
            plan, {plan.inputs[0].name: [InputFile(str(tmp_path / "orders" / key), run["file"])]},
            destination=str(here / "rows"), quarantine=str(here / "quarantine"), stem="s",
            limits=Limits(512 * 2**20, 1, str(spill)),
        )  # fmt: skip
        assert (run["rows_out"], run["rows_quarantined"]) == (result.rows_out, result.rows_quarantined)
        local = table({each.path: Path(each.path).read_bytes() for each in result.files})
        there = table(outputs(deployed, run))
        assert there.schema.equals(local.schema)
        assert rows(there) == rows(local)


def test_columns_types_partitions_and_names_are_as_promised(deployed, tmp_path):
    path = write(tmp_path / "one.json", order(1), order(2, order_date="2025-01-18"))
    code, found = deployed.run(NAME, path)
    assert code == 0
    objects = outputs(deployed, found["one.json"])
    assert {key.split("/")[1] for key in objects} == {"dt=2025-01-17", "dt=2025-01-18"}
    assert all(key.startswith(PREFIX) for key in objects)
    schema = pq.ParquetFile(io.BytesIO(next(iter(objects.values())))).schema_arrow
    assert schema.names == [
        "order_id", "order_date", "total_amount", "customer_id", "customer_name", "email", "address",
        "product_id", "product_name", "category", "price", "quantity",
    ]  # fmt: skip
    assert [schema.field(name).type for name in ("total_amount", "price", "quantity")] == [
        pa.float64(), pa.float64(), pa.int64(),
    ]  # fmt: skip
    stems = {Path(key).stem for key in objects}
    assert len(stems) == 1
    event_time = datetime.strptime(stems.pop().split("-")[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - event_time).days) < 1


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_work(deployed, tmp_path, key):
    write(tmp_path / "in" / key, order(key))
    code, found = deployed.run(NAME, tmp_path / "in")
    assert (code, list(found)) == (0, [key])
    assert found[key]["rows_out"] == 2


def test_bad_rows_are_quarantined_with_reasons_and_counted(deployed, tmp_path):
    bad = order("bad")
    bad["products"][0]["quantity"] = "many"
    path = write(tmp_path / "bad.json", order("good"), bad)
    code, found = deployed.run(NAME, path)
    run = found["bad.json"]
    assert code == 0
    assert run["rows_in"] == run["rows_out"] + run["rows_quarantined"]
    assert run["rows_quarantined"] >= 1
    kept = pa.concat_tables(
        pq.read_table(io.BytesIO(body)) for body in outputs(deployed, {"outputs": run["quarantine"]}).values()
    ).to_pylist()
    assert len(kept) == run["rows_quarantined"]
    assert any("quantity" in reason and "many" in reason for row in kept for reason in row["reasons"])
    assert {row["source_uri"] for row in kept} == {run["file"]}
    assert all(json.loads(row["record"]) for row in kept)


def test_a_broken_file_is_rejected_kept_tracked_and_alerted(deployed, tmp_path, inbox):
    broken = tmp_path / "broken x.json"
    broken.write_bytes(b'[{"order_id": "O-1", "order_da')
    code, found = deployed.run(NAME, broken)
    run = found["broken x.json"]
    assert (code, run["status"], run["outputs"]) == (1, "FAILED", [])
    assert "MalformedJson" in run["error"]
    alert = inbox(lambda body: body.get("Type") == "Notification" and run["file"] in body["Message"] and body)
    assert json.loads(alert["Message"])["code"] == "MalformedJson"
    quarantine = deployed.objects(deployed.outputs["QuarantineBucket"], f"rejected/{NAME}/")
    copies = [
        key
        for key, body in quarantine.items()
        if key.endswith("/broken x.json") and body == broken.read_bytes()
    ]
    assert copies
    reasons = [json.loads(body) for key, body in quarantine.items() if key.endswith("reason.json")]
    assert any(run["file"] in json.dumps(reason) for reason in reasons)
    code, out = deployed.asl("status", NAME, "--target", "local", "--state", "rejected", "--json")
    listed = json.loads(out)
    assert code == 0
    assert any(
        "broken x.json" in file["file"] and "MalformedJson" in file["reason"] for file in listed["files"]
    )


def test_a_completed_run_is_announced_tracked_and_in_the_catalog(deployed, tmp_path, inbox):
    path = write(tmp_path / "told.json", order(1, order_date="2031-05-06"))
    code, found = deployed.run(NAME, path)
    run = found["told.json"]
    assert code == 0
    told = inbox(
        lambda body: body.get("source") == "ingestion.orders_etl" and "told.json" in json.dumps(body) and body
    )
    assert (told["detail"]["rows_out"], told["detail"]["status"]) == (2, "completed")
    item = deployed.item(NAME, told["detail"]["file_id"])
    assert (item["status"]["S"], item["rows_out"]["N"]) == ("completed", "2")
    assert int(item["expires_at"]["N"]) > time.time()
    glue = deployed.client("glue")
    catalog = glue.get_table(DatabaseName=NAME, Name="order_lines")["Table"]
    assert [column["Name"] for column in catalog["PartitionKeys"]] == ["dt"]
    pages = glue.get_partitions(DatabaseName=NAME, TableName="order_lines")["Partitions"]
    located = {tuple(part["Values"]): part["StorageDescriptor"]["Location"] for part in pages}
    folder = run["outputs"][0].rpartition("/")[0]
    assert located[("2031-05-06",)].rstrip("/") == folder
    assert glue.get_crawler(Name="etl_pipeline_crawler")["Crawler"]["State"] in ("RUNNING", "READY")


def test_the_same_event_again_changes_nothing(deployed, tmp_path):
    path = write(tmp_path / "again.json", order(1))
    code, found = deployed.run(NAME, path)
    assert code == 0
    place, sfn = deployed.pipeline(NAME), deployed.client("stepfunctions")
    name = found["again.json"]["name"]
    execution = place.machine.replace(":stateMachine:", ":execution:") + f":{name}"
    event = sfn.describe_execution(executionArn=execution)["input"]
    thing = json.loads(event)["detail"]["object"]
    tracked = f"{place.bucket}/{thing['key']}#{thing['version-id']}"
    before, item = deployed.objects(deployed.outputs["StagingBucket"]), deployed.item(NAME, tracked)
    again = sfn.start_execution(stateMachineArn=place.machine, input=event)["executionArn"]
    ended = until(lambda: (d := sfn.describe_execution(executionArn=again))["status"] != "RUNNING" and d)
    assert ended["status"] == "SUCCEEDED"
    assert deployed.objects(deployed.outputs["StagingBucket"]) == before
    assert deployed.item(NAME, tracked) == item


def test_two_files_at_once_do_not_meet(deployed, tmp_path):
    folders = [tmp_path / str(n) for n in range(2)]
    for n, folder in enumerate(folders):
        write(folder / f"both-{n}.json", *(order(f"{n}-{m}") for m in range(50)))
    with ThreadPoolExecutor() as pool:
        place = deployed.pipeline(NAME)
        since = datetime.now(UTC)
        sent = [
            identity
            for each in pool.map(
                lambda folder: runs.upload(deployed.target, place, expand([str(folder)])), folders
            )
            for identity in each
        ]
    *_, ended = runs.follow(deployed.target, place, sent, since=since, timeout=300)
    assert [run.status for run in ended] == ["SUCCEEDED"] * 2
    written = [set(run.to_json()["outputs"]) for run in ended]
    assert not written[0] & written[1]
    assert [run.rows("rows_out") for run in ended] == [100, 100]


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("OrdersEtlOrderLinesFunctionRole", "s3:GetObjectVersion"),
        ("OrdersEtlStateMachineRole", "glue:StartCrawler"),
    ],
)
def test_without_one_permission_the_run_fails_with_access_denied(deployed, tmp_path, without, role, action):
    without(role, action)
    code, found = deployed.run(NAME, write(tmp_path / "denied.json", order(1)))
    assert (code, found["denied.json"]["status"]) == (1, "FAILED")
    assert "AccessDenied" in found["denied.json"]["error"]


def test_an_event_that_cannot_start_a_run_waits_in_the_dead_letter_queue(deployed, tmp_path, without):
    without("OrdersEtlRuleRole", "states:StartExecution")
    path = write(tmp_path / "lost.json", order(1))
    code, out = deployed.asl("run", NAME, path, "--target", "local", "--json", "--timeout", 3)
    run = json.loads(out)["executions"][0]
    assert (code, run["status"], run["name"]) == (1, "NOT_STARTED", None)
    sqs, url = deployed.client("sqs"), deployed.outputs["OrdersEtlDeadLetters"]
    messages = until(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    assert json.loads(messages[0]["Body"])["detail"]["object"]["key"] == "orders/lost.json"


def test_the_same_deployment_again_changes_nothing(deployed, tmp_path):
    code, out = deployed.asl("deploy", "--target", "local", "--plan", "--out", tmp_path / "build", "--json")
    assert code == 0
    assert json.loads(out)["changes"] == []
