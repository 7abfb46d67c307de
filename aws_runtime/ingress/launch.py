"""Step 4 of the protocol: a sealed batch -> items of its files, its manifest, its execution.

In: a batch as the table has it. Out: an execution that has started. Everything here repeats without
harm, and the order is the guarantee: an execution exists only after the manifest, the manifest only
after the items.
"""

from __future__ import annotations

from aws_runtime.ingress import executions
from aws_runtime.ingress.aws import Clients, read_items, write_items
from aws_runtime.ingress.batches import Batch, file_items, manifest
from aws_runtime.ingress.settings import BatchSettings


def record_files(clients: Clients, settings: BatchSettings, batch: Batch) -> None:
    """Write the items of a sealed batch's files."""
    write_items(clients.dynamodb, settings.tracking_table, file_items(batch, settings.retention_days))


def settle(clients: Clients, settings: BatchSettings, batch: Batch) -> None:
    """See to it that the files of a sealed batch have their items, before the next batch comes into being.

    They mostly have: whoever sealed the batch writes them at once. Reading costs a fifth of writing.
    """
    if batch.files is None:
        return
    items = file_items(batch, settings.retention_days)
    keys = [{"file_id": item["file_id"]} for item in items]
    there = read_items(clients.dynamodb, settings.tracking_table, keys, only=("file_id",))
    known = {item["file_id"]["S"] for item in there}
    if missing := [item for item in items if item["file_id"]["S"] not in known]:
        write_items(clients.dynamodb, settings.tracking_table, missing)


def launch(
    clients: Clients, settings: BatchSettings, batch: Batch, *, again: bool = False
) -> executions.Started:
    """Do step 4 for a `manifested` batch; one that was sent again has its items and its manifest.

    Args:
        clients: AWS.
        settings: The pipeline's.
        batch: As the table has it.
        again: Whether somebody may have done it before, in part or in whole.

    Raises:
        ClientError: AWS refuses; the next one to meet the batch does this again.
    """
    if batch.files is not None:
        (settle if again else record_files)(clients, settings, batch)
        bucket, _, key = batch.manifest.removeprefix("s3://").partition("/")
        clients.s3.put_object(
            Bucket=bucket, Key=key, Body=manifest(batch, settings.pipeline), ContentType="application/json"
        )
    return start_batch(clients.states, settings.state_machine, batch)


def start_batch(states: object, machine: str, batch: Batch) -> executions.Started:
    """Start the execution of a batch's current attempt."""
    name = executions.batch_execution_name(batch.date, batch.number, batch.attempt)
    return executions.start(states, machine, name, batch_input(batch))


def batch_input(batch: Batch) -> str:
    """Return the input of a batch's execution, the same for each attempt."""
    detail = {
        "manifest": batch.manifest,
        "bucket": batch.bucket,
        "date": batch.date,
        "batch": batch.number,
        "files": batch.count,
        "bytes": batch.bytes,
    }
    return executions.as_json({"time": batch.sealed_at, "detail": detail})
