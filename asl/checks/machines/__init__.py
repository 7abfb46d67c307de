"""Checks of a state machine's definition, one diagnostic a file; adding one is one file and a line here.

In: a definition in Amazon States Language (JSONata), as it is emitted. Out: `Diagnostic`s. They
stand in for what only AWS itself would say at deployment or, worse, in the middle of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.checks.machines import (
    actions,
    arguments,
    catches,
    concurrency,
    jsonata_operators,
    jsonata_syntax,
    placeholders,
    query_language,
    retries,
    schema,
    scopes,
    state_fields,
    state_names,
    timeouts,
    variables,
)
from asl.checks.machines._check import Check
from asl.ir import Diagnostic

CHECKS: tuple[Check, ...] = (
    schema.CHECK,
    state_names.CHECK,
    query_language.CHECK,
    jsonata_syntax.CHECK,
    jsonata_operators.CHECK,
    variables.CHECK,
    scopes.CHECK,
    state_fields.CHECK,
    actions.CHECK,
    arguments.CHECK,
    timeouts.CHECK,
    retries.CHECK,
    catches.CHECK,
    concurrency.CHECK,
    placeholders.CHECK,
)


def check_machine(
    name: str, definition: Mapping[str, Any], substitutions: Mapping[str, str] | None = None
) -> tuple[Diagnostic, ...]:
    """Run every check.

    Args:
        name: The machine's, for the diagnostics.
        definition: Its Amazon States Language.
        substitutions: What its placeholders stand for; None does not check them.
    """
    return tuple(
        Diagnostic(check.code, f"{name}: {place}" if place else name, what, check.hint, doc=check.doc)
        for check in CHECKS
        for place, what in check.find(definition, substitutions)
    )
