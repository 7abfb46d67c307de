"""Remove Pass states that another state can do the work of: each costs a transition of every file.

A Pass that neither assigns nor shapes its output only leads on; whatever leads to it can lead to
where it leads. One that only a Choice's default leads to can be done by the Choice, whose own
`Assign` and `Output` apply when no rule does. https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from asl.ir import Branch, Choice, Fail, Machine, Map, Parallel, Pass, State, Succeed, Task
from asl.states import rewrite, successors


def fuse_passes(machine: Machine) -> Machine:
    """Return the machine without idle Pass states, except one that is a branch's only state."""

    def change(state: State) -> State:
        if isinstance(state, Parallel):
            return replace(state, branches=tuple(Branch(_fused(b.states)) for b in state.branches))
        if isinstance(state, Map):
            return replace(state, processor=Branch(_fused(state.processor.states)))
        return state

    return replace(machine, states=_fused(rewrite(machine.states, change)))


def _fused(states: tuple[State, ...]) -> tuple[State, ...]:
    return _absorbed(_without_idle(states))


def _absorbed(states: tuple[State, ...]) -> tuple[State, ...]:
    """Let a Choice do the Pass that only its default leads to."""
    led = Counter(name for state in states for name in successors(state))
    passes = {state.name: state for state in states if isinstance(state, Pass) and state.next}
    done = dict[str, Pass]()
    changed = list[State]()
    for state in states:
        found = passes.get(state.default) if isinstance(state, Choice) else None
        # A rule's own way to the Pass would miss it; a Choice's own work would be lost.
        if (
            not isinstance(state, Choice)
            or found is None
            or found.next is None
            or led[found.name] > 1
            or found.name in {rule.next for rule in state.rules}
            or found.name == states[0].name
            or state.assign
            or state.output is not None
        ):
            changed.append(state)
            continue
        done[found.name] = found
        changed.append(replace(state, default=found.next, assign=found.assign, output=found.output))
    return tuple(state for state in changed if state.name not in done)


def _without_idle(states: tuple[State, ...]) -> tuple[State, ...]:
    idle = {
        state.name: state.next
        for state in states
        if isinstance(state, Pass) and not state.assign and state.output is None and state.next
    }
    if not idle:
        return states

    def target(name: str) -> str:
        seen = set[str]()
        while name in idle and name not in seen:
            seen.add(name)
            name = idle[name]
        return name

    start = target(states[0].name)
    kept = [_redirected(state, target) for state in states if state.name not in idle]
    kept.sort(key=lambda state: state.name != start)  # stable: only the first state moves
    return tuple(kept)


def _redirected(state: State, target: Callable[[str], str]) -> State:
    if isinstance(state, Choice):
        rules = tuple(replace(rule, next=target(rule.next)) for rule in state.rules)
        return replace(state, rules=rules, default=target(state.default))
    if isinstance(state, Task | Parallel | Map):
        state = replace(state, catch=tuple(replace(c, next=target(c.next)) for c in state.catch))
    if not isinstance(state, Succeed | Fail) and state.next:
        state = replace(state, next=target(state.next))
    return state
