"""An asset -> the asset once for each place that may run it; what `auto` means to the compiler."""

from __future__ import annotations

from dataclasses import replace

from ingestion_assets.asset import IngestionAsset
from ingestion_assets.engines import runtimes

#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_SECONDS = 900


def variants(asset: IngestionAsset) -> tuple[IngestionAsset, ...]:
    """Return the Lambda variant before the Glue variant; one of them, unless the processor is `auto`.

    The timeout of `auto` is the job's; its function gets as much of it as Lambda allows.
    """
    found = runtimes(asset)
    if len(found) == 1:
        return found
    return tuple(_within_lambda(variant) if is_function(variant) else variant for variant in found)


def is_function(variant: IngestionAsset) -> bool:
    """Whether a variant runs on Lambda."""
    return variant.processor.kind == "lambda"


def _within_lambda(variant: IngestionAsset) -> IngestionAsset:
    seconds = min(variant.processor.timeout_seconds, LAMBDA_SECONDS)
    return replace(variant, processor=replace(variant.processor, timeout_seconds=seconds))
