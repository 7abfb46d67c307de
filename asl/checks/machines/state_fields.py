"""`$states.result` and `$states.errorOutput` stand only where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding, expressions_of, visits

USED = re.compile(r"\$states\.(\w+)")
ALWAYS = frozenset({"input", "context"})


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield fields of `$states` that have no value there."""
    del substitutions
    for visit in visits(definition):
        kind = visit.state.get("Type")
        for each in expressions_of(visit.name, visit.state):
            allowed = ALWAYS
            if each.path.startswith(("Assign", "Output")) and kind in {"Task", "Parallel", "Map"}:
                allowed |= {"result"}
            if each.path.startswith("Catch"):
                allowed |= {"errorOutput"}
            for name in sorted(set(USED.findall(each.text)) - allowed):
                yield each.place, f"$states.{name} has no value here"


CHECK = Check(
    code="ASL317",
    hint="result is for Assign and Output of a Task, Parallel or Map; errorOutput for a Catch",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html",
    find=find,
)
