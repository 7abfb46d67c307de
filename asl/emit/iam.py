"""Permissions -> IAM policy statements, one least-privilege role at a time.

In: a `Role`. Out: its CloudFormation resource. Statements on the same resources are one statement;
a `Resource: "*"` carries its reason in the resource's metadata.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from asl.emit.substitution import value
from asl.ir import Permission
from asl.resources import Role

#: Names of the template's conditions that statements depend on.
HAS_KEY, HAS_VPC, OWN_TOPIC_KEY = "HasKmsKey", "HasVpc", "OwnsAlertKey"
NO_VALUE = {"Ref": "AWS::NoValue"}
KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")

#: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
VPC = Permission(
    (
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
    ),
    ("*",),
    reason="Lambda makes network interfaces before any function runs; the describe actions and "
    "DeleteNetworkInterface have no ARN to name beforehand",
)


def statements(permissions: tuple[Permission, ...]) -> list[dict[str, Any]]:
    """Return the statements that allow `permissions`: sorted, no action twice on one resource."""
    actions: dict[tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]], set[str]] = defaultdict(set)
    for permission in permissions:
        resources = tuple(sorted(set(permission.resources)))
        actions[resources, tuple(sorted(permission.conditions))] |= set(permission.actions)
    return [
        {
            "Effect": "Allow",
            "Action": sorted(actions[resources, conditions]),
            "Resource": _resources(resources),
            **({"Condition": _conditions(conditions)} if conditions else {}),
        }
        for resources, conditions in sorted(actions)
    ]


def _conditions(given: tuple[tuple[str, str, str], ...]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for operator, key, text in given:
        found.setdefault(operator, {})[key] = value(text)
    return found


def wildcard_reasons(permissions: tuple[Permission, ...]) -> dict[str, str]:
    """Return why each action on `*`, or on all resources of a kind, has no narrower one, by action."""
    return {
        action: permission.reason
        for permission in permissions
        if permission.reason
        for action in permission.actions
    }


def role(given: Role) -> dict[str, Any]:
    """Return the role with its one inline policy."""
    permissions = given.permissions + ((VPC,) if given.in_vpc else ())
    allowed: list[Any] = list(statements(given.permissions))
    if given.uses_data_key:
        allowed.append(_if(HAS_KEY, _allow_key("${KmsKeyArn}")))
    if given.uses_topic_key:
        # A given key is that of the data and of the topics.
        given_key = None if given.uses_data_key else _allow_key("${KmsKeyArn}")
        allowed.append(_if(OWN_TOPIC_KEY, _allow_key("${AlertKey.Arn}"), given_key))
    if given.in_vpc:
        allowed.append(_if(HAS_VPC, statements((VPC,))[0]))
    resource: dict[str, Any] = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [_assume(given.service)],
            },
            "Policies": [
                {
                    "PolicyName": "least-privilege",
                    "PolicyDocument": {"Version": "2012-10-17", "Statement": allowed},
                }
            ],
        },
    }
    reasons = wildcard_reasons(permissions)
    if reasons:
        resource["Metadata"] = {"WhyEveryResource": dict(sorted(reasons.items()))}
    return resource


def _assume(service: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        # Nobody else's resource may make the service act as this role (the confused deputy).
        **(
            {"Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}}
            if service in SOURCE_ACCOUNT
            else {}
        ),
    }


#: Services that say for which account they assume a role.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
SOURCE_ACCOUNT = frozenset({"events.amazonaws.com", "states.amazonaws.com"})


def _allow_key(arn: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(KEY_ACTIONS), "Resource": value(arn)}


def _if(condition: str, then: Any, otherwise: Any = None) -> dict[str, Any]:
    return {"Fn::If": [condition, then, NO_VALUE if otherwise is None else otherwise]}


def _resources(resources: tuple[str, ...]) -> Any:
    found = [value(resource) for resource in resources]
    return found[0] if len(found) == 1 else found
