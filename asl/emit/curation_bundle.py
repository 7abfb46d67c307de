"""A curated pipeline -> the zips of its functions around the transform, and what their layer holds.

In: a pipeline with a `Curation`. Out: a `CompiledStep` each of validate, check and load: the handler,
what it imports of `aws_runtime`, and `curation.json`, the declaration as each run is told it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from asl.compiled import CompiledStep
from asl.emit.bundle import Bundle, handler_bundle
from asl.emit.layer import pins
from aws_runtime.codec import encode
from ingestion_assets.curation_plan import curated_nodes, declared_of
from ingestion_assets.pipeline import Pipeline

#: Handler of each step, in the order of the machine.
HANDLERS: Mapping[str, str] = {"validate": "validate_parquet", "check": "check_output", "load": "load"}
LAYER = "curation"
#: What built-in steps import beside the engine.
TRANSFORM_REQUIREMENTS = ("sqlglot",)
#: What the functions import beside boto3: footers are pyarrow's, built-in steps are checked before they run.
REQUIREMENTS = ("aws-lambda-powertools", "narwhals", "pyarrow", *TRANSFORM_REQUIREMENTS)

#: What a load into Snowflake imports too, in a layer of its own: it is as large as the rest.
SNOWFLAKE, SNOWFLAKE_LAYER = "snowflake-connector-python", "curation_snowflake"


def curation_steps(pipeline: Pipeline) -> tuple[CompiledStep, ...]:
    """Return the functions of a curated pipeline, in the order of its machine.

    Raises:
        CompileError: ASL205, when a distribution of their layer is not installed here.
    """
    _, asset = curated_nodes(pipeline)
    told = curation_json(pipeline)
    layer = pins(LAYER, REQUIREMENTS, asset.where)
    loads = pins(SNOWFLAKE_LAYER, (*REQUIREMENTS, SNOWFLAKE), asset.where) if _snowflake(pipeline) else layer
    return tuple(
        CompiledStep(
            step,
            handler,
            Bundle(
                f"{pipeline.name}-{asset.name}-{step}",
                {**handler_bundle(handler).files, "curation.json": told},
            ),
            loads if step == "load" else layer,
        )
        for step, handler in HANDLERS.items()
    )


def _snowflake(pipeline: Pipeline) -> bool:
    return pipeline.curation is not None and pipeline.curation.snowflake is not None


def curation_json(pipeline: Pipeline) -> bytes:
    """Return `curation.json`: the same bytes for the same declaration."""
    told = encode(declared_of(pipeline))
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
