"""Checks of the CloudFormation template; adding one is one file and a line here.

In: a template. Out: `Diagnostic`s. They assert what the local AWS drops or does not look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from asl.checks.templates import cfn_lint, exposure, wildcards
from asl.ir import Diagnostic

CHECKS: tuple[Callable[[dict[str, Any]], Iterator[Diagnostic]], ...] = (
    exposure.check,
    wildcards.check,
    cfn_lint.check,
)


def check_template(template: dict[str, Any]) -> tuple[Diagnostic, ...]:
    """Run every check."""
    return tuple(found for check in CHECKS for found in check(template))
