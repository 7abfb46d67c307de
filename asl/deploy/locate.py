"""A deployed pipeline -> where its files go in, what runs them and where they are tracked.

In: the declaration and the stack. Nothing is guessed from physical names: the stack's own list of
resources tells them by the logical ids that the compiler gives.
"""

from __future__ import annotations

from dataclasses import dataclass

from asl import names, triggers
from asl.deploy import stack
from asl.deploy.errors import OperationError
from asl.deploy.target import Target
from ingestion_assets import Pipeline
from ingestion_assets.pipeline import S3Batches


@dataclass(frozen=True, slots=True)
class Deployed:
    """One pipeline in one account.

    Args:
        pipeline: Its name.
        bucket: Where the trigger's source receives files.
        prefix: Key prefix there, ending in `/`.
        table: Name of the table of files: the tracking table, or the bucket's `workflow_status`.
        machine: The state machine's ARN.
        trigger: What starts executions: `event`, `queue` or `batches` (docs/ingress.md).
        batches: Name of the table of batches; empty without batches.
        files_a_batch: That fill one; 0 without batches.
        max_wait_seconds: After which a batch starts with fewer.
        queue: URL of the queue that S3 tells of files; empty where EventBridge brings them.
        dead_letters: URL of the queue of what could not be handled.
        sweeper: Name of the function that starts what waits.
    """

    pipeline: str
    bucket: str
    prefix: str
    table: str
    machine: str
    trigger: str = "event"
    batches: str = ""
    files_a_batch: int = 0
    max_wait_seconds: int = 0
    queue: str = ""
    dead_letters: str = ""
    sweeper: str = ""


def locate(target: Target, name: str, pipeline: Pipeline) -> Deployed:
    """Find `pipeline` in the stack `name`.

    Raises:
        OperationError: ASL410 when the stack is not deployed, ASL416 when it lacks the pipeline.
    """
    stack.outputs(target, name)  # says so when there is no such stack
    physical = {logical: found for logical, (_, found) in stack.resources(target, name).items()}
    source, trigger = triggers.source_of(pipeline), pipeline.trigger
    batched = isinstance(trigger, S3Batches)
    ids = {
        "bucket": names.bucket_id(source.bucket.name),
        "table": names.tracking_id(pipeline.name) if batched else triggers.runs_table_id(pipeline),
        "machine": names.machine_id(pipeline.name),
        "dead_letters": triggers.dead_letters_id(pipeline),
        "sweeper": names.sweeper_id(pipeline.name),
    }
    if batched:
        ids["batches"] = names.batches_id(pipeline.name)
    if queue := triggers.arrivals_id(pipeline):
        ids["queue"] = queue
    missing = sorted(set(ids.values()) - set(physical))
    if missing:
        raise OperationError(
            "ASL416",
            f"the stack {name!r} holds no {pipeline.name} (no {', '.join(missing)})",
            f"Deploy again: asl deploy --target {target.name}",
        )
    return Deployed(
        pipeline=pipeline.name,
        prefix=source.prefix,
        trigger=triggers.trigger_name(pipeline),
        files_a_batch=trigger.files if isinstance(trigger, S3Batches) else 0,
        max_wait_seconds=trigger.max_wait_seconds if isinstance(trigger, S3Batches) else 0,
        **{role: physical[logical_id] for role, logical_id in ids.items()},
    )
