"""Every `${…}` is substituted, and every substitution is used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding

PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield placeholders without a substitution, and the other way round."""
    if substitutions is None:
        return
    used = set(PLACEHOLDER.findall(json.dumps(definition, ensure_ascii=False)))
    for name in sorted(used - set(substitutions)):
        yield "", f"the placeholder ${{{name}}} stands for nothing"
    for name in sorted(set(substitutions) - used):
        yield "", f"the substitution {name} is not used"


CHECK = Check(
    code="ASL324",
    hint="Name resources by asl.ir.Ref, which is substituted by itself",
    doc="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-stepfunctions-statemachine.html",
    find=find,
)
