"""The curated machine, run: each processor, each way to end, and one failure path for all that fails."""

from __future__ import annotations

import json

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from asl.checks.machines import check_machine
from asl.emit.state_machine import definition
from asl.front_door import FILE_KEY
from asl.lower import lower_pipeline
from tests.asl.curated import EVENT, JOB, RECORD, World, curated, run
from tests.asl.interpreter import StatesError

BY_HAND = {"processor_type": "lambda", "dq_rules": {"max_null_pct": 0.05}}
STEPS = ["Validate", "What is valid?", "Choose a processor"]


def test_the_machine_passes_every_check():
    found = definition(lower_pipeline(curated()))
    assert check_machine("shop", found.definition, found.substitutions) == ()


@pytest.mark.parametrize(
    ("kind", "size", "state", "jobs"),
    [
        ("lambda", 10**12, "Transform on Lambda", []),
        ("glue_pyspark", 1, "Transform on Glue PySpark", ["pyspark"]),
        ("glue_sql", 1, "Transform on Glue SQL", ["sql"]),
        ("auto", 1000, "Transform on Lambda", []),
        ("auto", 1001, "Transform on Glue PySpark", ["pyspark"]),
    ],
)
def test_the_configuration_chooses_the_processor(kind, size, state, jobs):
    execution, world = run(answers={"validate": {"processor_type": kind, "bytes": size}})
    assert execution.status == "SUCCEEDED", execution.cause
    assert [name for name in execution.entered if name.startswith("Transform")] == [state]
    assert world.jobs() == jobs
    arguments = world.asked(state)
    event = arguments["Payload"] if "Payload" in arguments else json.loads(arguments["Arguments"]["--event"])
    assert event == {
        "execution": "run-1",
        "event_time": EVENT["time"],
        "inputs": {"files": {"manifest": JOB["manifest"]}},
        "curation": JOB["curation"],
    }
    assert world.tracked() == ["started", "completed"]


def test_what_a_good_run_tells():
    execution, world = run()
    assert execution.status == "SUCCEEDED", execution.cause
    summary = execution.output
    assert summary == world.told("Announce") == world.told("Tell of the end")
    assert (summary["source"], summary["target"]) == (
        "s3://landing-1/in/_SUCCESS",
        "s3://${LakeBucket}/stock/",
    )
    assert (summary["rows_in"], summary["rows_out"], summary["rows_quarantined"]) == (5, 3, 2)
    assert (summary["outputs"], summary["partitions"]) == (
        ["s3://lake/stock/dt=1/part-x.zstd.parquet"],
        ["dt=1"],
    )
    assert summary["manifest"].endswith("/outputs.json")
    assert "code" not in summary
    entry = world.asked("Announce")["Entries"][0]
    assert (entry["Source"], entry["DetailType"]) == ("ingestion.shop", "Ingestion Completed")


def test_validate_gets_the_input_as_it_is_and_each_later_step_its_answer():
    _, world = run(BY_HAND)
    started = "2025-01-17T10:15:03.000Z"
    assert world.asked("Validate")["Payload"] == {
        "execution": "run-1",
        "event_time": started,
        "input": BY_HAND,
    }
    for state in ("Validate output", "Load"):
        assert world.asked(state)["Payload"] == {"job": JOB, "record": RECORD["record"]}


@pytest.mark.parametrize(
    "given_input", [{}, BY_HAND, {"time": 5}, {"detail": "none"}, [1], "text", {"dataset": 7}]
)
def test_a_run_by_hand_is_tracked_by_its_own_name_whatever_its_input(given_input):
    execution, world = run(given_input)
    assert execution.status == "SUCCEEDED", execution.cause
    assert world.asked("Track started")["Key"] == {"file_id": {"S": "run/run-1"}}
    kept = world.asked("Track started")["ExpressionAttributeValues"][":input"]["S"]
    assert kept == given_input if isinstance(given_input, str) else json.loads(kept) == given_input


@pytest.mark.parametrize(("others", "ends"), [(1, "SUCCEEDED"), (5, "SUCCEEDED"), (6, "FAILED")])
def test_a_merge_that_another_run_was_faster_than_is_transformed_again(others, ends):
    execution, world = run(failing={"Load": [StatesError("TableChanged", "{}")] * others})
    assert execution.status == ends
    transforms = [name for name, _ in world.calls if name.startswith("Transform")]
    assert len(transforms) == min(others, 5) + 1
    assert [name for name, _ in world.calls].count("Load") == min(others, 5) + 1
    if ends == "FAILED":
        assert world.told("Alert")["code"] == "TableChanged"


