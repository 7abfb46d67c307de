"""Shorten state names to AWS's 80 characters, wherever they are referred to.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

from __future__ import annotations

from dataclasses import replace

from asl.ir import Catcher, Choice, Fail, Machine, Map, Parallel, State, Succeed, Task
from asl.names import state_name
from asl.states import rewrite


def shorten_names(machine: Machine) -> Machine:
    """Return the machine with no state name longer than 80 characters."""
    return replace(machine, states=rewrite(machine.states, _shortened))


def _shortened(state: State) -> State:
    state = replace(state, name=state_name(state.name))
    if isinstance(state, Choice):
        rules = tuple(replace(rule, next=state_name(rule.next)) for rule in state.rules)
        return replace(state, rules=rules, default=state_name(state.default))
    if isinstance(state, Task | Parallel | Map):
        state = replace(state, catch=tuple(_catcher(catcher) for catcher in state.catch))
    if not isinstance(state, Succeed | Fail) and state.next:
        state = replace(state, next=state_name(state.next))
    return state


def _catcher(catcher: Catcher) -> Catcher:
    return replace(catcher, next=state_name(catcher.next))
