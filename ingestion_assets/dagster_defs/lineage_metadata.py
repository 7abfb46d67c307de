"""Column lineage as Dagster shows it: its own view, and a table to read.

In: an asset. Out: metadata, or a line in the log that says why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from aws_runtime.step import Before
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.dagster_defs.specs import node_keys
from ingestion_assets.pipeline import Pipeline


def lineage_metadata(
    pipeline: Pipeline, asset: IngestionAsset, warn: Callable[[str], None], before: Before | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield `dagster/column_lineage` and the same in Markdown.

    Args:
        pipeline: The pipeline.
        asset: One of its assets.
        warn: Told why there is none.
        before: Done to the rows of the only input before the transform.
    """
    # SQLFrame and sqlglot load here, so that definitions load without them.
    from ingestion_assets.lineage import LineageUnavailableError, column_lineage  # noqa: PLC0415

    try:
        lineage = column_lineage(pipeline, asset, before)
    except LineageUnavailableError as error:
        warn(f"no column lineage: {error}")
        return
    keys = node_keys(pipeline)
    yield (
        "dagster/column_lineage",
        dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(keys[name], top)
                    for name, top in dict.fromkeys((source.input, source.path[0]) for source in sources)
                ]
                for column, sources in lineage.columns.items()
            }
        ),
    )
    lines = ["| column | computed from |", "| --- | --- |"]
    lines += [
        f"| {column} | {', '.join(f'`{source}`' for source in sources) or '-'} |"
        for column, sources in lineage.columns.items()
    ]
    yield "column_lineage", dg.MetadataValue.md("\n".join(lines))
