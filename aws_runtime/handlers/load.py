"""Lambda: publish what a run staged. In: `{"job": $job, "record": "s3://…"}`. Out: `loaded`.

Environment and `curation.json` as of `validate_parquet`.
"""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger

from aws_runtime.curation.job import reopened
from aws_runtime.curation.publish import publish
from aws_runtime.handlers.validate_parquet import load_declared

logger = Logger()
#: What is kept of the function's time for telling how a load ended.
RESERVED_SECONDS = 30


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish the staged files; a retry ends the same.

    Raises:
        RunRecordError: The run record or the list of its files is missing.
    """
    told = load_declared()
    logger.append_keys(pipeline=told.pipeline, asset=told.asset)
    job = reopened(event["job"]["config"], told, os.environ)
    logger.set_correlation_id(job.id)
    answer = publish(
        job, event["record"], lambda: context.get_remaining_time_in_millis() / 1000 - RESERVED_SECONDS
    )
    logger.info(answer["status"], extra={"outputs": answer["output_count"], "rows": answer["rows"]})
    return answer
