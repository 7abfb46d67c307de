"""Runs that a configuration starts, followed to their end."""

from __future__ import annotations

import io
import json
import uuid

import pytest
from rich.console import Console

from asl.deploy import configured_runs, progress
from asl.deploy.errors import OperationError
from asl.deploy.files import LocalFile
from asl.deploy.locate import Deployed
from asl.deploy.target import Target


@pytest.fixture
def place(local_aws, aws):
    """A machine that succeeds with its input as output, or fails where the input says so."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    aws("dynamodb").create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "file_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "file_id", "AttributeType": "S"}],
    )  # fmt: skip
    states = {
        "Look": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $exists($states.input.fail) %}", "Next": "Failed"}],
            "Default": "Done",
        },
        "Failed": {"Type": "Fail", "Error": "RunFailed", "Cause": "TooFewRows: 3 rows, at least 1000"},
        "Done": {"Type": "Succeed"},
    }
    role = aws("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
    )["Role"]["Arn"]
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "Look", "States": states})
    machine = aws("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=role)
    return Target.local(local_aws.endpoint), Deployed("p", "b", "orders/", name, machine["stateMachineArn"])


def followed(place, given):
    run = configured_runs.start(*place, given)
    *_, run = configured_runs.follow(*place, run, timeout=30)
    return run


@pytest.mark.local_aws
def test_a_run_is_followed_through_its_states_to_what_it_did(place):
    run = followed(place, {"files": 3, "rows_in": 10, "rows_out": 9, "rows_quarantined": 1})
    assert (run.status, run.states) == ("SUCCEEDED", ("Look", "Done"))
    out = io.StringIO()
    progress.tell_configured(Console(file=out, width=200), "p", run, 1)
    assert "p: Done" in out.getvalue()
    assert "p: Look" not in out.getvalue()
    assert "3 files taken, 0 rejected, 10 rows in = 9 out + 1 quarantined" in out.getvalue()


@pytest.mark.local_aws
def test_a_failed_run_says_what_was_tracked_or_else_its_cause(place, aws):
    run = followed(place, {"fail": True})
    assert (run.status, run.error) == ("FAILED", "RunFailed: TooFewRows: 3 rows, at least 1000")
    started = configured_runs.start(*place, {"fail": True})
    reason = {"M": {"code": {"S": "TooFewRows"}, "message": {"S": "3 rows"}}}
    item = {"file_id": {"S": f"run/{started.name}"}, "reason": reason}
    aws("dynamodb").put_item(TableName=place[1].table, Item=item)
    *_, run = configured_runs.follow(*place, started, timeout=30)
    assert run.error == "TooFewRows: 3 rows"


@pytest.mark.parametrize(("text", "said"), [("{", "no JSON"), ("[]", "holds a list"), ("", "no JSON")])
def test_what_is_no_configuration_is_one_line(tmp_path, text, said):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(OperationError, match=f"^ASL424 .*{said}"):
        configured_runs.read_configuration(path)


def test_files_that_start_a_run_are_told_by_the_triggers_suffixes(tmp_path):
    files = [LocalFile(tmp_path / name, name) for name in ("dt=1/a.parquet", "_SUCCESS")]
    assert configured_runs.starting(files, ("_SUCCESS",)) == (files[1],)
    assert configured_runs.starting(files, ()) == tuple(files)
