"""What a stack needs in S3 before it can be made: function zips, layers, Glue scripts, the template.

In: an exported folder with its `manifest.json`. Out: objects whose keys hold the hash of their
content, so that what is there already is never sent again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from asl.deploy.errors import OperationError
from asl.deploy.stack import MAX_TEMPLATE_BODY, Template
from asl.deploy.target import Target

MANIFEST = "manifest.json"
#: The template's parameter that names the bucket of its code.
ARTIFACTS_PARAMETER = "ArtifactsBucket"
UPLOADS = 4


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file and the key that it gets."""

    path: Path
    key: str


def bucket_name(target: Target, stack: str) -> str:
    """Return the artifacts bucket of a stack; names are unique over all accounts."""
    return f"{stack}-artifacts-{target.account}-{target.region}"


def exported(build: Path) -> tuple[Artifact, ...]:
    """Return the artifacts that `build/manifest.json` lists, after checking their hashes.

    Raises:
        OperationError: ASL414 when the folder holds no export, or another than its manifest says.
    """
    try:
        manifest = json.loads((build / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperationError(
            "ASL414", f"{build} holds no export ({error})", "Make one: asl export"
        ) from error
    for entry in manifest["artifacts"]:
        path = build / entry["path"]
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            raise OperationError(
                "ASL414", f"{path} is not what its manifest says", "Export again: asl export"
            )
    return tuple(Artifact(build / entry["path"], entry["key"]) for entry in manifest["artifacts"])


def ensure_bucket(target: Target, name: str) -> None:
    """Make the artifacts bucket unless there is one: private, encrypted, versioned, TLS only."""
    s3 = target.client("s3")
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise OperationError(
                "ASL415",
                f"the artifacts bucket {name} cannot be used: {error}",
                "Check the account's permissions",
            ) from error
    else:
        return
    # us-east-1 is the one region that must not be named.
    place = {} if target.region == "us-east-1" else {"LocationConstraint": target.region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": place} if place else {}))
    blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    insecure = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    if not target.is_local:  # the local AWS is plain HTTP
        s3.put_bucket_policy(
            Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [insecure]})
        )


def upload(
    target: Target, bucket: str, artifacts: Iterable[Artifact], sent: Callable[[Artifact], None]
) -> int:
    """Upload what is not there yet; return how many were sent."""
    s3 = target.client("s3")

    def send(artifact: Artifact) -> bool:
        if exists(target, bucket, artifact.key):
            return False
        s3.upload_file(str(artifact.path), bucket, artifact.key)
        sent(artifact)
        return True

    with ThreadPoolExecutor(UPLOADS) as pool:
        return sum(pool.map(send, artifacts))


def template(target: Target, bucket: str, path: Path) -> Template:
    """Return the template as text if it is small, else as an object in `bucket`."""
    body = path.read_bytes()
    if len(body) <= MAX_TEMPLATE_BODY:
        return Template(body=body.decode("utf-8"))
    key = f"templates/{hashlib.sha256(body).hexdigest()}.json"
    if not exists(target, bucket, key):
        target.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    root = target.endpoint or f"https://s3.{target.region}.amazonaws.com"
    return Template(url=f"{root}/{bucket}/{key}")


def exists(target: Target, bucket: str, key: str) -> bool:
    """Return whether there is an object under `key`."""
    try:
        target.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return False
        raise
    return True
