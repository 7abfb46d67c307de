"""Run a Glue job and wait for its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.integrations._arns import regional, sub
from asl.integrations._errors import unnamed
from asl.ir import Errors, Integration, Permission


def permissions(arguments: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the rights that `.sync` needs on exactly this job: start, poll, stop on abort."""
    job = regional("glue", f"job/{sub(arguments['JobName'])}")
    return (
        Permission(
            ("glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"),
            (job,),
        ),
    )


INTEGRATION = Integration(
    name="glue_start_job_run",
    resource="arn:aws:states:::glue:startJobRun.sync",
    service="glue",
    operation="StartJobRun",
    permissions=permissions,
    transient=(
        # Queues behind other runs of the same job: a long, patient retry.
        Errors(
            ("Glue.ConcurrentRunsExceededException", "Glue.ResourceNumberLimitExceededException"),
            attempts=20,
            interval_seconds=15,
            max_delay_seconds=300,
            doc="https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html",
        ),
        Errors(
            (
                "Glue.InternalServiceException",
                "Glue.OperationTimeoutException",
                "Glue.SdkClientException",
                "Glue.ThrottlingException",
            ),
            attempts=6,
            interval_seconds=2,
            max_delay_seconds=60,
            doc="https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html",
        ),
        unnamed("Glue.AWSGlueException"),
    ),
    timeout_seconds=3600,
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/connect-glue.html",
)
