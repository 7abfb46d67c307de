"""Which variables are assigned whenever a state is entered: a forward analysis of each scope.

`Assign` is visible from the next state on, a branch or an inline map sees the variables around it,
and a distributed map sees none. https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asl.checks.machines._check import Definition, machines_within


@dataclass(frozen=True, slots=True)
class Entry:
    """A state as it is entered.

    Args:
        name: Its name.
        state: Itself.
        known: Variables that are assigned on every way to it.
        outer: Variables that scopes around it assign anywhere.
    """

    name: str
    state: Mapping[str, Any]
    known: frozenset[str]
    outer: frozenset[str]


def entries(
    definition: Definition, known: frozenset[str] = frozenset(), outer: frozenset[str] = frozenset()
) -> Iterator[Entry]:
    """Yield every state that can be reached, with what is known there."""
    states: Mapping[str, Any] = definition.get("States", {})
    reached = _reached(states, str(definition.get("StartAt")), known)
    own = frozenset(name for state in states.values() for name in assigned(state))
    for name, state in states.items():
        if name not in reached:
            continue
        yield Entry(name, state, reached[name], outer)
        distributed = state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
        for inner in machines_within(state):
            seen = frozenset[str]() if distributed else reached[name]
            yield from entries(inner, seen, frozenset() if distributed else outer | own)


def assigned(state: Mapping[str, Any]) -> frozenset[str]:
    """Return what a state assigns on any way out."""
    parts = (state, *state.get("Choices", ()), *state.get("Catch", ()))
    return frozenset(name for part in parts for name in part.get("Assign", {}))


def ways_out(state: Mapping[str, Any]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each following state and what is assigned on the way to it."""
    own = frozenset(state.get("Assign", {}))
    for field in ("Next", "Default"):
        if field in state:
            yield state[field], own
    for field in ("Choices", "Catch"):
        for part in state.get(field, ()):
            yield part.get("Next", ""), frozenset(part.get("Assign", {}))


def _reached(states: Mapping[str, Any], start: str, known: frozenset[str]) -> dict[str, frozenset[str]]:
    if start not in states:
        return {}
    found = {start: known}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for following, assigned_there in ways_out(states[name]):
            if following not in states:
                continue
            arriving = found[name] | assigned_there
            both = found[following] & arriving if following in found else arriving
            if following not in found or both != found[following]:
                found[following] = both
                waiting.append(following)
    return found
