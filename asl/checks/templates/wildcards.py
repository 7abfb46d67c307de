"""ASL351: a role's statement on every resource, or on all of one kind, must say why nothing is narrower.

https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from asl.ir import Diagnostic

CODE = "ASL351"
DOC = "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"


def check(template: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each action with a wildcard, and for each on `*` without a reason."""
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        reasons = resource.get("Metadata", {}).get("WhyEveryResource", {})
        for statement in _statements(resource["Properties"].get("Policies", [])):
            actions = _listed(statement["Action"])
            everywhere = any(map(_everything, _listed(statement["Resource"])))
            for action in actions:
                if "*" in action:
                    yield _found(name, f"allows the actions {action}", "Name each action")
                elif everywhere and not reasons.get(action):
                    yield _found(
                        name,
                        f"allows {action} on every resource, without a reason",
                        "Name the ARN, or give its Permission a reason",
                    )


def _everything(resource: Any) -> bool:
    """Whether a resource is `*`, or an ARN such as `…:stateMachine:*`."""
    text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
    return text == "*" or re.search(r":[A-Za-z-]+:\*$", text) is not None


def _statements(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the Allow statements of policies, those under conditions too."""
    if isinstance(value, list):
        for item in value:
            yield from _statements(item)
    elif isinstance(value, dict):
        if value.get("Effect") == "Allow":
            yield value
        else:
            for member in value.values():
                yield from _statements(member)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _found(name: str, what: str, hint: str) -> Diagnostic:
    return Diagnostic(CODE, f"template.json {name}", what, hint, doc=DOC)
