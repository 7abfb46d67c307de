"""Lambda: orchestrate. In: an event of SQS with notifications of S3. Out: the messages that failed.

Environment: METADATA_TABLE, STATUS_TABLE, RETENTION_DAYS, POWERTOOLS_SERVICE_NAME.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from aws_runtime.ingress.aws import clients
from aws_runtime.ingress.notifications import distinct, failures, read_deliveries
from aws_runtime.ingress.orchestrator import Orchestrated, orchestrate
from aws_runtime.ingress.settings import OrchestratorSettings

logger = Logger()
metrics = Metrics(namespace="IngestionAssets")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Start the state machine of each file that messages tell of.

    Raises:
        ValueError: The event or the environment is not as agreed.
        ClientError: The prefixes cannot be read; every message comes back.
    """
    settings = OrchestratorSettings.read(os.environ)
    deliveries = read_deliveries(event)
    arrivals = tuple(distinct(deliveries).values())
    done = orchestrate(clients(), settings, arrivals, datetime.now(UTC)) if arrivals else Orchestrated()
    for delivery in deliveries:
        for ignored in delivery.ignored:
            logger.info("ignored", extra={"message_id": delivery.id, "reason": ignored})
        if delivery.error is not None:
            logger.error("unreadable message", extra={"message_id": delivery.id, "reason": delivery.error})
    for file_id, reason in done.ignored.items():
        logger.info("ignored", extra={"file_id": file_id, "reason": reason})
    for file_id, error in done.failed.items():
        logger.error("not started", extra={"file_id": file_id}, exc_info=error)
    unreadable = sum(delivery.error is not None for delivery in deliveries)
    metrics.add_metric("FilesStarted", MetricUnit.Count, done.started)
    metrics.add_metric("FilesIgnored", MetricUnit.Count, len(done.ignored))
    metrics.add_metric("MessagesFailed", MetricUnit.Count, len(done.failed) + unreadable)
    metrics.flush_metrics()
    return failures(deliveries, done.failed)


if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    # Lambda's start has a whole CPU whatever the function's memory: make the clients there.
    clients()
