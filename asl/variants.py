"""An asset -> the asset once for each processor that may run it; what `auto` and `configured` mean to the compiler."""

from __future__ import annotations

from dataclasses import replace

from asl import names
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.engines import runtimes

#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_SECONDS = 900


def variants(asset: IngestionAsset) -> tuple[IngestionAsset, ...]:
    """Return the Lambda variant before the Glue variants; one of them, unless that is decided at run time.

    The timeout of `auto` and `configured` is the jobs'; the function gets as much of it as Lambda allows.
    """
    found = runtimes(asset)
    if len(found) == 1:
        return found
    return tuple(_within_lambda(variant) if is_function(variant) else variant for variant in found)


def variant_for(asset: IngestionAsset, *, large: bool) -> IngestionAsset:
    """Return the variant that runs for small files, or for large ones, where nothing else is configured."""
    found = variants(asset)
    return found[min(1, len(found) - 1)] if large else found[0]


def runner_id(pipeline: str, variant: IngestionAsset, asset: IngestionAsset) -> str:
    """Return the logical id of the function or job that runs a variant of an asset."""
    if is_function(variant):
        return names.function_id(pipeline, asset.name)
    if asset.processor.kind == "configured" and variant.processor.kind == "glue_sql":
        return names.sql_job_id(pipeline, asset.name)
    return names.job_id(pipeline, asset.name)


def is_function(variant: IngestionAsset) -> bool:
    """Whether a variant runs on Lambda."""
    return variant.processor.kind == "lambda"


def _within_lambda(variant: IngestionAsset) -> IngestionAsset:
    seconds = min(variant.processor.timeout_seconds, LAMBDA_SECONDS)
    return replace(variant, processor=replace(variant.processor, timeout_seconds=seconds))
