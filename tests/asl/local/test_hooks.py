"""Each gap of the emulator that a hook mends, seen from outside through boto3."""

from __future__ import annotations

import io
import json
import textwrap
import uuid
import zipfile

import pytest

from tests.asl.local.emulated import function, invoke, role, run, task, until

pytestmark = pytest.mark.local_aws


@pytest.fixture
def lambda_role(aws):
    return role(aws, ("lambda:InvokeFunction", "*"))


def test_a_handlers_exception_keeps_its_class_name(aws, lambda_role):
    arn = function(aws, "class Odd(Exception): pass\ndef handler(event, context): raise Odd('no')")
    states = invoke(
        arn, Catch=[{"ErrorEquals": ["Odd"], "Next": "B", "Output": "{% $states.errorOutput.Error %}"}]
    )
    found = run(aws, {**states, "B": {"Type": "Succeed"}}, lambda_role)
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", "Odd")


def test_a_function_sees_its_zip_its_layers_and_boto3_only(aws, lambda_role):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/from_layer.py", "VALUE = 7")
    layer = aws("lambda").publish_layer_version(LayerName="l", Content={"ZipFile": buffer.getvalue()})
    source = """
        import importlib.util, boto3, from_layer
        NAMES = ("ministack", "aws_runtime", "asl", "duckdb", "yaml", "pip")
        def handler(event, context):
            seen = [name for name in NAMES if importlib.util.find_spec(name)]
            return {"seen": seen, "layer": from_layer.VALUE, "boto3": boto3.__version__, "left": context.get_remaining_time_in_millis()}
    """
    arn = function(aws, source, layers=[layer["LayerVersionArn"]])
    payload = json.loads(run(aws, invoke(arn, Output="{% $states.result.Payload %}"), lambda_role)["output"])
    assert payload["seen"] == []
    assert payload["layer"] == 7
    assert payload["boto3"].startswith("1.")
    assert 0 < payload["left"] <= 30_000


def test_a_warm_environment_is_used_again(aws, lambda_role):
    arn = function(aws, "n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return n")
    counts = [
        json.loads(run(aws, invoke(arn, Output="{% $states.result.Payload %}"), lambda_role)["output"])
        for _ in range(3)
    ]
    assert counts == [1, 2, 3]


def test_a_function_acts_as_its_role(aws, lambda_role):
    aws("s3").create_bucket(Bucket="closed")
    source = "import boto3\ndef handler(event, context): boto3.client('s3').put_object(Bucket='closed', Key='k', Body=b'')"
    found = run(aws, invoke(function(aws, source)), lambda_role)
    assert found["status"] == "FAILED"
    assert "AccessDenied" in found["cause"]
    allowed = function(aws, source, role_arn=role(aws, ("s3:PutObject", "arn:aws:s3:::closed/k")))
    assert run(aws, invoke(allowed), lambda_role)["status"] == "SUCCEEDED"


def test_a_states_call_is_made_as_the_machines_role(aws):
    aws("dynamodb").create_table(
        TableName="runs", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    put = task("dynamodb:putItem", {"TableName": "runs", "Item": {"id": {"S": "{% $states.input.id %}"}}})
    denied = run(aws, put, role(aws), {"id": "1"})
    assert denied["status"] == "FAILED"
    assert "not authorized" in denied["cause"] or "AccessDenied" in denied["cause"]
    allowed = role(aws, ("dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:000000000000:table/runs"))
    assert run(aws, put, allowed, {"id": "1"})["status"] == "SUCCEEDED"
    assert aws("dynamodb").get_item(TableName="runs", Key={"id": {"S": "1"}})["Item"]
    twice = task(
        "dynamodb:putItem",
        {"TableName": "runs", "Item": {"id": {"S": "1"}}, "ConditionExpression": "attribute_not_exists(id)"},
        Catch=[{"ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"], "Next": "B"}],
    )
    assert (
        run(aws, {**twice, "B": {"Type": "Pass", "Output": "seen", "End": True}}, allowed)["output"]
        == '"seen"'
    )


