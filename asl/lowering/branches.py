"""A layout of assets -> states: sequences, and Parallel states whose branches hand their runs out.

In: `asl.graph.Structure`. Out: states, and where the runs of all assets are. What a branch assigns
is not visible outside of it, so its output is an object of runs by asset, and the Parallel merges
those into one variable. A rejected file ends its branch early, with the run that rejected it: the
other branches finish their work, and whoever joins them looks for a rejection.
https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from asl.graph import Leaf, Series, Structure, Together
from asl.ir import Branch, Choice, Parallel, Rule, State, Succeed
from asl.lowering.assets import Known, asset_states, entry_name
from asl.lowering.expressions import FAILURE, expression, quoted, variable
from asl.names import state_name
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a sequence stands.

    Args:
        rejected: Where a rejection leads.
        top: Whether this is the machine itself; a branch hands runs out, the machine a failure.
        asks: Whether a run can be rejected, so that states after it look.
        own: Runs that were assigned here: JSONata objects of runs by asset, to be merged.
    """

    rejected: str
    top: bool
    asks: bool = True
    own: tuple[str, ...] = ()

    def ended(self, runs: str) -> Scope:
        """Return the scope after more runs were assigned in it."""
        return replace(self, own=(*self.own, runs))

    def runs(self) -> str:
        """Return all runs of the scope as one JSONata object."""
        return self.own[0] if len(self.own) == 1 else f"$merge([{', '.join(self.own)}])"


@dataclass(frozen=True, slots=True)
class Lowered:
    """States of a part, what is known after it, and the scope as it is then."""

    states: tuple[State, ...]
    known: Known
    scope: Scope


@dataclass(slots=True)
class Names:
    """The pipeline's assets, and the Parallel states' numbers in the order in which they are met."""

    pipeline: Pipeline
    assets: Mapping[str, IngestionAsset]
    taken: dict[int, str] = field(default_factory=dict)

    def parallel(self, part: Together) -> str:
        """Return the Parallel's number, `1` for the first."""
        return self.taken.setdefault(id(part), str(len(self.taken) + 1))

    def entry(self, part: Leaf | Together) -> str:
        """Return the name of a part's first state."""
        if isinstance(part, Leaf):
            return entry_name(self.assets[part.name])
        return f"Branches {self.parallel(part)}"


def sequence(
    names: Names, structure: Structure, known: Known, scope: Scope, following: str | None
) -> Lowered:
    """Return the states of a structure, one part after the other.

    Between two parts, and at the machine's end, a Choice looks for a rejection. A branch's last
    part needs none: whoever joins the branches looks.
    """
    parts = structure.parts if isinstance(structure, Series) else (structure,)
    states: list[State] = []
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        after = following if last else names.entry(parts[index + 1])
        asking = scope.asks and (scope.top or not last)
        question = _question(names, part) if asking else after
        made = (
            _leaf(names.pipeline, names.assets[part.name], known, scope, question)
            if isinstance(part, Leaf)
            else _parallel(names, part, known, scope, question)
        )
        known, scope = made.known, made.scope
        states += made.states
        if asking and question and after:
            states.append(_look(question, part, names, scope, after))
    return Lowered(tuple(states), known, scope)


def _question(names: Names, part: Leaf | Together) -> str:
    return state_name(f"Is {part.name if isinstance(part, Leaf) else names.entry(part).lower()} rejected?")


def _leaf(
    pipeline: Pipeline, asset: IngestionAsset, known: Known, scope: Scope, following: str | None
) -> Lowered:
    run = variable(asset.name)
    return Lowered(
        asset_states(pipeline, asset, known, following),
        known.with_run(asset.name, run),
        scope.ended(f"{{{quoted(asset.name)}: {run}}}"),
    )


def _look(name: str, part: Leaf | Together, names: Names, scope: Scope, after: str) -> Choice:
    if isinstance(part, Leaf):
        run = variable(part.name)
        condition, reason = f"{run}.status = 'rejected'", f"{run}.reason"
        runs = f"{{{quoted(part.name)}: {run}}}"
    else:
        runs = _runs_of(names.parallel(part))
        condition = f"'rejected' in {runs}.*.status"
        reason = f"({runs}.*[status = 'rejected'])[0].reason"
    if scope.top:
        failure = f"{{'status': 'rejected', 'code': {reason}.code, 'message': {reason}.message}}"
        found = Rule(condition=condition, next=scope.rejected, assign={FAILURE[1:]: expression(failure)})
    else:
        found = Rule(condition=condition, next=scope.rejected, output=expression(runs))
    return Choice(name=name, rules=(found,), default=after)


def _runs_of(parallel: str) -> str:
    return f"$branches_{parallel}"


def _parallel(names: Names, part: Together, known: Known, scope: Scope, following: str | None) -> Lowered:
    number, name = names.parallel(part), names.entry(part)
    runs = _runs_of(number)
    branches = []
    for index, inner in enumerate(part.parts, 1):
        branches.append(_branch(names, inner, known, f"{number}.{index}", asks=scope.asks))
    for asset in (asset for branch in branches for asset in branch.known.runs):
        if asset not in known.runs:
            known = known.with_run(asset, f"{runs}.{quoted_field(asset)}")
    state = Parallel(
        name=name,
        branches=tuple(Branch(branch.states) for branch in branches),
        assign={runs[1:]: expression("$merge($states.result)")},
        output={},
        next=following,
    )
    return Lowered((state,), known, scope.ended(runs))


def quoted_field(name: str) -> str:
    """Return a name as a step of a JSONata path; quoted, so that no keyword (`and`, `in`) is met."""
    return f"`{name}`"


def _branch(names: Names, part: Leaf | Series, known: Known, number: str, *, asks: bool) -> Lowered:
    done, stopped = f"Branch {number} done", f"Branch {number} stopped"
    before = set(known.runs)
    made = sequence(names, part, known, Scope(stopped, top=False, asks=asks), done)
    states: tuple[State, ...] = (*made.states, Succeed(name=done, output=expression(made.scope.runs())))
    if asks and isinstance(part, Series):
        states = (
            *states,
            Succeed(name=stopped, comment="A file was rejected; whoever joins the branches looks for it"),
        )
    inner = {asset: path for asset, path in made.known.runs.items() if asset not in before}
    return Lowered(states, Known(inner), made.scope)
