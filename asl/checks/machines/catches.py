"""Every error of an outermost Task, Parallel or Map is caught: nothing fails unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield outermost states without a Catch of States.ALL."""
    del substitutions
    for name, state in definition.get("States", {}).items():
        if state.get("Type") not in {"Task", "Parallel", "Map"}:
            continue
        caught = {error for catcher in state.get("Catch", ()) for error in catcher.get("ErrorEquals", ())}
        if "States.ALL" not in caught:
            yield name, "no Catch of States.ALL leads to the failure path"


CHECK = Check(
    code="ASL322",
    hint="Add a Catch of States.ALL",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
    find=find,
)
