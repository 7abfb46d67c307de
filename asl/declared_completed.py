"""What `PipelineCompleted` may say: it reads what the named pipeline publishes, where it publishes it.

In: all pipelines of one template. Out: nothing, or the first `CompileError`; and a warning where the named
pipeline is compiled elsewhere, so that nobody can tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from asl.ir import Diagnostic
from asl.triggers import source_of
from asl.where import at
from ingestion_assets.errors import CompileError
from ingestion_assets.formats import Parquet
from ingestion_assets.pipeline import Pipeline, PipelineCompleted


def check_completed(pipelines: Sequence[Pipeline]) -> None:
    """Check every `PipelineCompleted` against the pipeline that it names, if that is among `pipelines`.

    Raises:
        CompileError: ASL047.
    """
    named = {pipeline.name: pipeline for pipeline in pipelines}
    for pipeline in pipelines:
        if isinstance(pipeline.trigger, PipelineCompleted):
            _check_alone(pipeline)
            if pipeline.trigger.pipeline in named:
                _check_upstream(pipeline, pipeline.trigger, named[pipeline.trigger.pipeline])


def unknown_upstreams(pipelines: Sequence[Pipeline]) -> list[Diagnostic]:
    """Return a warning for each pipeline that waits for one that is not among `pipelines`."""
    named = {pipeline.name for pipeline in pipelines}
    return [
        Diagnostic(
            "ASL111",
            at(pipeline),
            f"{pipeline.trigger.pipeline}, whose completed runs start {pipeline.name}, is not compiled with it",
            "Compile both into one stack: buckets and events are a stack's own",
            severity="warning",
        )
        for pipeline in pipelines
        if isinstance(pipeline.trigger, PipelineCompleted) and pipeline.trigger.pipeline not in named
    ]


def _check_alone(pipeline: Pipeline) -> None:
    source = source_of(pipeline)
    if not isinstance(source.format, Parquet):
        raise CompileError(
            "ASL047",
            at(pipeline, source),
            f"{source.name} is {source.format.name}, and a completed run's files are read as Parquet only",
            "Use format=Parquet()",
        )
    for asset in pipeline.assets:
        if asset.processor.kind == "auto":
            raise CompileError(
                "ASL047",
                at(pipeline, asset),
                "the processor auto decides by bytes, which a completed run's event does not tell",
                'Use Processor(kind="lambda") or Processor(kind="glue_pyspark")',
            )


def _check_upstream(pipeline: Pipeline, trigger: PipelineCompleted, upstream: Pipeline) -> None:
    if upstream.curation is None:
        raise CompileError(
            "ASL047",
            at(pipeline),
            f"{upstream.name} is no pipeline with a Curation, so it lists no files that it published",
            "Read its files by S3Event, or give it a curation",
        )
    assets = {asset.name: asset for asset in upstream.assets}
    asset = assets.get(trigger.upstream)
    if asset is None:
        raise CompileError(
            "ASL047",
            at(pipeline),
            f"{upstream.name} has no asset {trigger.upstream!r}",
            f"Use PipelineCompleted(asset=…), one of {', '.join(sorted(assets))}",
        )
    source, to = source_of(pipeline), asset.destination
    if (source.bucket, source.prefix) != (to.bucket, to.prefix):
        raise CompileError(
            "ASL047",
            at(pipeline, source),
            f"{source.name} lies at {source.bucket.name}/{source.prefix}, but {upstream.name}/{asset.name} "
            f"is published to {to.bucket.name}/{to.prefix}",
            f'Use bucket=Bucket("{to.bucket.name}") and prefix="{to.prefix}"',
        )