def test_an_exact_crawler_arn_is_enough(aws):
    arn = "arn:aws:glue:us-east-1:000000000000:crawler/c1"
    aws("glue").create_crawler(
        Name="c1", Role=role(aws), DatabaseName="d", Targets={"S3Targets": [{"Path": "s3://b/"}]}
    )
    start = task("aws-sdk:glue:startCrawler", {"Name": "c1"})
    assert run(aws, start, role(aws, ("glue:StartCrawler", arn)))["status"] == "SUCCEEDED"
    again = {
        **start,
        "A": {**start["A"], "Catch": [{"ErrorEquals": ["Glue.CrawlerRunningException"], "Next": "B"}]},
    }
    found = run(
        aws, {**again, "B": {"Type": "Pass", "Output": 1, "End": True}}, role(aws, ("glue:StartCrawler", arn))
    )
    assert (found["status"], found["output"]) == ("SUCCEEDED", "1")
    other = role(aws, ("glue:StartCrawler", arn.replace("c1", "c2")))
    assert run(aws, start, other)["status"] == "FAILED"


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"Bucket": "b", "Keys": "k"}, "'Keys' is not supported"),
        ({"Bucket": "b"}, "Key"),
    ],
)
def test_arguments_that_the_api_does_not_have_fail_the_state(aws, arguments, cause):
    found = run(aws, task("aws-sdk:s3:getObject", arguments), role(aws, ("s3:GetObject", "*")))
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert cause in found["cause"]


def test_an_objects_body_is_text_and_its_absence_is_named(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="texts")
    s3.put_object(Bucket="texts", Key="ä b.json", Body=b'{"n": 1}')
    reader = role(aws, ("s3:GetObject", "arn:aws:s3:::texts/*"), ("s3:ListBucket", "arn:aws:s3:::texts"))
    read = task(
        "aws-sdk:s3:getObject",
        {"Bucket": "texts", "Key": "ä b.json"},
        Output="{% $parse($states.result.Body).n %}",
    )
    assert run(aws, read, reader)["output"] == "1"
    missing = task("aws-sdk:s3:getObject", {"Bucket": "texts", "Key": "none"})
    assert run(aws, missing, reader)["error"] == "S3.NoSuchKeyException"


def test_parallel_evaluates_output_and_assign_and_keeps_branches_apart(aws):
    branch = {
        "X": {"Type": "Pass", "Assign": {"inner": 1}, "Output": "{% $states.input.n * 2 %}", "End": True}
    }
    other = {"Y": {"Type": "Pass", "Output": "{% $exists($inner) %}", "End": True}}
    states = {
        "A": {
            "Type": "Parallel",
            "Arguments": {"n": 21},
            "Branches": [{"StartAt": "X", "States": branch}, {"StartAt": "Y", "States": other}],
            "Assign": {"both": "{% $states.result %}"},
            "Output": {"first": "{% $states.result[0] %}"},
            "Next": "B",
        },
        "B": {"Type": "Pass", "Output": "{% [$both, $states.input.first, $exists($inner)] %}", "End": True},
    }
    found = run(aws, states, role(aws))
    assert json.loads(found["output"]) == [42, False, 42, False]


def test_succeed_evaluates_its_output_at_the_top_and_in_a_branch(aws):
    branch = {"StartAt": "X", "States": {"X": {"Type": "Succeed", "Output": "{% $states.input.n + 1 %}"}}}
    states = {
        "A": {"Type": "Parallel", "Branches": [branch], "Next": "B"},
        "B": {"Type": "Succeed", "Output": {"n": "{% $states.input[0] * 2 %}"}},
    }
    assert json.loads(run(aws, states, role(aws), {"n": 1})["output"]) == {"n": 4}


@pytest.mark.parametrize(("caught", "status"), [("States.ALL", "FAILED"), ("States.Runtime", "SUCCEEDED")])
def test_states_all_does_not_catch_runtime_errors(aws, caught, status):
    states = task("aws-sdk:s3:getObject", {"Nope": 1}, Catch=[{"ErrorEquals": [caught], "Next": "B"}])
    assert run(aws, {**states, "B": {"Type": "Succeed"}}, role(aws))["status"] == status


def test_a_payload_over_256_kib_is_refused(aws, lambda_role):
    arn = function(aws, "def handler(event, context): return 'x' * 300_000")
    assert run(aws, invoke(arn), lambda_role)["error"] == "States.DataLimitExceeded"


