"""Update one item of a DynamoDB table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.integrations._arns import regional, sub
from asl.integrations._errors import unnamed
from asl.ir import Errors, Integration, Permission


def permissions(arguments: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the right to update items of exactly this table."""
    table = regional("dynamodb", f"table/{sub(arguments['TableName'])}")
    return (Permission(("dynamodb:UpdateItem",), (table,)),)


INTEGRATION = Integration(
    name="dynamodb_update_item",
    resource="arn:aws:states:::dynamodb:updateItem",
    service="dynamodb",
    operation="UpdateItem",
    permissions=permissions,
    transient=(
        Errors(
            (
                "DynamoDB.InternalServerErrorException",
                "DynamoDB.ProvisionedThroughputExceededException",
                "DynamoDB.RequestLimitExceededException",
                "DynamoDB.SdkClientException",
                "DynamoDB.ThrottlingException",
                "DynamoDB.TransactionConflictException",
            ),
            attempts=6,
            interval_seconds=1,
            max_delay_seconds=30,
            doc="https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html",
        ),
        unnamed("DynamoDB.AmazonDynamoDBException"),
    ),
    timeout_seconds=30,
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/connect-ddb.html",
)
