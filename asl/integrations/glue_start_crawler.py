"""Start a Glue crawler; does not wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.integrations._arns import regional, sub
from asl.integrations._glue import TRANSIENT
from asl.ir import Integration, Permission


def permissions(arguments: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the right to start exactly this crawler."""
    return (Permission(("glue:StartCrawler",), (regional("glue", f"crawler/{sub(arguments['Name'])}"),)),)


INTEGRATION = Integration(
    name="glue_start_crawler",
    resource="arn:aws:states:::aws-sdk:glue:startCrawler",
    service="glue",
    operation="StartCrawler",
    permissions=permissions,
    transient=TRANSIENT,
    timeout_seconds=60,
    doc="https://docs.aws.amazon.com/glue/latest/webapi/API_StartCrawler.html",
)
