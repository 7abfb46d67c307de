"""Step Functions' spelling of API fields <-> botocore's, by the service's own model.

In: a Task's evaluated Arguments. Out: keyword arguments of a boto3 method; and back, a boto3
response in the spelling that `$states.result` has on AWS.
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any


class UnknownFieldError(ValueError):
    """An argument that the API does not have; Step Functions fails such a state."""


def to_api(value: Any, shape: Any, path: str = "") -> Any:
    """Rename the fields of `value` to the members of a botocore `shape`, in any capitalization.

    Raises:
        UnknownFieldError: A field that the shape lacks.
    """
    kind = getattr(shape, "type_name", None)
    if kind == "structure" and isinstance(value, dict):
        members = {name.lower(): name for name in shape.members}
        renamed = {}
        for key, item in value.items():
            name = members.get(key.lower())
            if name is None:
                raise UnknownFieldError(
                    f"The field {f'{path}.{key}'.lstrip('.')!r} is not supported by Step Functions"
                )
            renamed[name] = to_api(item, shape.members[name], f"{path}.{name}")
        return renamed
    if kind == "list" and isinstance(value, list):
        return [to_api(item, shape.member, f"{path}[{index}]") for index, item in enumerate(value)]
    if kind == "map" and isinstance(value, dict):
        return {key: to_api(item, shape.value, f"{path}.{key}") for key, item in value.items()}
    if kind in ("integer", "long") and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def pascal(name: str) -> str:
    """Spell a member as Step Functions does: `DBClusters` -> `DbClusters`, `eTag` -> `ETag`."""
    if name.isupper():
        return name
    name = re.sub(r"([A-Z])([A-Z]+)(?=[A-Z][a-z]|$)", lambda m: m.group(1) + m.group(2).lower(), name)
    return name[:1].upper() + name[1:]


def from_sdk(value: Any) -> Any:
    """Spell a response of an `aws-sdk:` integration as Step Functions does; bodies become text."""
    return _plain(value, pascal)


def from_optimized(value: Any) -> Any:
    """Make a response of an optimized integration JSON, its fields spelled as the API does."""
    return _plain(value, str)


def _plain(value: Any, spell: Any) -> Any:
    if isinstance(value, dict):
        return {spell(key): _plain(item, spell) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, spell) for item in value]
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if hasattr(value, "read"):
        return value.read().decode("utf-8")
    return value


def as_text(container: dict[str, Any], field: str) -> None:
    """Serialize `container[field]` unless it is text: optimized integrations take JSON there."""
    if field in container and not isinstance(container[field], str):
        container[field] = json.dumps(container[field], ensure_ascii=False)
