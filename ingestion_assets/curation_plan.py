"""A curated pipeline's declaration -> `Declared`: what each step of its machine is told, wherever it runs.

In: a `Pipeline` with a `Curation`. Out: the content of `curation.json`, and of Dagster's runs.
"""

from __future__ import annotations

import re

from aws_runtime.curation.declared import Declared
from ingestion_assets.asset import IngestionAsset, S3Source
from ingestion_assets.curation import declared_defaults
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.plan import asset_plan


def curated_nodes(pipeline: Pipeline) -> tuple[S3Source, IngestionAsset]:
    """Return the only source and the only asset of a curated pipeline."""
    (source,), (asset,) = pipeline.sources, pipeline.assets
    return source, asset


def bucket_variable(name: str) -> str:
    """Return the environment variable that holds a bucket's physical name."""
    return f"BUCKET_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"


def declared_of(pipeline: Pipeline) -> Declared:
    """Lower the declaration of a pipeline with a `Curation`.

    Raises:
        CompileError: Whatever the contracts and the transform raise.
    """
    source, asset = curated_nodes(pipeline)
    to = asset.destination
    plan = asset_plan(pipeline, asset)
    given = pipeline.curation.defaults if pipeline.curation else {}
    return Declared(
        pipeline=pipeline.name,
        asset=asset.name,
        contract=plan.inputs[0].contract,
        output_contract=plan.output.contract,
        defaults=declared_defaults(source, asset, given),
        buckets={name: bucket_variable(name) for name in dict.fromkeys((source.bucket.name, to.bucket.name))},
        source_prefix=source.prefix,
        target_prefix=to.prefix,
        partition_by=plan.output.partition_by,
        compression=to.compression,
        database=pipeline.catalog.database or pipeline.name,
        table=to.table or asset.name,
        redshift=pipeline.curation.redshift if pipeline.curation else None,
        snowflake=pipeline.curation.snowflake if pipeline.curation else None,
        delta=pipeline.curation.delta if pipeline.curation else False,
    )
