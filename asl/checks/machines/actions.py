"""Every Task's Resource is an AWS call that exists, and that an integration declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding, visits
from asl.checks.machines._models import operation
from asl.integrations import integrations


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield resources that AWS does not have, or whose permissions nobody declares."""
    del substitutions
    for visit in visits(definition):
        if visit.state.get("Type") != "Task":
            continue
        resource = str(visit.state.get("Resource", ""))
        if operation(resource) is None:
            yield visit.name, f"there is no AWS call {resource}"
        elif resource not in integrations():
            yield visit.name, f"no integration declares what {resource} needs"


CHECK = Check(
    code="ASL318",
    hint="Mend the Resource, or add a file to asl/integrations",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html",
    find=find,
)
