"""A curated pipeline -> the zips of its functions around the transform, and what their layer holds.

In: a pipeline with a `Curation`. Out: a `CompiledStep` each of validate, check and load: the handler,
what it imports of `aws_runtime`, and `curation.json`, the declaration as each run is told it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from asl.compiled import CompiledStep
from asl.emit.bundle import Bundle, handler_bundle
from asl.emit.layer import LAMBDA_BASE, Pins, pins
from asl.lowering.curation_delta import STEP
from aws_runtime.codec import encode
from ingestion_assets.curation_plan import curated_nodes, declared_of
from ingestion_assets.pipeline import Pipeline

#: Handler of each step, in the order of the machine.
HANDLERS: Mapping[str, str] = {"validate": "validate_parquet", "check": "check_output", "load": "load"}
LAYER = "curation"
#: What writes into a Delta table, in a layer without pyarrow: both are too large for one function.
DELTA, DELTA_LAYER = "load_delta", "curation_delta"
DELTA_REQUIREMENTS = (*LAMBDA_BASE, "deltalake", "duckdb")
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
    return tuple(
        CompiledStep(
            step,
            handler,
            Bundle(
                f"{pipeline.name}-{asset.name}-{step}",
                {**handler_bundle(handler).files, "curation.json": told},
            ),
            found,
        )
        for step, handler, found in _steps(pipeline)
    )


def _steps(pipeline: Pipeline) -> Iterator[tuple[str, str, Pins]]:
    """Yield name, handler and layer of each function."""
    _, asset = curated_nodes(pipeline)
    layer = pins(LAYER, REQUIREMENTS, asset.where)
    for step, handler in HANDLERS.items():
        if step == "load" and pipeline.curation and pipeline.curation.delta:
            yield STEP, DELTA, pins(DELTA_LAYER, DELTA_REQUIREMENTS, asset.where)
        loads = step == "load" and _snowflake(pipeline)
        yield (
            step,
            handler,
            pins(SNOWFLAKE_LAYER, (*REQUIREMENTS, SNOWFLAKE), asset.where) if loads else layer,
        )


def _snowflake(pipeline: Pipeline) -> bool:
    return pipeline.curation is not None and pipeline.curation.snowflake is not None


def curation_json(pipeline: Pipeline) -> bytes:
    """Return `curation.json`: the same bytes for the same declaration."""
    told = encode(declared_of(pipeline))
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
