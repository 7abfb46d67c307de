"""Names of resources: stable CamelCase logical ids, and physical names within AWS's limits.

In: names of pipelines, assets and buckets. Out: text that depends on nothing else, so that adding
an asset never renames, hence never replaces, another one's resources. A logical id, once released,
is never to change.
"""

from __future__ import annotations

import hashlib
import re

#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html
LOGICAL_ID_LIMIT = 255
_WORD = re.compile(r"[A-Za-z0-9]+")
_PLAIN = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z][a-z0-9]*)*")


def logical_id(kind: str, *names: str) -> str:
    """Return `OrdersEtlOrderLinesFunction` for kind `Function` and names orders_etl, order_lines.

    A name that is not plain snake_case (`v_2`, `Orders`, `commande_été`) loses something when its
    words are joined, so a hash of it keeps two such names apart.
    """
    camel = "".join(word[:1].upper() + word[1:] for name in names for word in _WORD.findall(name))
    exact = all(_PLAIN.fullmatch(name) for name in names)
    suffix = "" if exact and len(camel) + len(kind) <= LOGICAL_ID_LIMIT else digest("/".join(names))
    return camel[: LOGICAL_ID_LIMIT - len(kind) - len(suffix)] + suffix + kind


def digest(text: str) -> str:
    """Return 8 hexadecimal digits that tell `text` from others."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def shortened(name: str, limit: int) -> str:
    """Return `name`, or its beginning and a hash of it where it is longer than `limit` characters."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9].rstrip('-_')}-{digest(name)}"


def state_name(name: str) -> str:
    """Return a state's name within its 80 characters.

    https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """
    return shortened(name, 80)


def bucket_id(bucket: str) -> str:
    """Return the id of the bucket with this logical name; pipelines share it."""
    return logical_id("Bucket", bucket)


def machine_id(pipeline: str) -> str:
    """Return the id of the pipeline's state machine."""
    return logical_id("StateMachine", pipeline)


def function_id(pipeline: str, asset: str) -> str:
    """Return the id of the Lambda function that materializes the asset."""
    return logical_id("Function", pipeline, asset)


def job_id(pipeline: str, asset: str) -> str:
    """Return the id of the Glue job that materializes the asset."""
    return logical_id("Job", pipeline, asset)


def sql_job_id(pipeline: str, asset: str) -> str:
    """Return the id of the Glue job that runs a configured asset's transform as SQL, beside the other one."""
    return logical_id("SqlJob", pipeline, asset)


def step_id(pipeline: str, asset: str, step: str) -> str:
    """Return the id of a curated pipeline's function for `validate`, `check` or `load`."""
    return logical_id(f"{step.title()}Function", pipeline, asset)


def tracking_id(pipeline: str) -> str:
    """Return the id of the pipeline's tracking table."""
    return logical_id("Tracking", pipeline)


def batches_id(pipeline: str) -> str:
    """Return the id of the table of a pipeline's batches."""
    return logical_id("Batches", pipeline)


def metadata_id(bucket: str) -> str:
    """Return the id of the table that leads a bucket's key prefixes to state machines."""
    return logical_id("WorkflowMetadata", bucket)


def status_id(bucket: str) -> str:
    """Return the id of the table of a bucket's files that an orchestrator started."""
    return logical_id("WorkflowStatus", bucket)


def arrivals_id(pipeline: str) -> str:
    """Return the id of the queue of a pipeline's files."""
    return logical_id("Arrivals", pipeline)


def dead_letters_id(pipeline: str) -> str:
    """Return the id of the queue of events that could not start an execution."""
    return logical_id("DeadLetters", pipeline)


def bucket_arrivals_id(bucket: str) -> str:
    """Return the id of the queue of a bucket's files, which its pipelines share."""
    return logical_id("BucketArrivals", bucket)


def bucket_dead_letters_id(bucket: str) -> str:
    """Return the id of the queue of a bucket's files that could not start an execution."""
    return logical_id("BucketDeadLetters", bucket)


def orchestrator_id(bucket: str) -> str:
    """Return the id of the function that starts executions for a bucket's files."""
    return logical_id("Orchestrator", bucket)


def builder_id(pipeline: str) -> str:
    """Return the id of the function that makes batches of a pipeline's files."""
    return logical_id("ManifestBuilder", pipeline)


def sweeper_id(pipeline: str) -> str:
    """Return the id of the function that starts what waits too long, and tells what died."""
    return logical_id("Sweeper", pipeline)


def topic_id(pipeline: str) -> str:
    """Return the id of the pipeline's SNS topic of alerts."""
    return logical_id("Alerts", pipeline)


def layer_id(engine: str) -> str:
    """Return the id of a layer, by its name: an engine's, `front_door`, `curation`."""
    return logical_id("Layer", engine)


def database_id(database: str) -> str:
    """Return the id of the Glue database; pipelines may share it."""
    return logical_id("Database", database)


def table_id(pipeline: str, asset: str) -> str:
    """Return the id of the asset's Glue table."""
    return logical_id("Table", pipeline, asset)


def crawler_id(pipeline: str) -> str:
    """Return the id of the pipeline's crawler."""
    return logical_id("Crawler", pipeline)
