"""Try every Task again on what its integration calls transient: backoff, a cap, full jitter.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from __future__ import annotations

from dataclasses import replace

from asl.ir import Integration, Machine, Retrier, State, Task
from asl.states import rewrite


def add_retries(machine: Machine) -> Machine:
    """Return the machine with retries on every Task that declares none."""

    def change(state: State) -> State:
        if not isinstance(state, Task) or state.retry:
            return state
        return replace(state, retry=transient(state.integration))

    return replace(machine, states=rewrite(machine.states, change))


def transient(integration: Integration) -> tuple[Retrier, ...]:
    """Return the retries of what an integration calls transient."""
    return tuple(
        Retrier(errors.names, errors.attempts, errors.interval_seconds, errors.max_delay_seconds)
        for errors in integration.transient
    )
