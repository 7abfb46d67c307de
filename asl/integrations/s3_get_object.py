"""Read a small JSON object from S3 as text (a state's result holds 256 KiB)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from asl.integrations._arns import sub
from asl.integrations._errors import unnamed
from asl.ir import Errors, Integration, Permission

_LITERAL_START = re.compile(r"\{%\s*'([^'\\]*)'")


def permissions(arguments: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the right to read this key, or everything below the literal start of its expression."""
    key = sub(arguments["Key"])
    start = _LITERAL_START.match(key)
    resource = f"{start[1]}*" if start else key
    bucket = sub(arguments["Bucket"])
    return (Permission(("s3:GetObject",), (f"arn:${{AWS::Partition}}:s3:::{bucket}/{resource}",)),)


INTEGRATION = Integration(
    name="s3_get_object",
    resource="arn:aws:states:::aws-sdk:s3:getObject",
    service="s3",
    operation="GetObject",
    permissions=permissions,
    transient=(
        Errors(
            ("S3.SdkClientException",),
            attempts=6,
            interval_seconds=1,
            max_delay_seconds=30,
            doc="https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
        ),
        unnamed("S3.S3Exception"),
    ),
    timeout_seconds=60,
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html",
)
