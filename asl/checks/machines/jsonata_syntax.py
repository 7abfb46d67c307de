"""Every expression parses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding, expressions, parsed


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield expressions that do not parse."""
    del substitutions
    for each in expressions(definition):
        tree, error = parsed(each.text)
        if tree is None:
            yield each.place, f"the expression does not parse: {error}".rstrip(".")


CHECK = Check(
    code="ASL313",
    hint="Mend the JSONata",
    doc="https://docs.jsonata.org/overview",
    find=find,
)
