"""No operator that AWS's JSONata (2.0.6) lacks: `??`, `?:`, and `$eval`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding, expressions

#: Text and quoted names, in which these are no operators.
LITERALS = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`|/\*.*?\*/", re.DOTALL)
NEWER = (("??", re.compile(r"\?\?")), ("?:", re.compile(r"\?:")), ("$eval", re.compile(r"\$eval\s*\(")))


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield expressions that use one."""
    del substitutions
    for each in expressions(definition):
        code = LITERALS.sub("''", each.text)
        for name, pattern in NEWER:
            if pattern.search(code):
                yield each.place, f"AWS does not know {name}"


CHECK = Check(
    code="ASL314",
    hint="Write $exists(x) ? x : y, and $parse for $eval of data",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html",
    find=find,
)
