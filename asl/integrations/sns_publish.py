"""Publish a message to an SNS topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.integrations._arns import sub
from asl.integrations._errors import unnamed
from asl.ir import Errors, Integration, Permission


def permissions(arguments: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the right to publish to exactly this topic."""
    return (Permission(("sns:Publish",), (sub(arguments["TopicArn"]),)),)


INTEGRATION = Integration(
    name="sns_publish",
    resource="arn:aws:states:::sns:publish",
    service="sns",
    operation="Publish",
    permissions=permissions,
    transient=(
        Errors(
            (
                "SNS.InternalErrorException",
                "SNS.KMSThrottlingException",
                "SNS.SdkClientException",
                "SNS.ThrottledException",
            ),
            attempts=6,
            interval_seconds=1,
            max_delay_seconds=30,
            doc="https://docs.aws.amazon.com/sns/latest/api/API_Publish.html",
        ),
        unnamed("SNS.AmazonSNSException"),
    ),
    timeout_seconds=30,
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/connect-sns.html",
)
