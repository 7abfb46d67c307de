"""Text templates -> CloudFormation values: the one place that chooses `Ref`, `GetAtt` or `Sub`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_WHOLE = re.compile(r"\$\{([A-Za-z0-9:]+)(?:\.([A-Za-z0-9.]+))?\}")


def value(template: str) -> Any:
    """Return `template` as plain text, or as the shortest intrinsic function that means it.

    `${A}` becomes a Ref, `${A.Arn}` a GetAtt, a longer text with placeholders a Sub.
    """
    if "${" not in template:
        return template
    whole = _WHOLE.fullmatch(template)
    if whole is None:
        return {"Fn::Sub": template}
    name, attribute = whole.groups()
    return {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}


def values(templates: Mapping[str, str]) -> dict[str, Any]:
    """Apply `value` to each member, by sorted name."""
    return {name: value(template) for name, template in sorted(templates.items())}


def document(data: Any) -> Any:
    """Return a JSON document as one text value, its placeholders substituted."""
    return value(json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
