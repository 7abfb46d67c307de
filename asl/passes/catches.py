"""Lead every error of the machine's own states to its failure path.

Only the outermost states catch: an error inside a branch or a map ends that Parallel or Map, which
catches it. States.ALL catches neither States.DataLimitExceeded nor States.Runtime, which end the
execution at once; the budget keeps payloads below the limit, and the alarm on failed executions
tells of the rest. https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from __future__ import annotations

from dataclasses import replace

from asl.ir import Catcher, Machine, Map, Parallel, State, Task
from asl.lowering.endings import FAILED, failure_of_error


def add_catches(machine: Machine) -> Machine:
    """Return the machine with a Catch of States.ALL wherever one can stand and none does."""
    if not any(state.name == FAILED for state in machine.states):
        return machine
    caught = Catcher(("States.ALL",), FAILED, assign=failure_of_error(), output={})

    def change(state: State) -> State:
        if not isinstance(state, Task | Parallel | Map) or any("States.ALL" in c.errors for c in state.catch):
            return state
        return replace(state, catch=(*state.catch, caught))

    # The failure path's own states catch for themselves already: nothing leads back to them.
    return replace(machine, states=tuple(change(state) for state in machine.states))
