"""A branch or map assigns no variable of a scope around it, and nobody assigns `states`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding
from asl.checks.machines._flow import assigned, entries

LONGEST = 80


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield assignments that AWS refuses."""
    del substitutions
    for entry in entries(definition):
        for name in sorted(assigned(entry.state)):
            if name in entry.outer:
                yield entry.name, f"${name} is a variable of a scope around this state"
            if name == "states" or len(name) > LONGEST or not name.isidentifier():
                yield entry.name, f"${name} is no name of a variable"


CHECK = Check(
    code="ASL316",
    hint="Use another name; results leave a branch through its output",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html",
    find=find,
)
