"""Resources -> one CloudFormation template: parameters, conditions, resources, outputs.

In: `Provisioned`. Out: the template as a dict in its final order, and its bytes. Nothing here asks
for a clock, an account or a random number: the same resources give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from asl.emit.iam import HAS_KEY, HAS_VPC, OWN_TOPIC_KEY
from asl.emit.substitution import value
from asl.emit.templates import EMITTERS
from asl.emit.templates.alerts import HAS_EMAIL
from asl.resources import Output, Resource
from ingestion_assets.errors import CompileError, Where

#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_RESOURCES, MAX_BYTES, MAX_OUTPUTS = 500, 1_000_000, 200
SPLIT = "Export fewer pipelines into this stack, and the others into another: asl export NAME… --out …"

PARAMETERS: dict[str, Any] = {
    "ArtifactsBucket": {
        "Type": "String",
        "Description": "Bucket that holds the artifacts of manifest.json",
        "AllowedPattern": "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    },
    "AlertEmail": {
        "Type": "String",
        "Default": "",
        "Description": "Address subscribed to every pipeline's alerts; empty for none",
    },
    "KmsKeyArn": {
        "Type": "String",
        "Default": "",
        "Description": "Customer key of buckets, tracking tables and alert topics; empty for SSE-S3, AWS's "
        "own key, and a key made for the topics. Its policy must let cloudwatch.amazonaws.com publish",
        "AllowedPattern": "|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+",
    },
    "VpcSubnetIds": {
        "Type": "CommaDelimitedList",
        "Default": "",
        "Description": "Subnets of the Lambda functions that read and write data; empty to run them outside a VPC",
    },
    "VpcSecurityGroupIds": {
        "Type": "CommaDelimitedList",
        "Default": "",
        "Description": "Security groups of the Lambda functions in the VPC",
    },
}


def _given(parameter: Any) -> dict[str, Any]:
    return {"Fn::Not": [{"Fn::Equals": [parameter, ""]}]}


CONDITIONS: dict[str, Any] = {
    HAS_EMAIL: _given({"Ref": "AlertEmail"}),
    HAS_KEY: _given({"Ref": "KmsKeyArn"}),
    HAS_VPC: _given({"Fn::Select": [0, {"Ref": "VpcSubnetIds"}]}),
    OWN_TOPIC_KEY: {"Fn::Equals": [{"Ref": "KmsKeyArn"}, ""]},
}


def template(resources: Iterable[Resource], outputs: Iterable[Output], where: Where) -> dict[str, Any]:
    """Return the template.

    Raises:
        CompileError: ASL201 for more than 500 resources or 200 outputs, ASL202 for more than 1 MB,
            ASL203 for two resources of one logical id.
    """
    made: dict[str, Any] = {}
    for resource in resources:
        for identifier, body in EMITTERS[type(resource)](resource).items():
            if identifier in made:
                raise CompileError(
                    "ASL203",
                    where,
                    f"two resources have the logical id {identifier}",
                    "Rename one of the pipelines, assets or buckets whose names join to the same words",
                )
            made[identifier] = body
    listed = {
        output.id: {"Description": output.description, "Value": value(output.value)} for output in outputs
    }
    whole = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Ingestion pipelines, compiled from typed assets",
        "Parameters": dict(sorted(PARAMETERS.items())),
        "Conditions": dict(sorted(CONDITIONS.items())),
        "Resources": dict(sorted(made.items())),
        "Outputs": dict(sorted(listed.items())),
    }
    _check_limits(whole, where)
    return whole


def template_bytes(whole: dict[str, Any]) -> bytes:
    """Return the template as it is exported: indented, for people; keys in their order."""
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()


def _check_limits(whole: dict[str, Any], where: Where) -> None:
    for section, most in (("Resources", MAX_RESOURCES), ("Outputs", MAX_OUTPUTS)):
        if len(whole[section]) > most:
            raise CompileError(
                "ASL201",
                where,
                f"the template holds {len(whole[section])} {section.lower()}, and CloudFormation takes {most}",
                SPLIT,
            )
    size = len(template_bytes(whole))
    if size > MAX_BYTES:
        raise CompileError(
            "ASL202", where, f"the template has {size:,} bytes, and CloudFormation takes {MAX_BYTES:,}", SPLIT
        )
