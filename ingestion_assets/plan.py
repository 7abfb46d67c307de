"""Declarations -> `AssetPlan`: what one asset's step is told, wherever it runs."""

from __future__ import annotations

from dataclasses import asdict

from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan, PartitionPlan
from ingestion_assets.asset import IngestionAsset, S3Source
from ingestion_assets.contract import lower_contract
from ingestion_assets.engines import choose_engine
from ingestion_assets.errors import CompileError
from ingestion_assets.formats import Parquet
from ingestion_assets.pipeline import Pipeline


def asset_plan(pipeline: Pipeline, asset: IngestionAsset) -> AssetPlan:
    """Lower one asset of `pipeline`.

    Raises:
        CompileError: ASL002 for an input that is neither a source nor an asset of the pipeline;
            whatever the contracts raise.
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
        engine=choose_engine(asset, {given.format.name for given in inputs}),
    )
