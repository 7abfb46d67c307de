"""A deployed pipeline -> where its files go in, what runs them and where they are tracked.

In: the declaration and the stack. Nothing is guessed from physical names: the stack's own list of
resources tells them by the logical ids that the compiler gives.
"""

from __future__ import annotations

from dataclasses import dataclass

from asl import names
from asl.deploy import stack
from asl.deploy.errors import OperationError
from asl.deploy.target import Target
from ingestion_assets import Pipeline


@dataclass(frozen=True, slots=True)
class Deployed:
    """One pipeline in one account.

    Args:
        pipeline: Its name.
        bucket: Where the trigger's source receives files.
        prefix: Key prefix there, ending in `/`.
        table: The tracking table's name.
        machine: The state machine's ARN.
    """

    pipeline: str
    bucket: str
    prefix: str
    table: str
    machine: str


def locate(target: Target, name: str, pipeline: Pipeline) -> Deployed:
    """Find `pipeline` in the stack `name`.

    Raises:
        OperationError: ASL410 when the stack is not deployed, ASL416 when it lacks the pipeline.
    """
    stack.outputs(target, name)  # says so when there is no such stack
    physical = {logical: found for logical, (_, found) in stack.resources(target, name).items()}
    source = next(source for source in pipeline.sources if source.name == pipeline.trigger.source)
    ids = {
        "bucket": names.bucket_id(source.bucket.name),
        "table": names.tracking_id(pipeline.name),
        "machine": names.machine_id(pipeline.name),
    }
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
        **{role: physical[logical_id] for role, logical_id in ids.items()},
    )
