"""Declarations -> `AssetPlan`: what one asset's step is told, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from aws_runtime.contract import Contract
from aws_runtime.engines import load_engine
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan, PartitionPlan
from ingestion_assets.asset import IngestionAsset, S3Source
from ingestion_assets.contract import lower_contract
from ingestion_assets.engines import AS_SQL, choose_engine, runtimes
from ingestion_assets.errors import CompileError
from ingestion_assets.formats import Parquet
from ingestion_assets.pipeline import Pipeline, PipelineCompleted


def asset_plan(pipeline: Pipeline, asset: IngestionAsset) -> AssetPlan:
    """Lower one asset of `pipeline`.

    Where the pipeline has a `Curation`, or reads what one published, the source's Hive folders become columns
    of its rows.

    Args:
        pipeline: Has the sources and assets that `asset` reads.
        asset: The asset, or one of its variants (`ingestion_assets.engines.runtimes`).

    Raises:
        CompileError: ASL002 for an input that is neither a source nor an asset of the pipeline;
            ASL050 and ASL051 for a transform that is, or is to be, SQL; whatever the contracts raise.
    """
    nodes: tuple[S3Source | IngestionAsset, ...] = (*pipeline.sources, *pipeline.assets)
    upstream = {node.name: node for node in nodes}
    inputs = []
    for parameter, name in asset.inputs.items():
        node = upstream.get(name)
        if node is None or node is asset:
            raise CompileError(
                "ASL002",
                asset.where,
                f"input {name!r} is neither a source nor another asset of {pipeline.name}",
                f"Known: {', '.join(sorted(set(upstream) - {asset.name}))}",
            )
        if isinstance(node, S3Source):
            form = FormatPlan(node.format.name, asdict(node.format))
            inputs.append(InputPlan(parameter, form, lower_contract(node.contract, node.where)))
        else:
            form = FormatPlan(Parquet.name)
            contract = lower_contract(node.contract, node.where)
            inputs.append(InputPlan(parameter, form, contract, origin="asset"))
    kind = runtimes(asset)[0].processor.kind
    sql = pipeline.curation.sql if pipeline.curation else None
    contracts = {given.name: given.contract for given in inputs}
    query = _query(asset, contracts, sql) if sql is not None or kind in AS_SQL else ""
    formats = {given.format.name for given in inputs}
    foldered = pipeline.curation is not None or isinstance(pipeline.trigger, PipelineCompleted)
    engine = choose_engine(asset, formats, folder_columns=foldered, sql=bool(query))
    return AssetPlan(
        pipeline=pipeline.name,
        asset=asset.name,
        transform=f"{asset.transform.__module__}:{asset.transform.__qualname__}",
        inputs=tuple(inputs),
        output=OutputPlan(
            contract=lower_contract(asset.contract, asset.where),
            partition_by=tuple(
                PartitionPlan(by.name, by.column or by.name, by.transform)
                for by in asset.destination.partition_by
            ),
            compression=asset.destination.compression,
        ),
        engine=engine,
        sql=_spelled(query, engine) if query else "",
    )


def _query(asset: IngestionAsset, contracts: Mapping[str, Contract], sql: str | Path | None) -> str:
    from ingestion_assets import sql as transforms  # noqa: PLC0415 - SQLFrame takes long to load, few need it

    if sql is None:
        return transforms.generated_sql(asset, contracts)
    return transforms.written_sql(sql, contracts, asset.where)


def _spelled(query: str, engine: str) -> str:
    from ingestion_assets import sql as transforms  # noqa: PLC0415 - as above

    return transforms.for_duckdb(query) if load_engine(engine).CAPABILITIES.sql == "duckdb" else query
