"""What a check is, and what several of them walk: states and expressions of a definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonata import Jsonata

Definition = Mapping[str, Any]
Finding = tuple[str, str]
Find = Callable[[Definition, Mapping[str, str] | None], Iterator[Finding]]

#: Fields of a state in which JSONata may stand.
FIELDS = (
    "Arguments",
    "Assign",
    "Cause",
    "Condition",
    "Error",
    "ItemReader",
    "ItemSelector",
    "Items",
    "MaxConcurrency",
    "Output",
    "ResultWriter",
    "Seconds",
    "TimeoutSeconds",
    "Timestamp",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One diagnostic.

    Args:
        code: Stable; `docs/errors.md` explains it.
        hint: How to mend it.
        doc: The page behind it.
        find: Definition and substitutions -> (place, what is wrong).
    """

    code: str
    hint: str
    doc: str
    find: Find


@dataclass(frozen=True, slots=True)
class Visit:
    """A state of a definition: its name, itself, and the Parallel and Map states around it."""

    name: str
    state: Mapping[str, Any]
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """One JSONata expression, without its delimiters.

    Args:
        state: Name of its state.
        path: Where in the state: `Arguments.Payload`, `Catch[0].Assign.failure`.
        text: The expression.
    """

    state: str
    path: str
    text: str

    @property
    def place(self) -> str:
        """`Materialize orders, Arguments.Payload`."""
        return f"{self.state}, {self.path}"


def machines_within(state: Mapping[str, Any]) -> tuple[Definition, ...]:
    """Return what a state nests: branches, or the processor of a map."""
    if state.get("Type") == "Parallel":
        return tuple(state.get("Branches", ()))
    processor = state.get("ItemProcessor")
    return (processor,) if state.get("Type") == "Map" and processor else ()


def visits(definition: Definition, parents: tuple[str, ...] = ()) -> Iterator[Visit]:
    """Yield every state."""
    for name, state in definition.get("States", {}).items():
        yield Visit(name, state, parents)
        for inner in machines_within(state):
            yield from visits(inner, (*parents, name))


def expressions(definition: Definition) -> Iterator[Expression]:
    """Yield every expression of every state."""
    for visit in visits(definition):
        yield from expressions_of(visit.name, visit.state)


def expressions_of(name: str, state: Mapping[str, Any]) -> Iterator[Expression]:
    """Yield the expressions of one state, without those of states that it nests."""
    for field in FIELDS:
        if field in state:
            yield from _inside(name, field, state[field])
    for field in ("Choices", "Catch"):
        for index, part in enumerate(state.get(field, ())):
            for inner in ("Condition", "Assign", "Output"):
                if inner in part:
                    yield from _inside(name, f"{field}[{index}].{inner}", part[inner])


def _inside(name: str, path: str, value: Any) -> Iterator[Expression]:
    match value:
        case str():
            if is_expression(value):
                yield Expression(name, path, value[2:-2].strip())
        case Mapping():
            for key, item in value.items():
                yield from _inside(name, f"{path}.{key}", item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _inside(name, f"{path}[{index}]", item)
        case _:
            return


def is_expression(value: Any) -> bool:
    """Whether a value is evaluated."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


@lru_cache(maxsize=4096)
def parsed(text: str) -> tuple[Any, str]:
    """Return an expression's syntax tree, or None and why it is none."""
    try:
        return Jsonata(text).ast, ""
    except Exception as error:  # noqa: BLE001 - the parser raises many types
        return None, str(error)


def nodes(tree: Any) -> Iterator[Any]:
    """Yield every node of a syntax tree."""
    seen = set[int]()
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, list | tuple):
            stack += node
            continue
        if not hasattr(node, "type") or not hasattr(node, "__dict__") or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        stack += [
            value
            for key, value in vars(node).items()
            if not key.startswith("_outer") and key != "seeking_parent"
        ]
