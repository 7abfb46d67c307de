"""Layouts: every dependency kept, and no barrier where fork and join can say the order exactly."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings

from asl import graph
from asl.graph import CycleError, Leaf, Series, Structure, Together, layout, leaves, topological
from tests.asl.generated import closure, dags, random_dag, series_parallel_dags


def order(structure: Structure) -> set[tuple[str, str]]:
    """Return every pair (earlier, later) that a structure enforces."""
    if isinstance(structure, Leaf):
        return set()
    pairs = set().union(*(order(part) for part in structure.parts))
    if isinstance(structure, Series):
        for index, part in enumerate(structure.parts):
            later = [name for other in structure.parts[index + 1 :] for name in leaves(other)]
            pairs |= {(name, other) for name in leaves(part) for other in later}
    return pairs


@given(dags())
@settings(max_examples=200, deadline=None)
def test_every_node_once_and_every_dependency_kept(dag):
    found = layout(dag)
    assert sorted(leaves(found.structure)) == sorted(dag)
    assert closure(dag) <= order(found.structure)


@given(dags())
@settings(max_examples=100, deadline=None)
def test_needless_waits_are_exactly_what_the_structure_adds(dag):
    found = layout(dag)
    added = order(found.structure) - closure(dag)
    assert {name: waits.count for name, waits in found.needless.items()} == {
        name: sum(1 for _, later in added if later == name) for name in {later for _, later in added}
    }
    assert all((other, name) in added for name, waits in found.needless.items() for other in waits.names)


@given(series_parallel_dags())
@settings(max_examples=150, deadline=None)
def test_series_parallel_orders_are_exact(dag):
    found = layout(dag)
    assert order(found.structure) == closure(dag)
    assert found.needless == {}


@given(dags())
@settings(max_examples=100, deadline=None)
def test_layouts_do_not_nest_a_kind_in_itself(dag):
    stack = [layout(dag).structure]
    while stack:
        part = stack.pop()
        if not isinstance(part, Leaf):
            assert len(part.parts) > 1
            assert not any(type(inner) is type(part) for inner in part.parts)
            stack += part.parts


@given(dags())
@settings(max_examples=100, deadline=None)
def test_barriers_do_not_lengthen_the_longest_path_of_levels(dag):
    """A DAG that needs barriers is cut where its longest path is not made longer."""

    def height(edges: dict[str, set[str]]) -> int:
        depth: dict[str, int] = {}
        for name in topological({node: sorted(needs) for node, needs in edges.items()}):
            depth[name] = 1 + max((depth[other] for other in edges[name]), default=0)
        return max(depth.values())

    enforced = {name: set() for name in dag}
    for earlier, later in order(layout(dag).structure):
        enforced[later].add(earlier)
    assert height(enforced) == height({name: set(needs) for name, needs in dag.items()})


def test_an_n_gets_one_barrier():
    found = layout({"a": [], "b": [], "c": ["a"], "d": ["a", "b"]})
    assert found.structure == Series((Together((Leaf("a"), Leaf("b"))), Together((Leaf("c"), Leaf("d")))))
    assert {name: waits.names for name, waits in found.needless.items()} == {"c": ("b",)}


def test_a_diamond_and_a_tail_need_none():
    found = layout(
        {"join": ["left", "right"], "left": ["root"], "right": ["root"], "root": [], "tail": ["join"]}
    )
    assert found.structure == Series(
        (Leaf("root"), Together((Leaf("left"), Leaf("right"))), Leaf("join"), Leaf("tail"))
    )


@pytest.mark.parametrize(
    ("dag", "cycle"),
    [
        ({"a": ["a"]}, {"a"}),
        ({"a": ["b"], "b": ["a"]}, {"a", "b"}),
        ({"x": [], "a": ["x", "c"], "b": ["a"], "c": ["b"], "y": ["c"]}, {"a", "b", "c"}),
    ],
)
def test_a_cycle_is_named_in_the_order_of_its_edges(dag, cycle):
    with pytest.raises(CycleError) as raised:
        layout(dag)
    named = raised.value.cycle
    assert set(named) == cycle
    assert named[0] == named[-1]
    assert all(earlier in dag[later] for earlier, later in pairwise(named))


def test_no_nodes_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        layout({})


def test_deep_nesting_is_laid_out_by_levels():
    """A comb, each tooth beside the rest of the comb, nests as deep as it is long."""
    comb = {"r0": []}
    for tooth in range(1, 300):
        comb[f"r{tooth}"] = [f"r{tooth - 1}"]
        comb[f"t{tooth}"] = [f"r{tooth - 1}"]
    found = layout(comb)
    assert sorted(leaves(found.structure)) == sorted(comb)
    assert closure_of_chain(found.structure, 300)
    assert depth(found.structure) <= 2 * graph.MAX_NESTING + 4


def depth(structure: Structure) -> int:
    return 1 if isinstance(structure, Leaf) else 1 + max(depth(part) for part in structure.parts)


def closure_of_chain(structure: Structure, length: int) -> bool:
    """Whether r0, r1, … still come in this order, and each tooth after its own root."""
    enforced = order(structure)
    return all(
        (f"r{i - 1}", f"r{i}") in enforced and (f"r{i - 1}", f"t{i}") in enforced for i in range(1, length)
    )


def test_the_same_dag_gives_the_same_layout():
    dag = random_dag(200, seed=4)
    assert layout(dag) == layout({name: list(reversed(needs)) for name, needs in dag.items()})


def test_work_grows_with_the_size(monkeypatch):
    """Counted, not timed: sets of nodes that are looked at, for DAGs of one shape and four sizes."""

    def work(size: int) -> int:
        looked = 0
        components = graph._Order._components
        stages = graph._Order._stages

        def counted(original):
            def run(self, nodes):
                nonlocal looked
                looked += len(nodes)
                return original(self, nodes)

            return run

        with monkeypatch.context() as patched:
            patched.setattr(graph._Order, "_components", counted(components))
            patched.setattr(graph._Order, "_stages", counted(stages))
            layout(random_dag(size, seed=1))
        return looked

    small, large = work(250), work(1000)
    assert large <= 4 * small * 2, (small, large)
