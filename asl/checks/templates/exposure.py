"""ASL352: what is stored is encrypted, plain HTTP is refused, and no service may use it for others.

The emulator drops most of these properties, so they are asserted of the template.
https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/protecting-data-at-rest.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from asl.ir import Diagnostic

CODE = "ASL352"
DOC = "https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/protecting-data-in-transit.html"
#: For each type, the property that encrypts it.
ENCRYPTION = {
    "AWS::DynamoDB::Table": "SSESpecification",
    "AWS::S3::Bucket": "BucketEncryption",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SQS::Queue": "SqsManagedSseEnabled",
}
#: For each type, the type of its policy, and the property of the policy that names it.
POLICIES = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"),
}
#: Policies that let services in.
OPEN_POLICIES = frozenset({"AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"})
PRIVATE = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def check(template: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each resource that could be read by others or on the wire."""
    resources = template["Resources"]
    for name, resource in resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        encryption = ENCRYPTION.get(kind)
        if encryption and not properties.get(encryption):
            yield _found(name, f"is not encrypted: it has no {encryption}", f"Set {encryption}")
        if kind in POLICIES and not _tls_only(resources, name, *POLICIES[kind]):
            yield _found(name, "answers plain HTTP", "Deny all when aws:SecureTransport is false")
        if kind == "AWS::Lambda::Permission" and not properties.get("SourceArn"):
            yield _found(name, "lets any resource of a service invoke the function", "Set SourceArn")
        if kind in OPEN_POLICIES and not all(map(_closed, properties["PolicyDocument"]["Statement"])):
            yield _found(
                name, "lets any account's resources of a service in", "Set aws:SourceArn or aws:SourceAccount"
            )
        if kind == "AWS::S3::Bucket":
            blocked = properties.get("PublicAccessBlockConfiguration", {})
            if not all(blocked.get(setting) is True for setting in PRIVATE):
                yield _found(name, "may be made public", f"Set {', '.join(PRIVATE)}")


def _closed(statement: dict[str, Any]) -> bool:
    """Whether a service is let in for one resource or account only (the confused deputy).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    principal = statement["Principal"]
    if statement["Effect"] != "Allow" or not isinstance(principal, dict) or "Service" not in principal:
        return True
    keys = {key for operator in statement.get("Condition", {}).values() for key in operator}
    return bool(keys & {"aws:SourceArn", "aws:SourceAccount"})


def _tls_only(resources: dict[str, Any], name: str, kind: str, target: str) -> bool:
    for policy in resources.values():
        if policy["Type"] != kind or {"Ref": name} not in _listed(policy["Properties"][target]):
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            condition = statement.get("Condition", {}).get("Bool", {})
            if statement["Effect"] == "Deny" and condition.get("aws:SecureTransport") == "false":
                return True
    return False


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _found(name: str, what: str, hint: str) -> Diagnostic:
    return Diagnostic(CODE, f"template.json {name}", what, hint, doc=DOC)
