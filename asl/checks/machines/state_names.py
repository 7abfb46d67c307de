"""State names are unique in the whole definition, and at most 80 characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding, visits

LIMIT = 80


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield names that are too long or used twice."""
    del substitutions
    for name, count in Counter(visit.name for visit in visits(definition)).items():
        if len(name) > LIMIT:
            yield name, f"the name has {len(name)} characters, AWS takes {LIMIT}"
        if count > 1:
            yield name, f"{count} states have this name"


CHECK = Check(
    code="ASL311",
    hint="Rename the state",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html",
    find=find,
)
