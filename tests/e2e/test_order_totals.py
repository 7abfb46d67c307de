"""order_totals on the local AWS: a completed run of parquet_ingestion starts it, once, over what was published."""

from __future__ import annotations

import io
import json
import uuid

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.helpers import until

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("e2e")]

FIRST, NAME = "parquet_ingestion", "order_totals"
AMOUNTS = {
    ("2024-07-01", "eu"): [1.5, None, 1200.0],
    ("2024-07-01", "us"): [20.25],
    ("2024-08-02", "us"): [7.0],
}


def delivered(stack, tmp_path):
    """Deliver a few orders, run the first pipeline over them, and return its run."""
    for (day, region), amounts in AMOUNTS.items():
        path = tmp_path / "in" / f"dt={day}" / f"region={region}" / f"{uuid.uuid4().hex}.parquet"
        path.parent.mkdir(parents=True)
        orders = [f"{uuid.uuid4().hex[:8]}-{n}" for n in range(len(amounts))]
        columns = {"customer_id": ["C00001"] * len(amounts), "order_id": orders}
        pq.write_table(pa.table({**columns, "amount": pa.array(amounts, pa.float64())}), path)
    configuration = tmp_path / "input.json"
    configuration.write_text(json.dumps({"processor_type": "lambda", "dq_rules": {"max_null_pct": 1.0}}))
    code, out = stack.asl("run", FIRST, tmp_path / "in", "--input", configuration, "--json", "--timeout", 300)
    run = json.loads(out)
    assert (code, run["error"]) == (0, None)
    return run


def followed(stack, job, *, status="completed"):
    """Wait for the item of the run that followed a job."""
    table, key = stack.pipeline(NAME).table, {"file_id": {"S": f"{FIRST}/{job}"}}

    def look():
        item = stack.client("dynamodb").get_item(TableName=table, Key=key).get("Item", {})
        return item if item.get("status", {}).get("S") == status else None

    return until(look, 120)


def totals(stack, item):
    """The rows that a run wrote, by day and region."""
    s3, frames = stack.client("s3"), []
    for uri in [each["S"] for each in item["outputs"]["L"]]:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        frames.append(pl.read_parquet(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())))
    rows = pl.concat(frames).rows(named=True)
    return {(str(row.pop("dt")), row.pop("region")): tuple(row.values()) for row in rows}


def executions(stack):
    sfn, machine = stack.client("stepfunctions"), stack.pipeline(NAME).machine
    return sfn.list_executions(stateMachineArn=machine)["executions"]


def announced(stack, **detail):
    """Put an event as the first pipeline's machine does, and return what the execution that it starts answers."""
    known = {each["executionArn"] for each in executions(stack)}
    target = f"s3://{stack.outputs['MyCuratedZoneBucket']}/orders/"
    entry = {
        "Source": f"ingestion.{FIRST}",
        "DetailType": "Ingestion Completed",
        "Detail": json.dumps({"pipeline": FIRST, "target": target, **detail}),
    }
    stack.client("events").put_events(Entries=[entry])

    def ended():
        return next(
            (e for e in executions(stack) if e["executionArn"] not in known and e["status"] != "RUNNING"),
            None,
        )

    arn = until(ended, 120)["executionArn"]
    found = stack.client("stepfunctions").describe_execution(executionArn=arn)
    assert found["status"] == "SUCCEEDED", found
    return json.loads(found["output"])


def test_a_completed_run_is_totalled_once(deployed, tmp_path):
    run = delivered(deployed, tmp_path)
    item = followed(deployed, run["name"])
    assert (item["rows_in"]["N"], item["rows_out"]["N"]) == ("3", "3")
    assert totals(deployed, item) == {
        ("2024-07-01", "eu"): (3, 1, 1, 120_150),
        ("2024-07-01", "us"): (1, 0, 0, 2_025),
        ("2024-08-02", "us"): (1, 0, 0, 700),
    }
    zone = deployed.outputs["MyCuratedZoneBucket"]
    before = deployed.objects(zone, "delivered_totals/")
    event = {"job_id": run["name"], "manifest": f"s3://{item['bucket']['S']}/{item['key']['S']}"}
    again = announced(deployed, **event, finished_at=item["event_time"]["S"], output_count=3)
    assert again["status"] == "duplicate"
    assert deployed.objects(zone, "delivered_totals/") == before


def test_a_run_that_published_nothing_is_followed_by_one_without_rows(deployed):
    job = uuid.uuid4().hex
    answer = announced(
        deployed, job_id=job, manifest="", finished_at="2024-07-04T00:00:00.000Z", output_count=0
    )
    assert (answer["status"], answer["rows_out"], answer["outputs"]) == ("completed", 0, [])
    assert followed(deployed, job)["rows_out"]["N"] == "0"


def test_events_of_other_stacks_start_nothing(deployed):
    known = len(executions(deployed))
    detail = {"pipeline": FIRST, "job_id": "x", "target": "s3://other-my-curated-zone-1/orders/"}
    entry = {
        "Source": f"ingestion.{FIRST}",
        "DetailType": "Ingestion Completed",
        "Detail": json.dumps(detail),
    }
    deployed.client("events").put_events(Entries=[entry])
    announced(deployed, job_id=uuid.uuid4().hex, manifest="", output_count=0)  # came later, and is done
    assert len(executions(deployed)) == known + 1


def test_what_failed_is_sent_again(deployed, tmp_path, without):
    restore = without("OrderTotalsDeliveredTotalsFunctionRole", "s3:GetObjectVersion")
    run = delivered(deployed, tmp_path)
    failed = followed(deployed, run["name"], status="failed")
    restore()
    code, out = deployed.asl("redrive", NAME, "--json")
    assert code == 0
    assert failed["key"]["S"] in out
    item = followed(deployed, run["name"])
    assert item["event_time"] == failed["event_time"]
    assert item["rows_out"]["N"] == "3"
