"""ASL350: what cfn-lint finds in the template, its state machines included.

https://github.com/aws-cloudformation/cfn-lint
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from asl.emit.cloudformation import template_bytes
from asl.ir import Diagnostic

CODE = "ASL350"
DOC = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html"


def check(template: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield one diagnostic for each error and warning; no rule is ignored.

    Its informational rules are left out, as cfn-lint itself does by default: they ask for prose.
    """
    # Imported here: cfn-lint loads its schemas, which no other check needs.
    from cfnlint.api import lint  # noqa: PLC0415

    for match in lint(template_bytes(template).decode()):
        place = "/".join(map(str, match.path or ())) or f"line {match.linenumber}"
        yield Diagnostic(
            CODE,
            f"template.json {place}",
            f"{match.rule.id} {match.message.rstrip('.')}",
            f"See rule {match.rule.id} of cfn-lint: {match.rule.shortdesc}",
            severity="error" if match.rule.severity == "error" else "warning",
            doc=match.rule.source_url or DOC,
        )
