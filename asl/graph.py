"""A DAG of names -> what runs after what and what runs side by side, in fork and join only.

In: nodes and what each depends on. Out: a tree of `Leaf`, `Series` and `Together`, and the pairs
that wait though they need not. A Parallel state joins all its branches, so only series-parallel
orders can be said exactly; any other order gets barriers, placed where they lengthen the longest
path least and make the fewest pairs wait.

Sets of nodes are integers used as bit sets: a step over n nodes is one machine operation for 64 of
them, which keeps a thousand assets in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

#: Parallel states nested deeper than this are laid out level by level instead; readers, linters and
#: JSON parsers recurse.
MAX_NESTING = 32
#: So many nodes of a needless wait are named.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Leaf:
    """One node."""

    name: str


@dataclass(frozen=True, slots=True)
class Series:
    """One part after the other; no part is itself a Series."""

    parts: tuple[Leaf | Together, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Parts side by side, joined at the end; no part is itself a Together."""

    parts: tuple[Leaf | Series, ...]


Structure = Leaf | Series | Together


@dataclass(frozen=True, slots=True)
class Needless:
    """Nodes that a node waits for without depending on them: how many, and the first few names."""

    count: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A structure, and what each node waits for needlessly, where it does."""

    structure: Structure
    needless: Mapping[str, Needless]


class CycleError(Exception):
    """The nodes of a cycle, each depending on the one before it, the first one repeated at the end."""

    def __init__(self, cycle: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(cycle))
        self.cycle = cycle


def layout(dependencies: Mapping[str, Sequence[str]]) -> Layout:
    """Lay a DAG out.

    Args:
        dependencies: For each node, the nodes that must end before it starts; all are keys.

    Raises:
        CycleError: It is no DAG.
        ValueError: It has no nodes.
    """
    if not dependencies:
        raise ValueError("a layout needs at least one node")
    names = topological(dependencies)
    order = _Order(names, dependencies)
    structure = order.decompose(list(range(len(names))), 0)
    return Layout(structure, dict(order.needless(structure)))


def topological(dependencies: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the nodes so that each follows its dependencies, otherwise as they were given."""
    position = {name: index for index, name in enumerate(dependencies)}
    state: dict[str, int] = {}  # 1: entered, 2: done
    ordered: list[str] = []
    for root in dependencies:
        stack: list[tuple[str, Iterator[str]]] = []
        if root not in state:
            state[root] = 1
            stack.append((root, iter(sorted(set(dependencies[root]), key=position.__getitem__))))
        while stack:
            name, remaining = stack[-1]
            for needed in remaining:
                if state.get(needed) == 1:
                    path = [entered for entered, _ in stack]
                    cycle = path[path.index(needed) :]
                    raise CycleError((needed, *reversed(cycle)))
                if needed not in state:
                    state[needed] = 1
                    stack.append((needed, iter(sorted(set(dependencies[needed]), key=position.__getitem__))))
                    break
            else:
                state[name] = 2
                ordered.append(name)
                stack.pop()
    return tuple(ordered)


def leaves(structure: Structure) -> tuple[str, ...]:
    """Return the names of a structure, in order."""
    if isinstance(structure, Leaf):
        return (structure.name,)
    return tuple(name for part in structure.parts for name in leaves(part))


