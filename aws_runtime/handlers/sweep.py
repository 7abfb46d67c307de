"""Lambda: sweep. In: an event. Out: how many items were mended, and how.

A schedule's event says nothing; `{"max_wait_seconds": 0}` lets open batches wait no longer.

Environment: PIPELINE, TRIGGER, STATUS_TABLE, STATE_MACHINE, TOPIC, POWERTOOLS_SERVICE_NAME, and for
TRIGGER=batches everything of build_manifests.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from aws_runtime.ingress.aws import clients
from aws_runtime.ingress.settings import SweeperSettings
from aws_runtime.ingress.sweeper import sweep

#: Left of the function's time when it takes up no further item.
RESERVE_MILLISECONDS = 20_000

logger = Logger()
metrics = Metrics(namespace="IngestionAssets")


class UnsweptError(Exception):
    """Some items could not be mended; the others were, and the next run tries again."""


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Mend what is unfinished and should not be.

    Raises:
        UnsweptError: Some items could not be mended; the log has each with its reason.
        ValueError: The environment is not as agreed.
        ClientError: The table cannot be read.
    """
    wait = {"MAX_WAIT_SECONDS": str(event["max_wait_seconds"])} if "max_wait_seconds" in event else {}
    settings = SweeperSettings.read({**os.environ, **wait})
    logger.append_keys(pipeline=settings.pipeline)

    def more_time() -> bool:
        return bool(context.get_remaining_time_in_millis() > RESERVE_MILLISECONDS)

    swept = sweep(clients(alerts=True), settings, datetime.now(UTC), more_time)
    metrics.add_dimension("pipeline", settings.pipeline)
    metrics.add_metric("Unfinished", MetricUnit.Count, swept.read)
    for step, count in swept.steps.items():
        metrics.add_metric(f"Swept{step.capitalize()}", MetricUnit.Count, count)
    metrics.flush_metrics()
    for name, error in swept.failed.items():
        logger.error("not mended", extra={"item": name}, exc_info=error)
    logger.info("swept", extra={"read": swept.read, "steps": swept.steps})
    if swept.failed:
        raise UnsweptError(f"{len(swept.failed)} of {swept.read} items could not be mended; see the log")
    return {"read": swept.read, "steps": swept.steps}
