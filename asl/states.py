"""Walk and rewrite states, whatever they nest in. In: states. Out: visits, or new states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from asl.ir import Branch, Choice, Fail, Map, Parallel, Pass, State, Succeed, Task, Wait


@dataclass(frozen=True, slots=True)
class Visit:
    """A state and the branch that it stands in.

    Args:
        state: The state.
        siblings: All states of its branch or machine.
        parents: The Parallel and Map states around it, outermost first.
    """

    state: State
    siblings: tuple[State, ...]
    parents: tuple[Parallel | Map, ...]


def branches(state: State) -> tuple[Branch, ...]:
    """Return what a state nests."""
    if isinstance(state, Parallel):
        return state.branches
    return (state.processor,) if isinstance(state, Map) else ()


def walk(states: Sequence[State], parents: tuple[Parallel | Map, ...] = ()) -> Iterator[Visit]:
    """Yield every state, a nesting state before what it nests."""
    siblings = tuple(states)
    for state in siblings:
        yield Visit(state, siblings, parents)
        if isinstance(state, Parallel | Map):
            for branch in branches(state):
                yield from walk(branch.states, (*parents, state))


def rewrite(states: Sequence[State], change: Callable[[State], State]) -> tuple[State, ...]:
    """Return `states` with `change` applied to every state, inner ones first."""
    done = []
    for state in states:
        match state:
            case Parallel():
                inner = tuple(Branch(rewrite(branch.states, change)) for branch in state.branches)
                done.append(change(replace(state, branches=inner)))
            case Map():
                processor = Branch(rewrite(state.processor.states, change))
                done.append(change(replace(state, processor=processor)))
            case _:
                done.append(change(state))
    return tuple(done)


def successors(state: State) -> tuple[str, ...]:
    """Return the names of the states that can follow, in a stable order, each once."""
    match state:
        case Choice():
            found = [*(rule.next for rule in state.rules), state.default]
        case Task() | Parallel() | Map():
            found = [*([state.next] if state.next else []), *(catcher.next for catcher in state.catch)]
        case Pass() | Wait():
            found = [state.next] if state.next else []
        case Succeed() | Fail():
            found = []
    return tuple(dict.fromkeys(found))
