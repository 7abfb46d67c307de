"""Generated DAGs and pipelines for the compiler's tests. In: edges or a seed. Out: declarations."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandera.polars as pa
from hypothesis import strategies as st

from ingestion_assets import (
    Bucket,
    Catalog,
    Json,
    PartitionBy,
    Pipeline,
    Processor,
    S3Batches,
    S3Event,
    S3Parquet,
    S3Queue,
    S3Source,
)
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.errors import Where
from ingestion_assets.pipeline import Trigger

Dag = Mapping[str, Sequence[str]]
#: Of `auto`, in bytes.
THRESHOLD = 1000
TRIGGERS = (S3Event("files"), S3Queue("files"), S3Batches("files"))


class Row(pa.DataFrameModel):
    """One column is enough."""

    dt: str


def transform(**frames):
    """Return the first input."""
    return next(iter(frames.values()))


def pipeline_of(
    dag: Dag,
    name: str = "generated",
    partitioned: bool = True,
    glue: frozenset[str] = frozenset(),
    auto: frozenset[str] = frozenset(),
    trigger: Trigger = TRIGGERS[0],
) -> Pipeline:
    """Declare a pipeline whose assets depend on each other as `dag` says; roots read the source."""
    source = S3Source("files", Bucket("landing"), f"{name}/", Json(), Row, where=Where("files.py", 1))
    assets = tuple(
        IngestionAsset(
            name=asset,
            transform=transform,
            inputs={needed: needed for needed in needs} or {"files": "files"},
            contract=Row,
            destination=S3Parquet(
                Bucket("lake"), f"{name}/{asset}/", (PartitionBy("day", "dt"),) if partitioned else ()
            ),
            processor=Processor(
                kind="glue_pyspark" if asset in glue else "auto" if asset in auto else "lambda",
                threshold_bytes=THRESHOLD,
            ),
            owners=(),
            tags={},
            description=f"Rows of {asset}.",
            where=Where("assets.py", line, asset=asset),
        )
        for line, (asset, needs) in enumerate(dag.items(), 1)
    )
    return Pipeline(
        name=name,
        sources=(source,),
        assets=assets,
        trigger=trigger,
        catalog=Catalog(crawler=f"{name}_crawler"),
        where=Where("pipeline.py", 7),
    )


def random_dag(size: int, seed: int, most_inputs: int = 3) -> dict[str, list[str]]:
    """Return a DAG of `size` nodes; a node reads up to `most_inputs` earlier ones."""
    rng = random.Random(seed)
    return {
        f"a{node}": [
            f"a{other}" for other in rng.sample(range(node), min(node, rng.randrange(most_inputs + 1)))
        ]
        for node in range(size)
    }


@st.composite
def dags(draw, most: int = 9) -> dict[str, list[str]]:
    """Any DAG, its nodes declared in any order."""
    size = draw(st.integers(1, most))
    edges = {
        node: sorted(draw(st.sets(st.integers(0, node - 1), max_size=4))) if node else []
        for node in range(size)
    }
    order = draw(st.permutations(range(size)))
    return {f"a{node}": [f"a{other}" for other in edges[node]] for node in order}


@st.composite
def series_parallel_dags(draw) -> dict[str, list[str]]:
    """A DAG made by putting smaller ones after or beside each other, with some redundant edges."""
    names = iter(range(1000))
    edges: dict[str, set[str]] = {}

    def build(depth: int) -> tuple[list[str], list[str], list[str]]:
        """Return all nodes, those without predecessors, and those without successors."""
        kind = draw(st.sampled_from(("leaf", "series", "beside"))) if depth else "leaf"
        if kind == "leaf":
            node = f"a{next(names)}"
            edges[node] = set()
            return [node], [node], [node]
        parts = [build(depth - 1) for _ in range(draw(st.integers(2, 3)))]
        everything = [node for part in parts for node in part[0]]
        if kind == "beside":
            return everything, [n for part in parts for n in part[1]], [n for part in parts for n in part[2]]
        for earlier, later in pairwise(parts):
            for node in later[1]:
                edges[node] |= set(earlier[2])
        if draw(st.booleans()):  # an edge that follows from others changes nothing
            edges[draw(st.sampled_from(parts[-1][0]))].add(draw(st.sampled_from(parts[0][0])))
        return everything, parts[0][1], parts[-1][2]

    build(3)
    order = draw(st.permutations(sorted(edges)))
    return {node: sorted(edges[node]) for node in order}


def closure(dag: Dag) -> set[tuple[str, str]]:
    """Return every pair (earlier, later) that the DAG demands."""
    before: dict[str, set[str]] = {}

    def ancestors(node: str) -> set[str]:
        if node not in before:
            before[node] = set(dag[node]).union(*(ancestors(other) for other in dag[node]))
        return before[node]

    return {(earlier, node) for node in dag for earlier in ancestors(node)}
