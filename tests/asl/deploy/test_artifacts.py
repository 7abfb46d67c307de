"""What deployment uploads, once, and the layers that it packs."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import uuid
import zipfile
from importlib.metadata import version

import pytest

from asl.deploy import artifacts
from asl.deploy.artifacts import Artifact
from asl.deploy.errors import OperationError
from asl.deploy.layers import layer
from asl.deploy.target import Target
from asl.emit.layer import Pins


@pytest.fixture
def target(local_aws):
    return Target.local(local_aws.endpoint)


@pytest.fixture
def bucket(target):
    name = f"artifacts-{uuid.uuid4().hex[:8]}"
    artifacts.ensure_bucket(target, name)
    return name


@pytest.fixture
def build(tmp_path):
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles/a.zip").write_bytes(b"zip")
    entry = {"path": "bundles/a.zip", "key": "bundles/a-1.zip", "sha256": hashlib.sha256(b"zip").hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": [entry], "layers": []}))
    return tmp_path


@pytest.mark.local_aws
def test_the_bucket_is_private_encrypted_versioned_and_made_once(target, bucket):
    artifacts.ensure_bucket(target, bucket)
    s3 = target.client("s3")
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert len(blocked) == 4
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


@pytest.mark.local_aws
def test_what_is_there_is_not_sent_again(target, bucket, build):
    sent = []
    found = artifacts.exported(build)
    assert artifacts.upload(target, bucket, found, sent.append) == 1
    assert artifacts.upload(target, bucket, found, sent.append) == 0
    assert sent == [Artifact(build / "bundles/a.zip", "bundles/a-1.zip")]
    assert target.client("s3").get_object(Bucket=bucket, Key="bundles/a-1.zip")["Body"].read() == b"zip"


def test_a_changed_file_is_not_deployed(build):
    (build / "bundles/a.zip").write_bytes(b"other")
    with pytest.raises(OperationError, match=r"ASL414 .*a\.zip is not what its manifest says"):
        artifacts.exported(build)


def test_a_folder_without_an_export_is_said(tmp_path):
    with pytest.raises(OperationError, match=r"ASL414 .*asl export"):
        artifacts.exported(tmp_path)


@pytest.mark.local_aws
def test_a_large_template_goes_through_s3(target, bucket, tmp_path):
    path = tmp_path / "template.json"
    path.write_text("{}")
    assert artifacts.template(target, bucket, path).arguments() == {"TemplateBody": "{}"}
    path.write_text("{" + " " * 60_000 + "}")
    url = artifacts.template(target, bucket, path).url
    assert url.startswith(target.endpoint)
    assert (
        target.client("s3").get_object(Bucket=bucket, Key=url.split("/", 4)[4])["Body"].read()
        == path.read_bytes()
    )


def test_a_local_layer_holds_what_is_installed_and_imports_alone(tmp_path):
    pins = Pins("none", (f"narwhals=={version('narwhals')}", f"six=={version('six')}"))
    made = layer(Target("local", "http://127.0.0.1:1"), pins, tmp_path)
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "layer")
    code = "import narwhals, six, sys; print(narwhals.__file__, six.__file__)"
    said = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(tmp_path / "layer/python")},
    ).stdout.split()  # fmt: skip
    assert all(path.startswith(str(tmp_path)) for path in said)
    assert layer(Target("local", "http://127.0.0.1:1"), pins, tmp_path) == made


def test_the_local_aws_is_reached_without_the_users_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-does-not-exist")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-users-own")
    client = Target.local("http://127.0.0.1:1").client("s3")
    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    assert client._request_signer._credentials.access_key == "test"
