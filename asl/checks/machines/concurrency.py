"""An inline Map runs at most 40 iterations at once, and a distributed one names its limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asl.checks.machines._check import Check, Definition, Finding, visits

INLINE, DISTRIBUTED = 40, 10_000


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield maps without a limit, or with one above AWS's."""
    del substitutions
    for visit in visits(definition):
        if visit.state.get("Type") != "Map":
            continue
        mode = visit.state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode", "INLINE")
        most = DISTRIBUTED if mode == "DISTRIBUTED" else INLINE
        given = visit.state.get("MaxConcurrency", 0)
        if isinstance(given, int) and not 1 <= given <= most:
            yield (
                visit.name,
                f"MaxConcurrency is {given or 'without limit'}; this Map runs at most {most:,} at once",
            )


CHECK = Check(
    code="ASL323",
    hint="Set MaxConcurrency",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html",
    find=find,
)
