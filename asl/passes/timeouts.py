"""Give every Task without a timeout its integration's: without one, AWS waits for 99,999,999 s.

https://docs.aws.amazon.com/step-functions/latest/dg/sfn-stuck-execution.html
"""

from __future__ import annotations

from dataclasses import replace

from asl.ir import Machine, State, Task
from asl.states import rewrite


def add_timeouts(machine: Machine) -> Machine:
    """Return the machine with a timeout on every Task."""

    def change(state: State) -> State:
        if isinstance(state, Task) and state.timeout_seconds is None:
            return replace(state, timeout_seconds=state.integration.timeout_seconds)
        return state

    return replace(machine, states=rewrite(machine.states, change))
