"""What a curation says of warehouses, checked before anything is compiled.

In: a pipeline. Out: nothing, or ASL060 at the pipeline's declaration.
"""

from __future__ import annotations

from asl.where import at
from aws_runtime.warehouses.load import RESERVED
from aws_runtime.warehouses.targets import problem
from ingestion_assets.contract import lower_contract
from ingestion_assets.errors import CompileError
from ingestion_assets.pipeline import Pipeline


def check_warehouses(pipeline: Pipeline) -> None:
    """Check the tables of a pipeline's warehouses.

    Raises:
        CompileError: ASL060, a table that cannot be meant, or a column whose name loads use themselves.
    """
    curation = pipeline.curation
    tables = (curation.redshift, curation.snowflake) if curation else ()
    for table in tables:
        if table is None:
            continue
        if found := problem(table):
            raise CompileError(
                "ASL060", at(pipeline), found, "Say where runs are loaded as docs/warehouses.md does"
            )
        for asset in pipeline.assets:
            where = at(pipeline, asset)
            for column in lower_contract(asset.contract, where).columns:
                if column.name.lower() in RESERVED:
                    raise CompileError(
                        "ASL060",
                        where,
                        f"the column {column.name!r} has a name that loads into warehouses use themselves",
                        "Rename it in the transform",
                    )
