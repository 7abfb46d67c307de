"""A Task's Resource -> botocore's model of the operation that it calls."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

RESOURCE = re.compile(
    r"arn:aws:states:::(?P<sdk>aws-sdk:)?(?P<service>[a-z0-9]+):(?P<action>[a-z]\w*)(?P<mode>\.sync(:2)?|\.waitForTaskToken)?"
)
#: Where Step Functions and botocore name a service differently.
BOTOCORE = {
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "rdsdata": "rds-data",
    "redshiftdata": "redshift-data",
    "sfn": "stepfunctions",
    "states": "stepfunctions",
}


@cache
def service(name: str) -> ServiceModel | None:
    """Return a service's model, or None where there is no such service."""
    loader = Loader()
    botocore_name = BOTOCORE.get(name, name)
    if botocore_name not in _services():
        return None
    return ServiceModel(loader.load_service_model(botocore_name, "service-2"), botocore_name)


@cache
def _services() -> frozenset[str]:
    return frozenset(Loader().list_available_services("service-2"))


def operation(resource: str) -> Any | None:
    """Return the operation's model, or None where Resource names none."""
    match = RESOURCE.fullmatch(resource)
    model = service(match["service"]) if match else None
    if match is None or model is None:
        return None
    name = match["action"][:1].upper() + match["action"][1:]
    return model.operation_model(name) if name in model.operation_names else None


def is_sdk(resource: str) -> bool:
    """Whether it is an AWS SDK integration, whose fields are spelled in PascalCase."""
    match = RESOURCE.fullmatch(resource)
    return bool(match and match["sdk"])
