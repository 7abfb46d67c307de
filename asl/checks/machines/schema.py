"""The definition is Amazon States Language: fields, types, transitions that lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from statelint.config import Config
from statelint.linter import Linter

from asl.checks.machines._check import Check, Definition, Finding

#: What statelint 3.1 does not know yet, all of distributed maps.
#: https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
UNKNOWN_TO_IT = ('"Label"', '"InputType"', "field Label", "field InputType")


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield what statelint finds."""
    del substitutions
    problems: list[Any] = Linter.validate(dict(definition), Config())
    for problem in problems:
        if not any(known in problem for known in UNKNOWN_TO_IT):
            yield "", problem.rstrip(".")


CHECK = Check(
    code="ASL310",
    hint="Mend the state that it names",
    doc="https://states-language.net/spec.html",
    find=find,
)
