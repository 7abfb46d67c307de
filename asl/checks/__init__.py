"""What a build must pass before it is deployed; one diagnostic a file, offline.

In: a `Build`. Out: diagnostics: the compiler's own, those of each machine, those of the template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asl.ir import Diagnostic

if TYPE_CHECKING:
    from asl.compiler import Build


def check(build: Build) -> tuple[Diagnostic, ...]:
    """Run every check over a build: cfn-lint, statelint, JSONata, every AWS call, IAM, encryption."""
    # cfn-lint alone takes a second to import, and compiling needs none of this.
    from asl.checks.machines import check_machine  # noqa: PLC0415
    from asl.checks.templates import check_template  # noqa: PLC0415

    found = list(build.diagnostics)
    for each in build.compiled:
        found += check_machine(each.pipeline.name, each.definition, each.substitutions)
    found += check_template(build.template)
    return tuple(found)
