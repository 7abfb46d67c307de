"""`asl deploy` as a command: its parameters, its questions, its plan."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from asl.commands import deploy as command
from asl.deploy import stack
from asl.deploy.errors import OperationError
from asl.deploy.stack import Change
from asl.deploy.target import Target


def test_parameters_may_hold_equals_signs():
    assert command.parameters(["A=1", "B=x=y", "C="]) == {"A": "1", "B": "x=y", "C": ""}
    with pytest.raises(click.UsageError, match="'D' is not NAME=VALUE"):
        command.parameters(["D"])


@pytest.mark.parametrize(
    ("action", "asked"), [("delete", True), ("replace", True), ("create", False), ("update", False)]
)
@pytest.mark.parametrize("answer", ["y", "n"])
def test_only_what_is_lost_is_asked_for(action, asked, answer):
    @click.command()
    def ask():
        command.confirm([Change(action, "Bucket", "AWS::S3::Bucket")])

    result = CliRunner().invoke(ask, input=answer)
    assert ("1 resources are deleted or replaced: Bucket" in result.output) == asked
    assert result.exit_code == (1 if asked and answer == "n" else 0)


@pytest.mark.local_aws
def test_a_plan_changes_nothing(local_aws, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(local_aws.state).parent)
    name = f"plan-{uuid.uuid4().hex[:8]}"
    words = ["--target", "local", "--stack", name, "--plan", "--json", "--out", str(tmp_path / "build")]
    result = CliRunner().invoke(command.COMMAND, words)
    assert result.exit_code == 0, result.output
    changes = json.loads(result.stdout)["changes"]
    assert {"action": "create", "logical_id": "LandingBucket", "type": "AWS::S3::Bucket"} in changes
    assert stack.describe(Target.local(local_aws.endpoint), name) is None


def test_without_the_local_aws_the_way_to_start_it_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command.COMMAND, ["--target", "local"])
    assert result.exit_code == 1
    assert result.stderr.strip() == "Error: ASL403 the local AWS is not running. Start it: asl local up"


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, "no region found"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "no credentials found"),
        ({"AWS_PROFILE": "absent"}, "profile (absent) could not be found"),
    ],
)
def test_aws_without_configuration_is_one_line(monkeypatch, tmp_path, environment, missing):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    none = {"AWS_CONFIG_FILE": "c", "AWS_SHARED_CREDENTIALS_FILE": "s"}
    settings = {name: str(tmp_path / file) for name, file in none.items()}
    for name, value in (settings | {"AWS_EC2_METADATA_DISABLED": "true"} | environment).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OperationError, match=r"^ASL417 AWS cannot be reached: ") as caught:
        Target.named("aws").client("s3")
    assert missing in caught.value.message
