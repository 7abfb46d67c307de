"""What the front door needs of the local AWS: notifications, mappings, dead letters, conditional calls."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from botocore.exceptions import ClientError

from tests.asl.local.emulated import function, role, until

pytestmark = pytest.mark.local_aws

ARN = "arn:aws:sqs:us-east-1:000000000000:"
POLL = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def template(name, **attributes):
    """A bucket that tells a queue with dead letters, as the compiler makes them."""
    allow = {
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": ARN + name, "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{name}"}},
    }  # fmt: skip
    deny = {
        "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": ARN + name,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    told = {
        "Event": "s3:ObjectCreated:*", "Queue": ARN + name,
        "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".csv"}]}},
    }  # fmt: skip
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 2}
    queue = {
        "QueueName": name,
        "SqsManagedSseEnabled": True,
        # A function that starts beside other work must not lose its messages meanwhile.
        "VisibilityTimeout": 12,
        "RedrivePolicy": redrive,
    }
    resources = {
        "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}-dead"}},
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": queue | attributes},
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow, deny]},
            },
        },
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "DependsOn": ["Policy"],
            "Properties": {
                "BucketName": name,
                "VersioningConfiguration": {"Status": "Enabled"},
                "NotificationConfiguration": {"QueueConfigurations": [told]},
            },
        },
    }
    return json.dumps({"Resources": resources})


@pytest.fixture
def door(aws):
    """Name of a bucket and its queue, made by CloudFormation, and deleted again."""
    name = f"door-{uuid.uuid4().hex[:8]}"
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=template(name))
    until(
        lambda: (
            cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        )
    )
    yield name
    listed = aws("lambda").list_event_source_mappings(EventSourceArn=ARN + name)["EventSourceMappings"]
    for mapping in listed:
        aws("lambda").delete_event_source_mapping(UUID=mapping["UUID"])


def bodies(aws, name, wanted, seconds=180):
    """Receive `wanted` messages, and take them out of their queue."""
    sqs, found = aws("sqs"), []
    url, deadline = sqs.get_queue_url(QueueName=name)["QueueUrl"], time.monotonic() + seconds
    while len(found) < wanted:
        assert time.monotonic() < deadline, found
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in received.get("Messages", []):
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def keys(messages):
    return [record["s3"]["object"]["key"] for message in messages for record in message.get("Records", [])]


def mapped(aws, name, source, *rights):
    """A function over the queue `name`, with partial batch failures."""
    allowed = [(right, ARN + name) for right in rights] + [("sqs:SendMessage", f"{ARN}{name}-seen")]
    arn = function(aws, source, role_arn=role(aws, *allowed))
    aws("lambda").create_event_source_mapping(
        FunctionName=arn, EventSourceArn=ARN + name, BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"], ScalingConfig={"MaximumConcurrency": 2},
    )  # fmt: skip


FORWARD = """
    import boto3, json
    sqs = boto3.client("sqs")
    def handler(event, context):
        failed = []
        for record in event["Records"]:
            if "bad" in record["body"]:
                failed.append({"itemIdentifier": record["messageId"]})
            else:
                sqs.send_message(QueueUrl=URL, MessageBody=record["body"])
        return {"batchItemFailures": failed}
