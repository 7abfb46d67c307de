"""Key prefixes -> state machines: the longest wins, one call looks all up, a bad file is alone."""

import json
from dataclasses import replace

import pytest
from door_world import ACCOUNT, MACHINE, REGION, arrivals, front_door
from hypothesis import given
from hypothesis import strategies as st
from test_queue_faults import routed

from aws_runtime.ingress.executions import execution_arn, file_execution_name, machine_of
from aws_runtime.ingress.orchestrator import Route, UnroutedError, prefixes, route_of

OTHER = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:other"


@pytest.fixture
def door(account):
    with front_door("queue") as made:
        routed(made)
        role = f"arn:aws:iam::{ACCOUNT}:role/machine"
        empty = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
        made.clients.states.create_state_machine(name="other", definition=empty, roleArn=role)
        made.calls.clear()
        yield made


def sent(door):
    """Return the executions' machines, by key."""
    return {
        json.loads(e.execution_input)["detail"]["object"]["key"]: e.state_machine_arn
        for e in door.executions()
    }


def files(*keys):
    return [replace(item, key=key) for item, key in zip(arrivals(len(keys)), keys, strict=True)]


def test_prefixes_are_the_longest_first():
    assert prefixes("a/b//c.csv") == ["a/b//", "a/b/", "a/", "*"]
    assert prefixes("c.csv") == ["*"]
    assert prefixes("/c.csv") == ["/", "*"]


@given(st.lists(st.text("ab/", max_size=5)), st.text("ab/", min_size=1, max_size=8))
def test_the_longest_prefix_wins(folders, key):
    rows = {f"{folder}/" for folder in folders} | {"*"}
    leading = [prefix for prefix in rows if prefix == "*" or key.startswith(prefix)]
    expected = max(leading, key=lambda prefix: 0 if prefix == "*" else len(prefix))
    assert route_of(key, {prefix: Route(prefix, MACHINE) for prefix in rows}).prefix == expected


def test_no_prefix_is_an_error_with_the_key():
    with pytest.raises(UnroutedError, match=r"no prefix of other/a\.csv"):
        route_of("other/a.csv", {"sales/": Route("sales/", MACHINE)})


def test_rows_added_by_hand_lead_files_elsewhere(door):
    routed(door, **{"sales/north/": {"step_function": OTHER}, "*": {"step_function": OTHER}})
    assert door.receive(files("sales/a.csv", "sales/north/b.csv", "c.csv", "sales/northern/d.csv")) == []
    assert sent(door) == {
        "sales/a.csv": MACHINE,
        "sales/north/b.csv": OTHER,
        "c.csv": OTHER,
        "sales/northern/d.csv": MACHINE,
    }
    (by_hand,) = [e for e in door.executions() if '"c.csv"' in e.execution_input]
    assert "pipeline" not in json.loads(by_hand.execution_input)


def test_the_input_has_the_shape_of_the_event_bus(door):
    (file,) = files("sales/a b+c.csv")
    door.receive([file])
    assert json.loads(door.executions()[0].execution_input) == {
        "time": file.event_time,
        "pipeline": "csv_to_parquet",
        "detail": {
            "bucket": {"name": "input"},
            "object": {
                "key": "sales/a b+c.csv",
                "size": file.size,
                "etag": file.etag,
                "version-id": file.version_id,
                "sequencer": file.sequencer,
            },
        },
    }


def test_ten_files_take_one_look_up_and_two_calls_each(door):
    door.receive(arrivals(10, folder="sales/"))
    assert door.calls == ["BatchGetItem", *(["StartExecution", "PutItem"] * 10)]


def test_a_file_that_leads_nowhere_comes_back_alone(door):
    good, lost, also_good = files("sales/a.csv", "typo/b.csv", "sales/c.csv")
    assert door.receive([good, lost, "garbage", also_good]) == [lost, "garbage"]
    assert set(sent(door)) == {good.key, also_good.key}


def test_a_machine_that_is_gone_keeps_its_own_file_only(door):
    routed(door, **{"sales/north/": {"step_function": f"{OTHER}-gone"}})
    good, lost = files("sales/a.csv", "sales/north/b.csv")
    assert door.receive([lost, good]) == [lost]
    assert set(sent(door)) == {good.key}


@pytest.mark.parametrize(
    "row",
    [
        {"prefix": {"S": "sales/"}, "step_function": {"S": MACHINE}, "suffixes": {"L": [{"S": ".csv"}]}},
        {"prefix": {"S": "sales/"}, "step_function": {"S": MACHINE}, "suffixes": {"SS": [".csv"]}},
    ],
)
def test_other_suffixes_are_ignored(door, row):
    door.clients.dynamodb.put_item(TableName="metadata", Item=row)
    assert door.receive(files("sales/a.csv", "sales/readme.txt")) == []
    assert set(sent(door)) == {"sales/a.csv"}


def test_a_prefix_without_a_machine_starts_nothing(door):
    routed(door, **{"sales/old/": {"step_function": ""}})
    assert door.receive(files("sales/old/a.csv")) == []
    assert not door.executions()


def test_a_machine_that_ended_before_its_start_was_noted_keeps_its_status(door):
    (file,) = files("sales/a.csv")
    door.clients.dynamodb.put_item(
        TableName="status",
        Item={"file_id": {"S": file.key}, "version": {"S": file.version_id}, "status": {"S": "done"}},
    )
    assert door.receive([file]) == []
    assert door.statuses() == {"done": 1}


@given(st.text(min_size=1, max_size=300), st.integers(0, 999))
def test_names_of_executions_are_allowed_and_differ_by_identity(key, attempt):
    one = replace(arrivals(1)[0], key=key)
    name = file_execution_name(one, attempt)
    assert len(name) <= 80
    # https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.=+@-")
    assert name != file_execution_name(replace(one, version_id="other"), attempt)
    assert machine_of(execution_arn(MACHINE, name)) == MACHINE
