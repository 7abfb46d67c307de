"""Invoke a Lambda function and wait for its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.integrations._arns import sub
from asl.integrations._errors import unnamed
from asl.ir import Errors, Integration, Permission


def permissions(arguments: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the right to invoke exactly this function."""
    return (Permission(("lambda:InvokeFunction",), (sub(arguments["FunctionName"]),)),)


INTEGRATION = Integration(
    name="lambda_invoke",
    resource="arn:aws:states:::lambda:invoke",
    service="lambda",
    operation="Invoke",
    permissions=permissions,
    transient=(
        Errors(
            (
                "Lambda.ClientExecutionTimeoutException",
                "Lambda.ServiceException",
                "Lambda.SdkClientException",
                "Lambda.TooManyRequestsException",
            ),
            attempts=6,
            interval_seconds=1,
            max_delay_seconds=60,
            doc="https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html",
        ),
        # The function was cut off, or AWS failed it in the middle of its work. Its step overwrites
        # its own output, so another try is safe; a deterministic failure is not tried for long.
        Errors(
            (
                "States.Timeout",
                "Lambda.Unknown",
                "Runtime.ExitError",
                "Sandbox.Timedout",
                "ClientError",
                "ConnectTimeoutError",
                "ConnectionClosedError",
                "EndpointConnectionError",
                "ReadTimeoutError",
            ),
            attempts=2,
            interval_seconds=5,
            max_delay_seconds=60,
            doc="https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
        ),
        unnamed("Lambda.AWSLambdaException"),
    ),
    timeout_seconds=900,
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html",
)
