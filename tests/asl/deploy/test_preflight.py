"""Names and parameters that AWS would refuse, each as one line."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from asl.deploy import preflight
from asl.deploy.errors import OperationError

TARGET = SimpleNamespace(account="123456789012", region="eu-west-1")


@pytest.fixture
def build(tmp_path):
    bucket = {"Fn::Sub": "${AWS::StackName}-pre-workflow-ingestion-${AWS::AccountId}"}
    template = {
        "Parameters": {"ArtifactsBucket": {}, "AlertEmail": {}, "KmsKeyArn": {}},
        "Resources": {"B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}},
    }
    (tmp_path / "template.json").write_text(json.dumps(template))
    return tmp_path


@pytest.mark.parametrize("name", ["ingestion", "a", "team-2", "x" * 27])
def test_names_that_stacks_and_buckets_may_have(build, name):
    preflight.check(TARGET, name, build, {"AlertEmail": "a@b.c"})


@pytest.mark.parametrize("name", ["My_Stack", "9lives", "Ingestion", "a--b", "a-", "ä", "", "a b"])
def test_names_that_cannot_be(build, name):
    with pytest.raises(OperationError) as caught:
        preflight.check(TARGET, name, build, {})
    assert caught.value.message == (
        f"ASL418 {name!r} cannot be a stack's name, which is a part of its buckets' names. "
        "Use lower-case letters, digits and single hyphens, with a letter first"
    )


@pytest.mark.parametrize(("length", "excess"), [(28, 1), (40, 13)])
def test_a_name_that_makes_a_bucket_too_long_says_by_how_much(build, length, excess):
    name = "x" * length
    with pytest.raises(OperationError) as caught:
        preflight.check(TARGET, name, build, {})
    assert caught.value.message.startswith(f"ASL418 the stack's name {name!r} is too long by {excess}: ")


@pytest.mark.parametrize(
    ("given", "hint"),
    [("AlertMail", "Did you mean AlertEmail?"), ("Zone", "It has AlertEmail, KmsKeyArn")],
)
def test_an_unknown_parameter_names_those_there_are(build, given, hint):
    with pytest.raises(OperationError) as caught:
        preflight.check(TARGET, "ingestion", build, {given: "x"})
    assert caught.value.message == f"ASL419 the template has no parameter {given!r} to set. {hint}"


def test_the_artifacts_bucket_is_no_parameter_of_the_users(build):
    with pytest.raises(OperationError, match="ASL419 the template has no parameter 'ArtifactsBucket' to set"):
        preflight.check(TARGET, "ingestion", build, {"ArtifactsBucket": "x"})
