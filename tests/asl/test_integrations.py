"""Integrations: declared once, real in botocore, and exact in what they ask for."""

from __future__ import annotations

import re

import pytest

from asl.checks.machines._models import operation
from asl.integrations import integrations, merged
from asl.integrations._arns import sub
from asl.ir import Permission, Ref, Text

ALL = sorted(integrations().values(), key=lambda each: each.name)
ARGUMENTS = {
    "dynamodb_update_item": {"TableName": Ref("Runs")},
    "events_put_events": {"Entries": [{"Source": "x"}, {"EventBusName": Ref("Bus")}]},
    "glue_batch_create_partition": {"DatabaseName": Ref("Db"), "TableName": Ref("T")},
    "glue_start_crawler": {"Name": Ref("Crawler")},
    "glue_start_job_run": {"JobName": Ref("Job")},
    "lambda_invoke": {"FunctionName": Ref("F", "Arn")},
    "s3_get_object": {"Bucket": Ref("B"), "Key": "{% '_runs/p/a/' & $x %}"},
    "sns_publish": {"TopicArn": Ref("Topic")},
}


@pytest.mark.parametrize("integration", ALL, ids=lambda each: each.name)
def test_an_integration_is_an_operation_of_its_service(integration):
    model = operation(integration.resource)
    assert model is not None
    assert (model.name, model.service_model.service_name) == (integration.operation, integration.service)
    assert integration.doc.startswith("https://docs.aws.amazon.com/")
    assert 0 < integration.timeout_seconds <= 7 * 86_400
    for errors in integration.transient:
        assert errors.doc.startswith("https://docs.aws.amazon.com/")
        assert "States.ALL" not in errors.names
        assert errors.attempts > 0 < errors.interval_seconds <= errors.max_delay_seconds


@pytest.mark.parametrize("integration", ALL, ids=lambda each: each.name)
def test_permissions_are_exact(integration):
    for need in integration.permissions(ARGUMENTS[integration.name]):
        assert need.resources
        assert all(":" in action and "*" not in action for action in need.actions)
        for resource in need.resources:
            assert resource.startswith(("arn:${AWS::Partition}:", "${"))
            assert "*" not in re.sub(r"(?<=[^:/]/)\*$", "", resource)


def test_permissions_of_each_call():
    found = {
        each.name: each.permissions(ARGUMENTS[each.name])[0]
        .resources[-1]
        .replace("${AWS::", "")
        .replace("}", "")
        for each in ALL
    }
    region = "arn:Partition:{}:Region:AccountId:"
    assert found == {
        "dynamodb_update_item": region.format("dynamodb") + "table/${Runs",
        "events_put_events": region.format("events") + "event-bus/default",
        "glue_batch_create_partition": region.format("glue") + "table/${Db/${T",
        "glue_start_crawler": region.format("glue") + "crawler/${Crawler",
        "glue_start_job_run": region.format("glue") + "job/${Job",
        "lambda_invoke": "${F.Arn",
        "s3_get_object": "arn:Partition:s3:::${B/_runs/p/a/*",
        "sns_publish": "${Topic",
    }


def test_a_key_that_starts_with_nothing_known_is_not_opened_up():
    (need,) = integrations()["arn:aws:states:::aws-sdk:s3:getObject"].permissions(
        {"Bucket": "b", "Key": "a/b.json"}
    )
    assert need.resources == ("arn:${AWS::Partition}:s3:::b/a/b.json",)


def test_what_names_no_resource_is_refused():
    with pytest.raises(TypeError, match="names no resource"):
        sub(3)
    assert sub(Text(("a/", Ref("B")))) == "a/${B}"


def test_permissions_are_merged_by_action():
    made = merged(
        [
            Permission(("s:B", "s:A"), ("y",)),
            Permission(("s:A", "s:B"), ("x", "y")),
            Permission(("s:C",), ("z",)),
        ]
    )
    assert made == (Permission(("s:A", "s:B"), ("x", "y")), Permission(("s:C",), ("z",)))


GENERAL = {
    "DynamoDB.AmazonDynamoDBException",
    "Events.AmazonCloudWatchEventsException",
    "Glue.AWSGlueException",
    "Glue.GlueException",
    "Lambda.AWSLambdaException",
    "S3.S3Exception",
    "SNS.AmazonSNSException",
}


def longest_wait(errors):
    """Seconds of pauses, without jitter."""
    pauses = (errors.interval_seconds * 2**attempt for attempt in range(errors.attempts))
    return sum(min(pause, errors.max_delay_seconds) for pause in pauses)


@pytest.mark.parametrize("integration", ALL, ids=lambda each: each.name)
def test_what_may_be_hopeless_is_not_tried_for_long(integration):
    """Access denied has no name of its own in Step Functions; throttling mostly has."""
    general = [errors for errors in integration.transient if GENERAL & set(errors.names)]
    assert [len(errors.names) for errors in general] == [1]
    assert longest_wait(general[0]) < 10
    assert max(longest_wait(errors) for errors in integration.transient) > 20
