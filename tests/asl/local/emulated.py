"""Roles, functions and machines made directly, for tests of the local AWS itself."""

from __future__ import annotations

import io
import json
import textwrap
import time
import uuid
import zipfile

ASSUME = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "*"}, "Action": "*"}],
}


def role(aws, *statements):
    """Make a role that allows each (action, resource)."""
    iam, name = aws("iam"), f"role-{uuid.uuid4().hex[:8]}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ASSUME))["Role"]["Arn"]
    allowed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
    if allowed:
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        iam.put_role_policy(RoleName=name, PolicyName="least", PolicyDocument=policy)
    return arn


def run(aws, states, arn, given=None, start="A"):
    """Run a JSONata machine to its end."""
    sfn = aws("stepfunctions")
    definition = {"QueryLanguage": "JSONata", "StartAt": start, "States": states}
    machine = sfn.create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=arn
    )
    execution = sfn.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(given or {}))
    while (found := sfn.describe_execution(executionArn=execution["executionArn"]))["status"] == "RUNNING":
        time.sleep(0.05)
    return found


def function(aws, source, *, layers=(), role_arn=None):
    """Make a Python function of one module."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", textwrap.dedent(source))
    name = f"f-{uuid.uuid4().hex[:8]}"
    made = aws("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Role=role_arn or role(aws), Handler="app.handler",
        Code={"ZipFile": buffer.getvalue()}, Layers=list(layers), Timeout=30,
    )  # fmt: skip
    return made["FunctionArn"]


def task(resource, arguments, **more):
    return {
        "A": {
            "Type": "Task",
            "Resource": f"arn:aws:states:::{resource}",
            "Arguments": arguments,
            "End": True,
            **more,
        }
    }


def invoke(arn, payload=None, **more):
    return task("lambda:invoke", {"FunctionName": arn, "Payload": payload or {}}, **more)


def until(condition, seconds=30):
    """Wait for something that happens in the background, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found
