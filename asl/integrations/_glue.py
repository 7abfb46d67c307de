"""What Glue's Data Catalog and crawler calls share."""

from asl.ir import Errors

TRANSIENT = (
    Errors(
        (
            "Glue.ConcurrentModificationException",
            "Glue.GlueException",
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
)
