"""What one execution does: a machine, and what runs its assets -> counted calls.

In: the states as compiled. Out: transitions, history events and AWS calls of an execution that goes
well. Counted by walking the machine, so that a state more is a cent more without any table to keep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from asl.ir import Choice, Map, Parallel, Ref, State, Task


@dataclass(frozen=True)
class Path:
    """What one execution does.

    Args:
        transitions: States entered.
        events: Entries of its history, each of which is logged.
        calls: AWS calls by the integration's name.
    """

    transitions: int = 0
    events: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Path) -> Path:
        """Return both, one after the other."""
        return Path(
            self.transitions + other.transitions, self.events + other.events, self.calls + other.calls
        )


def path(states: Sequence[State], runners: Collection[str]) -> Path:
    """Count an execution that goes well.

    Args:
        states: Of a machine or a branch.
        runners: Logical ids of the functions and jobs that run the assets, where that is decided late.
    """
    named = {state.name: state for state in states}
    # Started and ended.
    total = Path(events=2)
    following: str | None = states[0].name
    while following:
        state = named[following]
        total += _one(state, runners)
        following = _way(state, named, runners) if isinstance(state, Choice) else getattr(state, "next", None)
    return total


def _one(state: State, runners: Collection[str]) -> Path:
    match state:
        case Task():
            # Entered, scheduled, started, ended, exited; a job that is waited for is submitted too.
            events = 6 if state.integration.resource.endswith(".sync") else 5
            return Path(1, events, Counter([state.integration.name]))
        case Parallel():
            return sum((path(branch.states, runners) for branch in state.branches), Path(1, 2))
        case Map():
            # One iteration: the partitions of a run fit one request.
            return Path(1, 4) + path(state.processor.states, runners)
        case _:
            return Path(1, 2)


def _way(choice: Choice, named: Mapping[str, State], runners: Collection[str]) -> str:
    """Return where a choice leads: to the function or job that runs the asset, else by its default."""
    for name in (choice.default, *(rule.next for rule in choice.rules)):
        target = named.get(name)
        if isinstance(target, Task) and _called(target) in runners:
            return name
    return choice.default


def _called(task: Task) -> str | None:
    """Return the logical id of the function or job that a task runs."""
    for argument in ("FunctionName", "JobName"):
        given = task.arguments.get(argument)
        if isinstance(given, Ref):
            return given.logical_id
    return None
