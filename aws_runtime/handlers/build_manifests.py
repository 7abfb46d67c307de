"""Lambda: build manifests. In: an event of SQS with notifications of S3. Out: the messages that failed.

Environment: PIPELINE, TRACKING_TABLE, BATCHES_TABLE, STATE_MACHINE, PREFIX, SUFFIXES, MANIFESTS,
BATCH_FILES, BATCH_BYTES, MAX_WAIT_SECONDS, RETENTION_DAYS, POWERTOOLS_SERVICE_NAME.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from aws_runtime.ingress.aws import clients
from aws_runtime.ingress.builder import Built, build
from aws_runtime.ingress.notifications import Arrival, Delivery, distinct, failures, matches, read_deliveries
from aws_runtime.ingress.settings import BatchSettings

logger = Logger()
metrics = Metrics(namespace="IngestionAssets")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Put the files that messages tell of into batches, and start the executions of full ones.

    Raises:
        ValueError: The event or the environment is not as agreed.
        ClientError: The tables cannot be read; every message comes back.
    """
    settings = BatchSettings.read(os.environ)
    logger.append_keys(pipeline=settings.pipeline)
    deliveries = read_deliveries(event)
    wrong_bucket = {
        a.identity.file_id: a for a in distinct(deliveries).values() if a.bucket != settings.bucket
    }
    wanted = [
        arrival
        for file_id, arrival in distinct(deliveries).items()
        if file_id not in wrong_bucket and _ours(arrival, settings)
    ]
    built = build(clients(), settings, wanted, datetime.now(UTC)) if wanted else Built()
    _log(deliveries, built)
    for arrival in wrong_bucket.values():
        logger.error("not an object of the source's bucket", extra={"object": arrival.identity.uri})
    _measure(settings, built, len(wrong_bucket) + sum(d.error is not None for d in deliveries))
    return failures(deliveries, {**built.failed, **wrong_bucket})


def _ours(arrival: Arrival, settings: BatchSettings) -> bool:
    ours = arrival.key.startswith(settings.prefix) and matches(arrival.key, settings.suffixes)
    if not ours:
        logger.info("ignored: not a key of the source", extra={"object": arrival.identity.uri})
    return ours


def _log(deliveries: tuple[Delivery, ...], built: Built) -> None:
    for delivery in deliveries:
        for ignored in delivery.ignored:
            logger.info("ignored", extra={"message_id": delivery.id, "reason": ignored})
        if delivery.error is not None:
            logger.error("unreadable message", extra={"message_id": delivery.id, "reason": delivery.error})
    for error in {id(error): error for error in built.failed.values()}.values():
        logger.error("files not placed", exc_info=error)
    logger.info("built", extra={"placed": built.placed, "known": built.known, "sealed": built.sealed})


def _measure(settings: BatchSettings, built: Built, unreadable: int) -> None:
    metrics.add_dimension("pipeline", settings.pipeline)
    metrics.add_metric("FilesPlaced", MetricUnit.Count, built.placed)
    metrics.add_metric("FilesKnown", MetricUnit.Count, built.known)
    metrics.add_metric("BatchesSealed", MetricUnit.Count, len(built.sealed))
    metrics.add_metric("MessagesFailed", MetricUnit.Count, len(built.failed) + unreadable)
    metrics.flush_metrics()


if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    # Lambda's start has a whole CPU whatever the function's memory: make the clients there.
    clients()
