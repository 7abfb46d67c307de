"""Lambda: materialize one asset. In: the event of docs/guarantees.md. Out: the asset's run record.

Environment: DESTINATION and QUARANTINE (S3 prefixes ending in `/`), POWERTOOLS_SERVICE_NAME.
`plan.json` lies at the root of the function's zip.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from aws_runtime import storage
from aws_runtime.engines import Limits, load_engine
from aws_runtime.events import parse_event
from aws_runtime.materialize import materialize
from aws_runtime.plan import AssetPlan
from aws_runtime.records import places

#: Of the function's memory, what the engine may use; the interpreter, libraries, buffers that an
#: engine does not count and the page cache of /tmp need the rest.
ENGINE_SHARE = 0.55

# The Tracer is left out: importing the X-Ray SDK costs ten times as much as Logger and Metrics
# together, and active tracing on the function records the same times without it.
logger = Logger()
metrics = Metrics(namespace="IngestionAssets")


@cache
def load_plan() -> AssetPlan:
    """Read `plan.json` from the root of the function's code."""
    root = os.environ.get("LAMBDA_TASK_ROOT") or Path(__file__).parents[2]
    return AssetPlan.from_json(json.loads((Path(root) / "plan.json").read_text(encoding="utf-8")))


def limits(folder: Path) -> Limits:
    """Return what the engine may use of this function, spilling below `folder`."""
    memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2048")) * 1024 * 1024
    spill = folder / "spill"
    spill.mkdir(exist_ok=True)
    return Limits(int(memory * ENGINE_SHARE), os.cpu_count() or 1, str(spill))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Materialize the asset of `plan.json` from the objects that `event` names.

    Raises:
        ValueError: The event or the environment is not as agreed.
        Exception: Whatever `materialize` raises; a rejected file is an answer, not an error.
    """
    plan = load_plan()
    logger.append_keys(pipeline=plan.pipeline, asset=plan.asset)
    asked = parse_event(event, plan)
    logger.set_correlation_id(asked.execution)
    at = places(os.environ["DESTINATION"], os.environ["QUARANTINE"], plan, asked.execution)
    record = materialize(plan, asked, at, limits=limits)
    logger.info(
        record["status"],
        extra={name: record[name] for name in ("rows_in", "rows_out", "rows_quarantined", "record")}
        | {"reason": record.get("reason")},
    )
    _measure(plan, record)
    return record


def _measure(plan: AssetPlan, record: dict[str, Any]) -> None:
    metrics.add_dimension("pipeline", plan.pipeline)
    metrics.add_dimension("asset", plan.asset)
    metrics.add_metric("RowsIn", MetricUnit.Count, record["rows_in"])
    metrics.add_metric("RowsOut", MetricUnit.Count, record["rows_out"])
    metrics.add_metric("RowsQuarantined", MetricUnit.Count, record["rows_quarantined"])
    rejected = record.get("files_rejected", int(record["status"] == "rejected"))
    metrics.add_metric("FilesRejected", MetricUnit.Count, rejected)
    metrics.flush_metrics()


if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    # Lambda's start has a whole CPU whatever the function's memory: import the engine and make
    # the client there.
    load_engine(load_plan().engine)
    storage.s3()
