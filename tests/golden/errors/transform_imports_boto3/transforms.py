"""A transform that asks AWS."""

import narwhals as nw


def clean(readings: nw.LazyFrame) -> nw.LazyFrame:
    """Readings, after a look at a bucket."""
    import boto3  # noqa: PLC0415 - also an import inside a function is found

    boto3.client("s3")
    return readings