def test_a_run_that_is_resumed_has_the_identity_of_the_first():
    execution, world = run({**EVENT, "resume": "run-0"})
    assert world.asked("Track started")["Key"] == {"file_id": {"S": "landing-1/in/_SUCCESS#v.1"}}
    execution, world = run({"resume": "run-0"})
    assert execution.status == "SUCCEEDED"
    assert world.asked("Track completed")["Key"] == {"file_id": {"S": "run/run-0"}}


def test_a_bucket_without_versions_tells_objects_apart_by_their_etag():
    event = json.loads(json.dumps(EVENT))
    del event["detail"]["object"]["version-id"]
    _, world = run(event)
    assert world.asked("Track started")["Key"]["file_id"]["S"].endswith("#e7a9")


def test_an_event_that_comes_twice_changes_nothing():
    execution, world = run(completed=True)
    assert (execution.status, execution.output["status"]) == ("SUCCEEDED", "duplicate")
    assert [name for name, _ in world.calls] == ["Track started"]


def test_nothing_to_ingest_is_completed_with_no_counts_and_tells_nobody():
    execution, world = run(answers={"validate": {"status": "empty", "files": 0}})
    assert execution.status == "SUCCEEDED", execution.cause
    assert [name for name, _ in world.calls] == ["Track started", "Validate", "Track completed"]
    assert [execution.output[name] for name in ("files", "rows_in", "rows_out", "output_count")] == [
        0,
        0,
        0,
        0,
    ]
    assert (execution.output["outputs"], execution.output["records"]) == ([], [])


def test_files_that_are_rejected_are_told_of_and_the_others_go_on():
    answer = {"files_rejected": 2, "code": "NotParquet", "message": "text (s3://landing-1/in/a.parquet)"}
    execution, world = run(answers={"validate": answer})
    assert execution.status == "SUCCEEDED", execution.cause
    told = world.told("Tell of rejected files")
    assert (told["files"], told["files_rejected"], told["code"]) == (3, 2, "NotParquet")
    assert execution.output["files_rejected"] == 2
    quiet, _ = run(answers={"validate": answer}, failing={"Tell of rejected files": StatesError("SNS.Down")})
    assert quiet.status == "SUCCEEDED"


def reason_of(world: World, execution, status: str) -> dict[str, str]:
    """Return the reason, once all who are told agree on it."""
    assert (execution.status, world.tracked()[-1]) == ("FAILED", status)
    updates = [a for _, a in world.calls if "#reason = :reason" in a.get("UpdateExpression", "")]
    written = updates[0]["ExpressionAttributeValues"][":reason"]["M"]
    reason = {name: value["S"] for name, value in written.items()}
    event, alert = world.told("Announce failure"), world.told("Alert")
    for told in (event, alert):
        assert {name: told[name] for name in reason} == reason
        assert told["job_id"] == "run-1"
    assert (event["status"], alert["status"]) == ("failed", status)
    assert world.asked("Announce failure")["Entries"][0]["DetailType"] == "Ingestion Failed"
    assert execution.cause == f"{reason['code']}: {reason['message']}"
    assert "Announce" not in execution.entered
    return reason


