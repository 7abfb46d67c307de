"""Register up to 100 partitions of a Data Catalog table; those that exist come back as errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.integrations._arns import regional, sub
from asl.integrations._glue import TRANSIENT
from asl.ir import Integration, Permission


def permissions(arguments: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the right to add partitions to exactly this table.

    Glue checks the table, its database and the catalog.
    https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    """
    database, table = sub(arguments["DatabaseName"]), sub(arguments["TableName"])
    resources = ("catalog", f"database/{database}", f"table/{database}/{table}")
    return (Permission(("glue:BatchCreatePartition",), tuple(regional("glue", name) for name in resources)),)


INTEGRATION = Integration(
    name="glue_batch_create_partition",
    resource="arn:aws:states:::aws-sdk:glue:batchCreatePartition",
    service="glue",
    operation="BatchCreatePartition",
    permissions=permissions,
    transient=TRANSIENT,
    timeout_seconds=60,
    doc="https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html",
)
