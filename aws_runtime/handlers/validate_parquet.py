"""Lambda: validate Parquet files that landed. In: `{"execution", "event_time", "input"}`. Out: `$job`.

Environment: one variable a bucket (`curation.json` names them), QUARANTINE (S3 prefix ending in `/`),
POWERTOOLS_SERVICE_NAME. `curation.json` lies at the root of the function's zip.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from aws_runtime.curation import staging
from aws_runtime.curation.declared import Declared
from aws_runtime.curation.job import declared, open_job

logger = Logger()


@cache
def load_declared() -> Declared:
    """Read `curation.json` from the root of the function's code."""
    root = os.environ.get("LAMBDA_TASK_ROOT") or Path(__file__).parents[2]
    return declared((Path(root) / "curation.json").read_text(encoding="utf-8"))


def read_parameter(name: str) -> str | None:
    """Read a parameter of SSM; None when there is none."""
    try:
        found: str = boto3.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return None
        raise
    return found


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Stage the good files, reject the others.

    Raises:
        ConfigError: The configuration cannot be meant; nothing was touched.
        TooManyFilesError: Likewise, of the files.
        CopyNotVerifiedError, AccessDeniedError, ClientError: A retry resumes.
    """
    told = load_declared()
    logger.append_keys(pipeline=told.pipeline, asset=told.asset)
    job, arrived = open_job(event, told, os.environ, read_parameter)
    logger.set_correlation_id(job.id)
    answer = staging.validate(job, arrived)
    logger.info(
        answer["status"], extra={"files": answer["files"], "files_rejected": answer["files_rejected"]}
    )
    return answer