"""


@pytest.fixture
def forward(aws, door):
    """Source of a handler that passes messages on, except those that hold `bad`."""
    url = aws("sqs").create_queue(QueueName=f"{door}-seen")["QueueUrl"]
    return FORWARD.replace("URL,", f"{url!r},")


def test_a_bucket_tells_its_queue_of_keys_below_its_prefix(aws, door):
    assert bodies(aws, door, 1)[0]["Event"] == "s3:TestEvent"
    for key in ("in/a b+c%=é.csv", "in/a.txt", "out/a.csv"):
        version = aws("s3").put_object(Bucket=door, Key=key, Body=b"1,2")["VersionId"]
        if key.endswith("é.csv"):
            wanted = version
    told = bodies(aws, door, 1)[0]["Records"][0]
    thing = told["s3"]["object"]
    assert thing["key"] == "in/a+b%2Bc%25%3D%C3%A9.csv"
    assert (thing["versionId"], thing["size"]) == (wanted, 3)
    assert thing["sequencer"]
    assert told["s3"]["bucket"]["name"] == door
    attributes = aws("sqs").get_queue_attributes(
        QueueUrl=aws("sqs").get_queue_url(QueueName=door)["QueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert (attributes["SqsManagedSseEnabled"], attributes["ApproximateNumberOfMessages"]) == ("true", "0")


def test_one_bad_message_is_tried_again_and_dies_while_the_others_pass(aws, door, forward):
    mapped(aws, door, forward, *POLL)
    names = [f"in/{n}.csv" for n in range(12)]
    for key in [*names, "in/bad.csv"]:
        aws("s3").put_object(Bucket=door, Key=key, Body=b"1")
    seen = bodies(aws, f"{door}-seen", 13)  # with the test event
    assert sorted(keys(seen)) == sorted(names)
    assert keys(bodies(aws, f"{door}-dead", 1)) == ["in/bad.csv"]


@pytest.mark.parametrize("missing", ["sqs:ReceiveMessage", "sqs:DeleteMessage"])
def test_a_mapping_polls_as_its_functions_role(aws, door, forward, missing):
    bodies(aws, door, 1)  # the test event
    mapped(aws, door, forward, *(right for right in POLL if right != missing))
    aws("s3").put_object(Bucket=door, Key="in/one.csv", Body=b"1")
    if missing == "sqs:ReceiveMessage":
        time.sleep(2)
        assert keys(bodies(aws, door, 1)) == ["in/one.csv"]
    else:  # handled, and handled again, until it is a dead letter
        assert keys(bodies(aws, f"{door}-dead", 1)) == ["in/one.csv"]
        assert set(keys(bodies(aws, f"{door}-seen", 2))) == {"in/one.csv"}


def test_starting_an_execution_is_idempotent_by_name_while_it_runs(aws):
    sfn, name = aws("stepfunctions"), f"m-{uuid.uuid4().hex[:8]}"
    states = {"W": {"Type": "Wait", "Seconds": 30, "End": True}}
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "W", "States": states})
    machine = sfn.create_state_machine(name=name, definition=definition, roleArn=role(aws))["stateMachineArn"]

    def start(text):
        return sfn.start_execution(stateMachineArn=machine, name="once", input=text)

    first = start('{"a": 1, "b": 2}')
    again = start('{"b":2,"a":1}')
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    assert len(sfn.list_executions(stateMachineArn=machine)["executions"]) == 1
    with pytest.raises(sfn.exceptions.ExecutionAlreadyExists):
        start('{"a": 2}')
    sfn.stop_execution(executionArn=first["executionArn"])
    with pytest.raises(sfn.exceptions.ExecutionAlreadyExists):
        start('{"a": 1, "b": 2}')


def test_a_rule_invokes_a_function_only_if_the_functions_policy_lets_it(aws):
    events, name = aws("events"), f"tick-{uuid.uuid4().hex[:8]}"
    url = aws("sqs").create_queue(QueueName=name)["QueueUrl"]
    source = f"""
        import boto3, json
        def handler(event, context):
            boto3.client("sqs").send_message(QueueUrl={url!r}, MessageBody=json.dumps(event["detail"]))
    """
    arn = function(aws, source, role_arn=role(aws, ("sqs:SendMessage", ARN + name)))
    rule = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "f", "Arn": arn}])

    def send(number):
        detail = json.dumps({"n": number})
        events.put_events(Entries=[{"Source": name, "DetailType": "x", "Detail": detail}])

    def permit(source_arn, sid):
        aws("lambda").add_permission(
            FunctionName=arn, StatementId=sid, Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com", SourceArn=source_arn,
        )  # fmt: skip

    send(1)
    permit(rule + "-other", "other")
    send(2)
    permit(rule, "own")
    send(3)
    assert bodies(aws, name, 1) == [{"n": 3}]


def test_dynamodb_keeps_maps_conditions_and_sparse_indexes(aws):
    dynamodb, name = aws("dynamodb"), f"batches-{uuid.uuid4().hex[:8]}"
    attributes = {"date": "S", "batch": "N", "live": "S", "live_since": "S"}
    hashed, ranged = (
        {"AttributeName": each, "KeyType": kind} for each, kind in (("live", "HASH"), ("live_since", "RANGE"))
    )
    dynamodb.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "date", "KeyType": "HASH"}, {"AttributeName": "batch", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind} for each, kind in attributes.items()],
        GlobalSecondaryIndexes=[
            {"IndexName": "live", "KeySchema": [hashed, ranged], "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )  # fmt: skip
    key = {"date": {"S": "2025-01-17"}, "batch": {"N": "1"}}
    open_batch = {
        **key, "status": {"S": "open"}, "files": {"M": {"a": {"M": {}}}}, "live": {"S": "open"},
        "live_since": {"S": "2025-01-17T10:00:00Z"},
    }  # fmt: skip
    absent = {"ConditionExpression": "attribute_not_exists(#d)", "ExpressionAttributeNames": {"#d": "date"}}
    dynamodb.put_item(TableName=name, Item=open_batch, **absent)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(TableName=name, Item=open_batch, **absent)

    def add(seen):
        return dynamodb.update_item(
            TableName=name, Key=key, UpdateExpression="SET files.#b = :f",
            ConditionExpression="#s = :open AND size(files) = :seen",
            ExpressionAttributeNames={"#b": "b", "#s": "status"},
            ExpressionAttributeValues={":f": {"M": {"k": {"S": "é"}}}, ":open": {"S": "open"}, ":seen": {"N": seen}},
            ReturnValues="ALL_NEW", ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )  # fmt: skip

    assert set(add("1")["Attributes"]["files"]["M"]) == {"a", "b"}
    with pytest.raises(ClientError) as caught:
        add("1")
    assert set(caught.value.response["Item"]["files"]["M"]) == {"a", "b"}

    def live():
        return dynamodb.query(
            TableName=name, IndexName="live", KeyConditionExpression="live = :o AND live_since < :t",
            ExpressionAttributeValues={":o": {"S": "open"}, ":t": {"S": "2026"}},
        )["Items"]  # fmt: skip

    assert [item["batch"]["N"] for item in live()] == ["1"]
    dynamodb.update_item(TableName=name, Key=key, UpdateExpression="REMOVE live, files")
    assert live() == []


def test_s3_puts_are_conditional(aws):
    s3, name = aws("s3"), f"conditional-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    first = s3.put_object(Bucket=name, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=name, Key="k", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket=name, Key="k", Body=b"3", IfMatch=first)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=name, Key="k", Body=b"4", IfMatch=first)
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"3"


def test_a_function_may_start_machines_by_their_tag(aws):
    sfn, name = aws("stepfunctions"), uuid.uuid4().hex[:8]
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    tags = {"ours": [{"key": "ingestion:orchestrated", "value": name}], "other": []}
    machines = {
        each: sfn.create_state_machine(
            name=f"{each}-{name}", definition=definition, roleArn=role(aws), tags=given
        )["stateMachineArn"]
        for each, given in tags.items()
    }
    source = """
        import boto3
        def handler(event, context):
            boto3.client("stepfunctions").start_execution(stateMachineArn=event["machine"])
    """
    statement = {
        "Effect": "Allow", "Action": "states:StartExecution", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/ingestion:orchestrated": name}},
    }  # fmt: skip
    arn = role(aws)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws("iam").put_role_policy(RoleName=arn.rpartition("/")[2], PolicyName="tagged", PolicyDocument=policy)
    started = function(aws, source, role_arn=arn)
    failed = {
        each: aws("lambda")
        .invoke(FunctionName=started, Payload=json.dumps({"machine": machine}))
        .get("FunctionError")
        for each, machine in machines.items()
    }
    assert failed == {"ours": None, "other": "Unhandled"}
