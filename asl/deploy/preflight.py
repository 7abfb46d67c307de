"""What AWS would refuse, refused before anything is uploaded: the stack's name, unknown parameters.

In: a name, the user's parameters and the exported template. Out: nothing, or one clear line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from asl.deploy.artifacts import ARTIFACTS_PARAMETER, bucket_name
from asl.deploy.errors import OperationError
from asl.deploy.target import Target

#: A stack's name begins with a letter; in a bucket's name letters are lower-case.
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-using-console-create-stack-parameters.html
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
STACK_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_BUCKET_NAME = 63
STACK_VARIABLE, ACCOUNT_VARIABLE = "${AWS::StackName}", "${AWS::AccountId}"


def check(target: Target, name: str, build: Path, parameters: Mapping[str, str]) -> None:
    """Check a stack's name and its parameters against an exported template.

    Args:
        target: Where to.
        name: Of the stack.
        build: An exported folder.
        parameters: As the user gave them.

    Raises:
        OperationError: ASL418 for a name that no stack or bucket may have, ASL419 for a parameter that
            the template does not have.
    """
    template = json.loads((build / "template.json").read_text(encoding="utf-8"))
    if not STACK_NAME.fullmatch(name):
        raise OperationError(
            "ASL418",
            f"{name!r} cannot be a stack's name, which is a part of its buckets' names",
            "Use lower-case letters, digits and single hyphens, with a letter first",
        )
    longest = max((*_bucket_names(template, name, target.account), bucket_name(target, name)), key=len)
    if len(longest) > MAX_BUCKET_NAME:
        raise OperationError(
            "ASL418",
            f"the stack's name {name!r} is too long by {len(longest) - MAX_BUCKET_NAME}: a bucket's name holds "
            f"{MAX_BUCKET_NAME} characters, and {longest} has {len(longest)}",
            "Take a shorter one",
        )
    known = sorted(set(template.get("Parameters", {})) - {ARTIFACTS_PARAMETER})
    for parameter in parameters:
        if parameter not in known:
            near = get_close_matches(parameter, known, 1)
            raise OperationError(
                "ASL419",
                f"the template has no parameter {parameter!r} to set",
                f"Did you mean {near[0]}?" if near else f"It has {', '.join(known)}",
            )


def _bucket_names(template: Mapping[str, Any], name: str, account: str) -> list[str]:
    found = []
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::S3::Bucket":
            given = resource["Properties"].get("BucketName", "")
            text = given.get("Fn::Sub", "") if isinstance(given, dict) else given
            found.append(text.replace(STACK_VARIABLE, name).replace(ACCOUNT_VARIABLE, account))
    return found