@pytest.mark.parametrize(
    ("answers", "status", "step"),
    [
        ({"validate": {"status": "rejected", "files": 0, "files_rejected": 1, "code": "C", "message": "why"}}, "rejected", "validate"),
        ({"transform": {"status": "rejected", "reason": {"code": "C", "message": "why"}}}, "failed", "transform"),
        ({"transform": {"files_rejected": 1, "rejected": {"d": {"code": "C", "message": "why"}}}}, "failed", "transform"),
        ({"check": {"status": "broken", "code": "C", "message": "why"}}, "failed", "validate_output"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["lambda", "glue_pyspark", "glue_sql"])
def test_an_answer_that_says_no_fails_the_run_with_its_reason(answers, status, step, kind):
    answers = {**answers, "validate": {"processor_type": kind, **answers.get("validate", {})}}
    execution, world = run(answers=answers)
    assert reason_of(world, execution, status) == {"step": step, "code": "C", "message": "why"}
    assert "Load" not in execution.entered


CALLS = {
    "Validate": "validate",
    "Transform on Lambda": "transform",
    "Validate output": "validate_output",
    "Load": "load",
    "Announce": "notify",
}


@pytest.mark.parametrize("state", [*CALLS, "Transform on Glue PySpark", "Read the run of Glue SQL"])
@pytest.mark.parametrize(
    ("cause", "message"),
    [
        ('{"errorMessage": "key: \\"x\\" is none", "errorType": "ConfigError"}', 'key: "x" is none'),
        ('{"AllocatedCapacity":2,"ErrorMessage":"Zeile\\u0020ä\\n2","JobName":"j"}', "Zeile ä\n2"),
        ('{"errorMessage": "cut in the mid', '{"errorMessage": "cut in the mid'),
        ("{not JSON", "{not JSON"),
        ("", ""),
    ],
)
def test_an_error_of_any_call_fails_the_run_with_the_steps_name(state, cause, message):
    kind = {"Transform on Glue PySpark": "glue_pyspark", "Read the run of Glue SQL": "glue_sql"}.get(
        state, "lambda"
    )
    execution, world = run(
        answers={"validate": {"processor_type": kind}}, failing={state: StatesError("TableChanged", cause)}
    )
    assert execution.status == "FAILED"
    if state == "Announce":
        assert world.told("Alert")["step"] == "notify"
        return
    step = CALLS.get(state, "transform")
    assert reason_of(world, execution, "failed") == {"step": step, "code": "TableChanged", "message": message}


@given(st.text(max_size=3000), st.booleans(), st.integers(0, 4000))
@settings(max_examples=60, deadline=None)
def test_whatever_a_cause_says_the_failure_path_is_gone_to_its_end(text, ascii_only, cut):
    cause = json.dumps({"errorMessage": text, "errorType": "X"}, ensure_ascii=ascii_only)[:cut]
    execution, world = run(failing={"Load": StatesError("X", cause)})
    assert (execution.status, execution.error) == ("FAILED", "RunFailed")
    message = world.told("Alert")["message"]
    assert len(message) <= 2000
    if cut >= len(json.dumps({"errorMessage": text, "errorType": "X"}, ensure_ascii=ascii_only)):
        assert message == text[:2000]


@pytest.mark.parametrize("broken", ["Track failure", "Announce failure", "Alert"])
def test_the_failure_path_goes_on_where_a_part_of_it_fails(broken):
    failing = {"Validate": StatesError("ConfigError", "why"), broken: StatesError("Service.Down")}
    execution, _ = run(failing=failing)
    assert (execution.status, execution.cause) == ("FAILED", "ConfigError: why")
    assert execution.entered[-4:] == ["Track failure", "Announce failure", "Alert", "Failed"]


def test_a_run_that_fails_before_its_first_step_is_told_of_too():
    execution, world = run({"dataset": "other"}, failing={"Track started": StatesError("DynamoDB.Down")})
    assert execution.status == "FAILED"
    event = world.told("Announce failure")
    assert (event["step"], event["dataset"], event["files"], event["outputs"]) == ("start", "other", 0, [])


def test_dynamodb_takes_the_items_that_the_machine_writes():
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="eu-west-1")
        ((name, kind),) = FILE_KEY
        dynamodb.create_table(
            TableName="runs",
            KeySchema=[{"AttributeName": name, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind}],
            BillingMode="PAY_PER_REQUEST",
        )

        def written(given_input, **how):
            _, world = run(given_input, **how)
            for _, arguments in world.calls:
                if "UpdateExpression" in arguments:
                    dynamodb.update_item(**{**arguments, "TableName": "runs"})
            key = world.asked("Track started")["Key"]
            return dynamodb.get_item(TableName="runs", Key=key)["Item"]

        done = written(EVENT)
        assert (done["status"]["S"], done["rows_out"]["N"], done["bucket"]["S"]) == (
            "completed",
            "3",
            "landing-1",
        )
        assert "live" not in done
        assert [each["S"] for each in done["records"]["L"]] == [RECORD["record"]]
        failed = written(BY_HAND, failing={"Load": StatesError("TableChanged", "why")})
        assert (failed["status"]["S"], failed["live"]["S"]) == ("failed", "failed")
        assert json.loads(failed["input"]["S"]) == BY_HAND
        assert failed["reason"]["M"] == {
            "step": {"S": "load"},
            "code": {"S": "TableChanged"},
            "message": {"S": "why"},
        }
