"""Every Task is tried again on passing errors, with jitter and a longest pause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding, visits


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield Tasks without Retry, and retries that may come all at once or ever later."""
    del substitutions
    for visit in visits(definition):
        if visit.state.get("Type") != "Task":
            continue
        if not visit.state.get("Retry"):
            yield visit.name, "the Task has no Retry"
        for retrier in visit.state.get("Retry", ()):
            if retrier.get("MaxAttempts") == 0:
                continue
            if retrier.get("JitterStrategy") != "FULL":
                yield visit.name, "a Retry has no JitterStrategy FULL"
            if "MaxDelaySeconds" not in retrier:
                yield visit.name, "a Retry has no MaxDelaySeconds"


CHECK = Check(
    code="ASL321",
    hint="Retry the errors that the integration calls transient",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
    find=find,
)