class _Order:
    """The transitive closure of a DAG; nodes are numbered in topological order."""

    def __init__(self, names: Sequence[str], dependencies: Mapping[str, Sequence[str]]) -> None:
        number = {name: index for index, name in enumerate(names)}
        self.names = names
        self.direct = [sorted({number[needed] for needed in dependencies[name]}) for name in names]
        self.before = [0] * len(names)
        self.after = [0] * len(names)
        for node, needed in enumerate(self.direct):
            for other in needed:
                self.before[node] |= self.before[other] | (1 << other)
        followers: list[list[int]] = [[] for _ in names]
        for node, needed in enumerate(self.direct):
            for other in needed:
                followers[other].append(node)
        self.followers = followers
        for node in reversed(range(len(names))):
            for other in followers[node]:
                self.after[node] |= self.after[other] | (1 << other)

    def decompose(self, nodes: list[int], nesting: int) -> Structure:
        """Lay out `nodes`, which hold whatever lies between two of them, in topological order."""
        if len(nodes) == 1:
            return Leaf(self.names[nodes[0]])
        groups = self._components(nodes)
        if len(groups) > 1:
            return _together([self.decompose(group, nesting + 1) for group in groups])
        if nesting >= MAX_NESTING:
            return self._levels(nodes)
        parts = self._stages(nodes)
        if len(parts) == 1:
            parts = self._barrier(nodes)
        return _series([self.decompose(part, nesting) for part in parts])

    def _components(self, nodes: list[int]) -> list[list[int]]:
        """Split into groups that have nothing to do with each other."""
        members, seen = set(nodes), set[int]()
        groups = []
        for start in nodes:
            if start in seen:
                continue
            seen.add(start)
            group, waiting = [], [start]
            while waiting:
                node = waiting.pop()
                group.append(node)
                for other in (*self.direct[node], *self.followers[node]):
                    if other in members and other not in seen:
                        seen.add(other)
                        waiting.append(other)
            groups.append(sorted(group))
        return groups

    def _stages(self, nodes: list[int]) -> list[list[int]]:
        """Split wherever everything before must end before anything after may start."""
        mask = _mask(nodes)
        ordered = sorted(nodes, key=lambda node: ((self.before[node] & mask).bit_count(), node))
        common = [mask] * len(ordered)  # what all nodes from here on wait for
        needed = mask
        for index in reversed(range(len(ordered))):
            needed &= self.before[ordered[index]]
            common[index] = needed
        stages: list[list[int]] = [[]]
        earlier = 0
        for index, node in enumerate(ordered):
            if index and earlier & common[index] == earlier:
                stages.append([])
            stages[-1].append(node)
            earlier |= 1 << node
        return [sorted(stage) for stage in stages]

    def _heights(self, nodes: list[int]) -> tuple[dict[int, int], dict[int, int]]:
        """Return the longest path that ends, and the longest that starts, at each node."""
        top: dict[int, int] = {}
        for node in nodes:
            top[node] = 1 + max((top[other] for other in self.direct[node] if other in top), default=0)
        bottom: dict[int, int] = {}
        for node in reversed(nodes):
            bottom[node] = 1 + max(
                (bottom[other] for other in self.followers[node] if other in bottom), default=0
            )
        return top, bottom

    def _barrier(self, nodes: list[int]) -> list[list[int]]:
        """Split in two where nothing splits exactly: at the cheapest place."""
        top, bottom = self._heights(nodes)
        candidates = (
            sorted(nodes, key=lambda node: (top[node], -bottom[node], node)),
            sorted(nodes, key=lambda node: (-bottom[node], top[node], node)),
        )
        best: tuple[tuple[int, int, int], list[int], list[int]] | None = None
        for ordered in candidates:
            below = [0] * (len(ordered) + 1)
            for index in reversed(range(len(ordered))):
                below[index] = max(below[index + 1], bottom[ordered[index]])
            early, late, waits, above = 0, _mask(nodes), 0, 0
            for index, node in enumerate(ordered[:-1]):
                late ^= 1 << node
                waits += (late & ~self.after[node]).bit_count() - (early & ~self.before[node]).bit_count()
                early |= 1 << node
                above = max(above, top[node])
                key = (above + below[index + 1], waits, index)
                if best is None or key < best[0]:
                    best = key, ordered[: index + 1], ordered[index + 1 :]
        if best is None:  # unreachable: a connected set that does not split has at least four nodes
            return [nodes]
        return [sorted(best[1]), sorted(best[2])]

    def _levels(self, nodes: list[int]) -> Structure:
        top, _ = self._heights(nodes)
        levels: dict[int, list[Leaf]] = {}
        for node in nodes:
            levels.setdefault(top[node], []).append(Leaf(self.names[node]))
        return _series([_together(level) for _, level in sorted(levels.items())])

    def needless(self, structure: Structure) -> Iterator[tuple[str, Needless]]:
        """Yield each node that waits for nodes that it does not depend on."""
        number = {name: index for index, name in enumerate(self.names)}
        stack = [(structure, 0)]
        found: dict[int, int] = {}
        while stack:
            part, earlier = stack.pop()
            match part:
                case Leaf(name):
                    found[number[name]] = earlier & ~self.before[number[name]]
                case Together(parts):
                    stack += [(inner, earlier) for inner in parts]
                case Series(parts):
                    for inner in parts:
                        stack.append((inner, earlier))
                        earlier |= _mask([number[name] for name in leaves(inner)])
        for node, waits in sorted(found.items()):
            if waits:
                first = tuple(self.names[other] for other in islice(_bits(waits), NAMED))
                yield self.names[node], Needless(waits.bit_count(), first)


def _mask(nodes: Sequence[int]) -> int:
    mask = 0
    for node in nodes:
        mask |= 1 << node
    return mask


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _series(parts: Sequence[Structure]) -> Structure:
    flat: list[Leaf | Together] = []
    for part in parts:
        flat += part.parts if isinstance(part, Series) else (part,)
    return flat[0] if len(flat) == 1 else Series(tuple(flat))


def _together(parts: Sequence[Structure]) -> Structure:
    flat: list[Leaf | Series] = []
    for part in parts:
        flat += part.parts if isinstance(part, Together) else (part,)
    return flat[0] if len(flat) == 1 else Together(tuple(flat))
