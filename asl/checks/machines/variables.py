"""Every variable of an expression is assigned on every way to it; every function exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

from jsonata import Jsonata

from asl.checks.machines._check import Check, Definition, Finding, expressions_of, nodes, parsed
from asl.checks.machines._flow import entries

#: What Step Functions adds to JSONata; `$states` is its input, result and context.
ADDED = frozenset({"states", "partition", "range", "hash", "random", "uuid", "parse"})


@cache
def functions() -> frozenset[str]:
    """Return the names that JSONata defines by itself."""
    return frozenset(Jsonata.static_frame.bindings) | ADDED


@lru_cache(maxsize=4096)
def free_variables(text: str) -> frozenset[str]:
    """Return the variables that an expression neither binds nor finds among JSONata's functions."""
    used, bound = set[str](), set[str]()
    for node in nodes(parsed(text)[0]):
        match node.type:
            case "variable":
                used.add(str(node.value))
            case "bind":
                bound.add(str(node.lhs.value))
            case "lambda":
                bound |= {str(argument.value) for argument in node.arguments}
            case _:
                continue
    return frozenset(used - bound - functions() - {"", "$"})  # `$` and `$$` are the context


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield variables that may not be assigned."""
    del substitutions
    for entry in entries(definition):
        for each in expressions_of(entry.name, entry.state):
            for name in sorted(free_variables(each.text) - entry.known):
                yield each.place, f"${name} is not assigned on every way to this state"


CHECK = Check(
    code="ASL315",
    hint="Assign it in a state before: a state sees its own Assign only from the next state on",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html",
    find=find,
)
