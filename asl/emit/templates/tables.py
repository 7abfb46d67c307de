"""DynamoDB tables of files, batches and routes -> CloudFormation."""

from __future__ import annotations

from typing import Any

from asl.emit.iam import HAS_KEY
from asl.emit.substitution import value
from asl.emit.templates.compute import tags
from asl.resources import Table

#: The sparse index of what is not finished: items without `live` are not in it, and cost it nothing.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-indexes-general-sparse-indexes.html
LIVE_INDEX = "live"
LIVE_KEYS = (("live", "S"), ("live_since", "S"))


def table(given: Table) -> dict[str, Any]:
    """Return the table: on demand, encrypted, restorable to any second."""
    attributes = dict(sorted((*given.keys, *(LIVE_KEYS if given.live else ()))))
    properties: dict[str, Any] = {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _schema(given.keys),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {
            "Fn::If": [
                HAS_KEY,
                {"KMSMasterKeyId": {"Ref": "KmsKeyArn"}, "SSEEnabled": True, "SSEType": "KMS"},
                {"SSEEnabled": True},
            ]
        },
        "Tags": tags(given.pipeline),
    }
    if given.live:
        properties["GlobalSecondaryIndexes"] = [
            {
                "IndexName": LIVE_INDEX,
                "KeySchema": _schema(LIVE_KEYS),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ]
    if given.name:
        properties["TableName"] = value(given.name)
    if given.expires:
        properties["TimeToLiveSpecification"] = {"AttributeName": "expires_at", "Enabled": True}
    return {
        given.id: {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": dict(sorted(properties.items())),
        }
    }


def _schema(keys: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": name, "KeyType": kind} for (name, _), kind in zip(keys, kinds, strict=False)]
