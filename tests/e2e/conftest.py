"""The exported stack of the declared pipelines, deployed to a local AWS once for each test process."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from asl import cli, compiler, names, selection
from asl.deploy import deployment, stack
from asl.deploy.locate import Deployed, locate
from asl.deploy.target import Target
from tests.e2e.helpers import until

STACK = "ingestion"


@dataclass(frozen=True)
class Stack:
    """A deployed stack and the folder in which `asl` finds its local AWS."""

    target: Target
    home: Path
    outputs: dict[str, str]
    name: str = STACK
    package: str = selection.DEFAULT

    def client(self, service):
        return self.target.client(service)

    def pipeline(self, name) -> Deployed:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ASL_PIPELINES", self.package)
            return locate(self.target, self.name, selection.selected([name])[0])

    def asl(self, *words) -> tuple[int, str]:
        """Run the command line as a user does; return exit code and stdout."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ASL_PIPELINES", self.package)
            patch.chdir(self.home)
            result = CliRunner().invoke(cli.cli, list(map(str, words)))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout

    def run(self, name, *files) -> tuple[int, dict[str, dict]]:
        """`asl run`: exit code, and executions by the key below the prefix."""
        code, out = self.asl(
            "run", name, *files, "--target", "local", "--json", "--timeout", 300, "--stack", self.name
        )
        prefix = f"s3://{self.pipeline(name).bucket}/{self.pipeline(name).prefix}"
        return code, {run["file"].removeprefix(prefix): run for run in json.loads(out)["executions"]}

    def objects(self, bucket, prefix="") -> dict[str, bytes]:
        """Every object below a prefix, by key."""
        s3 = self.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def item(self, name, file_id) -> dict:
        """The tracking table's item, in DynamoDB's own form."""
        table = self.pipeline(name).table
        return self.client("dynamodb").get_item(TableName=table, Key={"file_id": {"S": file_id}})["Item"]


def deploy(local_aws, build: Path, name: str = STACK, package: str = selection.DEFAULT) -> Stack:
    target = Target.local(local_aws.endpoint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASL_PIPELINES", package)
        compiler.export(compiler.compile_pipelines(selection.declared()), build)
    deployment.propose(target, name, build, {}, lambda line: None)
    stack.execute(target, name)
    deployment.finish(target, name, build)
    return Stack(target, Path(local_aws.state).parent, stack.outputs(target, name), name, package)


@pytest.fixture(scope="session")
def deployed(local_aws, tmp_path_factory):
    return deploy(local_aws, tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def examples(local_aws, tmp_path_factory):
    """The pipelines of tests.pipelines, as a second stack beside the first."""
    return deploy(local_aws, tmp_path_factory.mktemp("build"), "examples", "tests.pipelines")


@pytest.fixture
def without(deployed):
    """Take an action out of a deployed role's policy until the test ends, or until it is given back."""
    iam, undo = deployed.client("iam"), []
    physical = stack.resources(deployed.target, STACK)

    def restore():
        while undo:
            iam.put_role_policy(**undo.pop())

    def remove(role, action):
        name = physical[role][1]
        policy = iam.list_role_policies(RoleName=name)["PolicyNames"][0]
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        undo.append({"RoleName": name, "PolicyName": policy, "PolicyDocument": json.dumps(document)})
        kept = json.loads(json.dumps(document))
        for statement in kept["Statement"]:
            given = statement["Action"]
            actions = [each for each in ([given] if isinstance(given, str) else given) if each != action]
            statement["Action"] = actions or ["sts:GetCallerIdentity"]  # a policy may not be empty
        assert kept != document
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(kept))
        return restore

    yield remove
    restore()


@pytest.fixture
def listening(deployed):
    """`listening(pipeline)`: hear its alerts and events; the answer returns the first message that is wanted."""
    sqs, events, undo = deployed.client("sqs"), deployed.client("events"), contextlib.ExitStack()

    def listen(pipeline):
        name = f"inbox-{uuid.uuid4().hex[:8]}"
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        undo.callback(sqs.delete_queue, QueueUrl=url)
        arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
        senders = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
        allowed = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        topic = deployed.outputs[names.topic_id(pipeline)]
        deployed.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [f"ingestion.{pipeline}"]}))
        undo.callback(events.delete_rule, Name=name)
        events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])
        undo.callback(events.remove_targets, Rule=name, Ids=["q"])
        heard = []

        def receive(wanted):
            """Return what `wanted` finds in the first message that has it, new or heard before."""

            def look():
                answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
                heard.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
                return next((found for body in heard if (found := wanted(body))), None)

            return until(look)

        return receive

    with undo:
        yield listen
