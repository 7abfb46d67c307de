"""Every Task has a timeout, and so has the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding, visits


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield what may wait for ever."""
    del substitutions
    if "TimeoutSeconds" not in definition:
        yield "", "an execution has no TimeoutSeconds"
    for visit in visits(definition):
        if visit.state.get("Type") == "Task" and "TimeoutSeconds" not in visit.state:
            yield visit.name, "the Task has no TimeoutSeconds, so it may hang for 99,999,999 seconds"


CHECK = Check(
    code="ASL320",
    hint="Give it a TimeoutSeconds",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/sfn-stuck-execution.html",
    find=find,
)
