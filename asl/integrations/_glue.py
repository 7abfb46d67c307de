"""What Glue's Data Catalog and crawler calls share."""

from asl.integrations._errors import unnamed
from asl.ir import Errors

TRANSIENT = (
    Errors(
        (
            "Glue.ConcurrentModificationException",
            "Glue.InternalServiceException",
            "Glue.OperationTimeoutException",
            "Glue.ResourceNotReadyException",
            "Glue.SdkClientException",
            "Glue.ThrottlingException",
        ),
        attempts=6,
        interval_seconds=1,
        max_delay_seconds=60,
        doc="https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-exceptions.html",
    ),
    unnamed("Glue.GlueException"),
)
