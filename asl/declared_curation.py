"""What a pipeline with a `Curation` may say, and that no other one is configured at run time.

In: a pipeline whose names are checked. Out: nothing, or ASL048 or ASL049 for the first thing that no
machine can be made of.
"""

from __future__ import annotations

from asl.where import at
from aws_runtime.curation.config import ConfigError, parse
from aws_runtime.curation.config_checks import check_dataset, check_declared, check_table
from aws_runtime.curation.declared import Declared
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.curation import Curation, declared_defaults
from ingestion_assets.curation_plan import curated_nodes
from ingestion_assets.errors import CompileError
from ingestion_assets.formats import Parquet
from ingestion_assets.pipeline import Pipeline, S3Event


def check_curation(pipeline: Pipeline) -> None:
    """Check that a curated pipeline has one source and one asset, which a run's configuration decides on.

    Raises:
        CompileError: ASL048 for a pipeline of another shape, ASL049 for defaults that cannot be meant.
    """
    for asset in pipeline.assets:
        _check_kind(pipeline, asset)
    if pipeline.curation is None:
        return
    _check_shape(pipeline)
    _check_crawler(pipeline)
    _check_partitions(pipeline)
    _check_defaults(pipeline, pipeline.curation)


def _check_kind(pipeline: Pipeline, asset: IngestionAsset) -> None:
    configured = asset.processor.kind == "configured"
    if configured and pipeline.curation is None:
        raise CompileError(
            "ASL048",
            at(pipeline, asset),
            'Processor(kind="configured") runs what a configuration says, and this pipeline takes none',
            "Add curation=Curation(…) to the pipeline, or choose a processor: auto takes one by size",
        )
    if not configured and pipeline.curation is not None:
        raise CompileError(
            "ASL048",
            at(pipeline, asset),
            f'Processor(kind="{asset.processor.kind}") leaves a configuration no choice of the processor',
            'Use Processor(kind="configured"), and say the kind in Curation(defaults={"processor_type": …})',
        )


def _check_shape(pipeline: Pipeline) -> None:
    if len(pipeline.sources) != 1 or len(pipeline.assets) != 1:
        raise CompileError(
            "ASL048",
            at(pipeline),
            f"a curated pipeline has one source and one asset, not {len(pipeline.sources)} and {len(pipeline.assets)}",
            "Give the others a pipeline of their own: PipelineCompleted starts one after this one",
        )
    source, asset = curated_nodes(pipeline)
    if list(asset.inputs.values()) != [source.name]:
        raise CompileError(
            "ASL048",
            at(pipeline, asset),
            f"a curated asset reads the pipeline's source once, not {', '.join(asset.inputs.values())}",
            f"Give the transform one parameter: {source.name}",
        )
    if not isinstance(source.format, Parquet):
        raise CompileError(
            "ASL048",
            at(pipeline, source),
            f"a curated pipeline takes Parquet files, not {source.format.name}",
            "Make Parquet of them in a pipeline of their own, or leave curation out",
        )
    if not isinstance(pipeline.trigger, S3Event):
        raise CompileError(
            "ASL048",
            at(pipeline),
            f"a curated pipeline's runs begin with S3Event or by hand, not with {type(pipeline.trigger).__name__}",
            f'Use S3Event("{source.name}"), with suffixes=("_SUCCESS",) where senders mark what is complete',
        )


def _check_crawler(pipeline: Pipeline) -> None:
    if pipeline.catalog.crawler is not None:
        raise CompileError(
            "ASL048",
            at(pipeline),
            f"nothing would start the crawler {pipeline.catalog.crawler!r}: a curated pipeline's load registers "
            "its partitions itself",
            "Leave Catalog(crawler=…) out",
        )


def _check_partitions(pipeline: Pipeline) -> None:
    _, asset = curated_nodes(pipeline)
    for by in asset.destination.partition_by:
        if by.transform != "identity" or by.column not in (None, by.name):
            raise CompileError(
                "ASL048",
                at(pipeline, asset),
                f"the partition {by.name!r} is derived, and a curated pipeline's folders are columns as they are",
                f'Make a column {by.name!r} in the transform, and say PartitionBy("{by.name}")',
            )


def _check_defaults(pipeline: Pipeline, curation: Curation) -> None:
    source, asset = curated_nodes(pipeline)
    layer = declared_defaults(source, asset, curation.defaults)
    try:
        parse(layer)
    except ConfigError as error:
        raise _wrong(pipeline, error) from None
    buckets = (source.bucket.name, asset.destination.bucket.name)
    for key, known in zip(("source_bucket", "target_bucket"), buckets, strict=True):
        if layer[key] not in buckets:
            raise CompileError(
                "ASL049",
                at(pipeline),
                f"Curation(defaults=…): {key}: {layer[key]!r} is no bucket of this pipeline",
                f"Leave it out: it is {known!r}",
            )


def check_against(pipeline: Pipeline, told: Declared) -> None:
    """Check that the defaults can come true, now that the contracts are lowered.

    Raises:
        CompileError: ASL049.
    """
    try:
        config = parse(told.defaults)
        check_dataset(config.dataset)
        check_declared(config, told)
        check_table(config, told)
    except ConfigError as error:
        raise _wrong(pipeline, error) from None


def _wrong(pipeline: Pipeline, error: ConfigError) -> CompileError:
    what, hint = _one(str(error))
    return CompileError("ASL049", at(pipeline), f"Curation(defaults=…): {what}", hint)


def _one(message: str) -> tuple[str, str]:
    """Return what is wrong and how to mend it, without the layer that is blamed: here it is always this one."""
    what, _, hint = message.replace(" in the input", "").partition("; ")
    if not hint or hint.startswith(("said by", "no layer")):
        hint = "Mend the key: docs/curation.md and aws_runtime/curation/config.py say what each one means"
    return what, f"{hint[0].upper()}{hint[1:]}".removesuffix(".")
