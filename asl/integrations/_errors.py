"""Errors that AWS's SDK has no name of its own for, as Step Functions reports them."""

from asl.ir import Errors


def unnamed(name: str) -> Errors:
    """Return a short retry of a service's general error.

    It stands for what is hopeless (access denied, a request that is not valid) and for what passes
    (503 Slow Down) alike, so it is tried for some seconds, not for a minute.

    Args:
        name: As Step Functions spells it: `S3.S3Exception`.
    """
    return Errors(
        (name,),
        attempts=3,
        interval_seconds=1,
        max_delay_seconds=5,
        doc="https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html",
    )