def test_a_glue_job_runs_its_script_with_its_arguments_as_its_role(aws):
    s3, glue = aws("s3"), aws("glue")
    s3.create_bucket(Bucket="jobs")
    script = """
        import sys, boto3, helper
        given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
        if given["--fail"] == "yes":
            raise ValueError("bad data")
        boto3.client("s3").put_object(Bucket="jobs", Key="out/" + given["--name"], Body=str(helper.VALUE).encode())
    """
    s3.put_object(Bucket="jobs", Key="glue/job.py", Body=textwrap.dedent(script).encode())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("helper.py", "VALUE = 7")
    s3.put_object(Bucket="jobs", Key="glue/extra.zip", Body=buffer.getvalue())
    job_role = role(
        aws, ("s3:GetObject", "arn:aws:s3:::jobs/glue/*"), ("s3:PutObject", "arn:aws:s3:::jobs/out/a b")
    )
    glue.create_job(
        Name="job", Role=job_role, GlueVersion="5.1", WorkerType="G.1X", NumberOfWorkers=2,
        Command={"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": "s3://jobs/glue/job.py"},
        DefaultArguments={"--fail": "no", "--extra-py-files": "s3://jobs/glue/extra.zip"},
    )  # fmt: skip
    arn = "arn:aws:glue:us-east-1:000000000000:job/job"
    starter = role(aws, (["glue:StartJobRun", "glue:GetJobRun"], arn))

    def start(**arguments):
        given = {"JobName": "job", "Arguments": arguments}
        return run(
            aws, task("glue:startJobRun.sync", given, Output="{% $states.result.JobRunState %}"), starter
        )

    assert start(**{"--name": "a b"})["output"] == '"SUCCEEDED"'
    assert s3.get_object(Bucket="jobs", Key="out/a b")["Body"].read() == b"7"
    failed = start(**{"--name": "a b", "--fail": "yes"})
    assert (failed["status"], failed["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(failed["cause"])["ErrorMessage"] == "ValueError: bad data"
    denied = start(**{"--name": "elsewhere"})
    assert "AccessDenied" in json.loads(denied["cause"])["ErrorMessage"]


def test_a_tls_only_bucket_can_be_used(aws, lambda_role):
    s3, name = aws("s3"), f"tls-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    insecure = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{name}/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [insecure]}))
    source = (
        f"import boto3\ndef handler(event, context): boto3.client('s3').put_object(Bucket='{name}', Key='k')"
    )
    arn = function(aws, source, role_arn=role(aws, ("s3:PutObject", f"arn:aws:s3:::{name}/k")))
    assert run(aws, invoke(arn), lambda_role)["status"] == "SUCCEEDED"


def test_an_event_of_s3_names_the_objects_version(aws):
    s3, sqs, name = aws("s3"), aws("sqs"), f"versions-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [name]}}}
    aws("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
    queue = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    aws("events").put_targets(Rule=name, Targets=[{"Id": "q", "Arn": queue}])
    version = s3.put_object(Bucket=name, Key="a b+c%2F=é", Body=b"{}")["VersionId"]
    message = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"][0]
    found = json.loads(message["Body"])["detail"]["object"]
    assert (found["key"], found["version-id"], found["size"]) == ("a b+c%2F=é", version, 2)


def test_an_event_that_cannot_start_its_machine_is_kept(aws):
    sqs, events = aws("sqs"), aws("events")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    queue = "arn:aws:sqs:us-east-1:000000000000:dead"
    machine = aws("stepfunctions").create_state_machine(
        name="started", roleArn=role(aws),
        definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
    )["stateMachineArn"]  # fmt: skip
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["test.dead"]}))

    def send(role_arn):
        target = {"Id": "t", "Arn": machine, "RoleArn": role_arn, "DeadLetterConfig": {"Arn": queue}}
        events.put_targets(Rule="r", Targets=[target])
        events.put_events(Entries=[{"Source": "test.dead", "DetailType": "x", "Detail": '{"n": 5}'}])

    send(role(aws))
    messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"])[
        "Messages"
    ]
    assert json.loads(messages[0]["Body"])["detail"] == {"n": 5}
    assert "AccessDenied" in messages[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"]
    send(role(aws, ("states:StartExecution", machine)))
    listed = aws("stepfunctions").list_executions
    until(lambda: listed(stateMachineArn=machine)["executions"])


def test_a_range_of_a_version_is_that_part_of_it(aws):
    s3, bucket = aws("s3"), f"ranges-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"later")

    def read(asked):
        answer = s3.get_object(Bucket=bucket, Key="k", VersionId=first, Range=asked)
        return answer["Body"].read(), answer["ContentRange"], answer["ContentLength"]

    assert read("bytes=2-4") == (b"234", "bytes 2-4/10", 3)
    assert read("bytes=-3") == (b"789", "bytes 7-9/10", 3)
    assert read("bytes=8-99") == (b"89", "bytes 8-9/10", 2)
    with pytest.raises(s3.exceptions.ClientError, match="InvalidRange"):
        read("bytes=10-")
