"""Stacks on the local AWS, and the words for what fails from recorded answers."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import botocore.session
import pytest
from botocore.stub import ANY, Stubber

from asl.deploy import stack
from asl.deploy.errors import OperationError
from asl.deploy.stack import Change, Template
from asl.deploy.target import Target


def template(**queues):
    resources = {
        name: {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": seconds}}
        for name, seconds in queues.items()
    }
    return Template(body=json.dumps({"Resources": resources, "Outputs": {"Url": {"Value": {"Ref": "A"}}}}))


@pytest.fixture
def name():
    return f"s-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def target(local_aws):
    return Target.local(local_aws.endpoint)


@pytest.mark.local_aws
def test_what_is_proposed_is_what_happens(target, name):
    def kinds(given):
        return [(change.action, change.logical_id) for change in stack.propose(target, name, given, {})]

    assert stack.describe(target, name) is None
    assert kinds(template(A=30, B=30)) == [("create", "A"), ("create", "B")]
    seen = []
    stack.execute(target, name, lambda *event: seen.append(event))
    assert ("A", "AWS::SQS::Queue", "CREATE_COMPLETE") in seen
    url = stack.outputs(target, name)["Url"]
    assert kinds(template(A=60, C=30)) == [("update", "A"), ("delete", "B"), ("create", "C")]
    stack.execute(target, name)
    attributes = target.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"] == {"VisibilityTimeout": "60"}
    assert set(stack.resources(target, name)) == {"A", "C"}
    assert kinds(template(A=60, C=30)) == []
    assert stack.destroy(target, name)
    assert not stack.destroy(target, name)


@pytest.mark.local_aws
def test_a_proposal_that_is_discarded_leaves_no_stack(target, name):
    assert stack.propose(target, name, template(A=30), {}) == (Change("create", "A", "AWS::SQS::Queue"),)
    stack.discard(target, name)
    assert stack.describe(target, name) is None


@pytest.mark.local_aws
def test_outputs_of_a_stack_that_is_not_there(target, name):
    with pytest.raises(OperationError, match=r"ASL410 .*is not deployed to local"):
        stack.outputs(target, name)


@pytest.fixture
def recorded(monkeypatch):
    """A target whose CloudFormation answers what a test records."""
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    api = session.create_client(
        "cloudformation", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    monkeypatch.setattr(stack, "_interval", lambda target: 0)
    target = Target("aws")
    target._clients["cloudformation"] = api
    with Stubber(api) as stubber:
        yield target, stubber
        stubber.assert_no_pending_responses()


def event(number, resource, status, reason=None):
    made = {
        "StackId": "i", "EventId": f"e{number}", "StackName": "s", "LogicalResourceId": resource,
        "ResourceType": "AWS::SQS::Queue", "ResourceStatus": status, "Timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return {**made, "ResourceStatusReason": reason} if reason else made


def described(status):
    return {
        "Stacks": [
            {"StackName": "s", "CreationTime": datetime(2026, 1, 1, tzinfo=UTC), "StackStatus": status}
        ]
    }


def test_the_resource_that_failed_first_is_named_not_those_cancelled_for_it(recorded):
    target, stubber = recorded
    old = event(0, "Z", "CREATE_FAILED", "of an earlier deployment")
    newest_first = [
        event(3, "B", "CREATE_FAILED", "Resource creation cancelled"),
        event(2, "A", "CREATE_FAILED", "the name is taken"),
        event(1, "A", "CREATE_IN_PROGRESS"),
        old,
    ]
    stubber.add_response("describe_stack_events", {"StackEvents": [old]})
    stubber.add_response("execute_change_set", {}, {"StackName": "s", "ChangeSetName": ANY})
    stubber.add_response("describe_stacks", described("ROLLBACK_IN_PROGRESS"))
    stubber.add_response("describe_stack_events", {"StackEvents": newest_first})
    stubber.add_response("describe_stacks", described("ROLLBACK_COMPLETE"))
    stubber.add_response("describe_stack_events", {"StackEvents": newest_first})
    stubber.add_response("describe_stack_events", {"StackEvents": newest_first})
    seen = []
    with pytest.raises(OperationError) as failed:
        stack.execute(target, "s", lambda *given: seen.append(given[::2]))
    assert "A (AWS::SQS::Queue) failed: the name is taken; the stack 's' is ROLLBACK_COMPLETE" in str(
        failed.value
    )
    assert seen == [("A", "CREATE_IN_PROGRESS"), ("A", "CREATE_FAILED"), ("B", "CREATE_FAILED")]


def test_a_stack_at_work_is_left_alone(recorded):
    target, stubber = recorded
    stubber.add_response("describe_stacks", described("UPDATE_IN_PROGRESS"))
    with pytest.raises(OperationError, match=r"ASL411 .*UPDATE_IN_PROGRESS"):
        stack.propose(target, "s", Template(body="{}"), {})


def test_a_refused_template_gives_cloudformations_reason(recorded):
    target, stubber = recorded
    stubber.add_response("describe_stacks", described("UPDATE_COMPLETE"))
    stubber.add_response("delete_change_set", {})
    stubber.add_client_error(
        "create_change_set", "ValidationError", "Template format error: no Resources", 400
    )
    with pytest.raises(OperationError, match=r"ASL412 .*no Resources"):
        stack.propose(target, "s", Template(url="https://s3/t"), {"B": "2", "A": "1"})


def test_changes_of_all_pages_are_read_and_replacement_is_told(recorded):
    target, stubber = recorded

    def page(action, logical_id, **more):
        change = {"Action": action, "LogicalResourceId": logical_id, "ResourceType": "T", **more}
        return {"Status": "CREATE_COMPLETE", "Changes": [{"Type": "Resource", "ResourceChange": change}]}

    stubber.add_response("describe_stacks", described("UPDATE_COMPLETE"))
    stubber.add_response("delete_change_set", {})
    stubber.add_response("create_change_set", {}, {
        "StackName": "s", "ChangeSetName": ANY, "ChangeSetType": "UPDATE", "TemplateURL": "https://s3/t",
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Parameters": [{"ParameterKey": "A", "ParameterValue": "1"}, {"ParameterKey": "B", "ParameterValue": "2"}],
    })  # fmt: skip
    stubber.add_response("describe_change_set", {"Status": "CREATE_IN_PROGRESS", "Changes": []})
    stubber.add_response("describe_change_set", {**page("Modify", "X", Replacement="True"), "NextToken": "n"})
    stubber.add_response("describe_change_set", page("Modify", "W", Replacement="False"))
    changes = stack.propose(target, "s", Template(url="https://s3/t"), {"B": "2", "A": "1"})
    assert [(change.action, change.logical_id) for change in changes] == [("update", "W"), ("replace", "X")]
