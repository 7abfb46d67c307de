"""Routes of an export -> rows of `workflow_metadata`; rows of others stay."""

from __future__ import annotations

import json
import uuid

import pytest

from asl.deploy import routes, stack
from asl.deploy.stack import Template
from asl.deploy.target import Target

pytestmark = pytest.mark.local_aws

TABLE = "InboxWorkflowMetadata"


@pytest.fixture
def target(local_aws):
    return Target.local(local_aws.endpoint)


@pytest.fixture
def name(target):
    """A stack of one table of routes and two machines."""
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    }
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": definition, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}},
    }
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "prefix", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "prefix", "AttributeType": "S"}],
        },
    }
    name = f"routes-{uuid.uuid4().hex[:8]}"
    resources = {"Role": role, "One": machine, "Two": machine, TABLE: table}
    stack.propose(target, name, Template(body=json.dumps({"Resources": resources})), {})
    stack.execute(target, name)
    yield name
    stack.destroy(target, name)


def export(folder, *declared):
    """An exported folder that holds routes and nothing else."""
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"routes": "routes.json"}))
    found = [
        {"bucket": "InboxBucket", "table": TABLE, "prefix": prefix, "pipeline": prefix.strip("/") or "all",
         "machine": machine, "suffixes": suffixes}
        for prefix, machine, suffixes in declared
    ]  # fmt: skip
    (folder / "routes.json").write_text(json.dumps(found))
    return folder


def rows(target, name):
    table = stack.resources(target, name)[TABLE][1]
    items = target.client("dynamodb").scan(TableName=table)["Items"]
    return {item["prefix"]["S"]: item for item in items}


def put(target, name, **row):
    table = stack.resources(target, name)[TABLE][1]
    item = {key: {"S": value} for key, value in row.items()}
    target.client("dynamodb").put_item(TableName=table, Item=item)
    return item


def actions(changes):
    return {change.prefix: change.action for change in changes}


def test_declared_routes_are_written_changed_and_deleted(target, name, tmp_path):
    machines = {each: stack.resources(target, name)[each][1] for each in ("One", "Two")}
    first = export(tmp_path / "a", ("a/", "One", [".csv", ".gz"]), ("b/", "Two", []))
    assert actions(routes.apply(target, name, first)) == {"a/": "create", "b/": "create"}
    found = rows(target, name)
    assert found["a/"] == {
        "prefix": {"S": "a/"}, "pipeline": {"S": "a"}, "managed_by": {"S": name},
        "step_function": {"S": machines["One"]}, "suffixes": {"L": [{"S": ".csv"}, {"S": ".gz"}]},
    }  # fmt: skip
    assert actions(routes.apply(target, name, first)) == {"a/": "keep", "b/": "keep"}
    assert rows(target, name) == found
    second = export(tmp_path / "b", ("a/", "Two", []), ("", "One", []))
    assert actions(routes.plan(target, name, second)) == {"*": "create", "a/": "update", "b/": "delete"}
    assert rows(target, name) == found
    routes.apply(target, name, second)
    assert {prefix: row["step_function"]["S"] for prefix, row in rows(target, name).items()} == {
        "*": machines["One"], "a/": machines["Two"],
    }  # fmt: skip
    routes.apply(target, name, export(tmp_path / "c"))
    assert rows(target, name) == {}


def test_rows_of_others_are_never_touched(target, name, tmp_path):
    by_hand = put(target, name, prefix="a/", step_function="arn:by-hand", note="mine")
    other = put(target, name, prefix="z/", step_function="arn:other", managed_by="another-stack")
    build = export(tmp_path / "a", ("a/", "One", []), ("b/", "One", []))
    done = routes.apply(target, name, build)
    assert actions(done) == {"a/": "respect", "b/": "create"}
    assert next(change.machine for change in done if change.prefix == "a/") == "arn:by-hand"
    routes.apply(target, name, export(tmp_path / "b"))
    assert rows(target, name) == {"a/": by_hand, "z/": other}


def test_a_row_that_somebody_adds_meanwhile_is_theirs(target, name, tmp_path, monkeypatch):
    build = export(tmp_path / "a", ("a/", "One", []))
    seen = routes.plan(target, name, build)
    theirs = put(target, name, prefix="a/", step_function="arn:theirs")
    monkeypatch.setattr(routes, "plan", lambda *_: seen)
    assert actions(routes.apply(target, name, build)) == {"a/": "respect"}
    assert rows(target, name) == {"a/": theirs}


def test_a_plan_before_the_first_deployment_creates_every_route(target, tmp_path):
    build = export(tmp_path / "a", ("a/", "One", []))
    assert actions(routes.plan(target, "not-there", build)) == {"a/": "create"}


def test_an_export_without_routes_has_none(target, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    assert routes.plan(target, "not-there", tmp_path) == ()
