"""The front door: a trigger and what arrives -> what a file needs until its machine runs.

The counts follow docs/ingress.md: which items are written how often, and how large they are. An item
costs one write unit for each KB begun, at the larger of its sizes before and after.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor

from asl import front_door
from asl.cost.workload import Workload
from ingestion_assets.pipeline import PipelineCompleted, S3Batches, S3Event, S3Queue, Trigger

#: Messages that one invocation is given at most.
MESSAGES = 10
#: A file's entry in its open batch: digest, key, version, ETag, size, time, sequencer.
ENTRY_BYTES = 230
#: A batch's item without its files.
BATCH_BYTES = 450
KB = 1024
#: Lambda polls a queue with five long polls of twenty seconds, busy or not.
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
IDLE_POLLS_A_MONTH = 5 * 3 * 60 * 730


@dataclass(frozen=True, slots=True)
class Door:
    """How files come to executions.

    Args:
        batch: Files of one execution.
        invocations: Of the front door's function, for each file.
        events: EventBridge's, for each file.
        writes: DynamoDB's write units, for each file, to the end of its execution.
        reads: DynamoDB's read units, for each file.
        manifest: Whether an execution reads a manifest.
    """

    batch: int
    invocations: float = 0.0
    events: float = 0.0
    writes: float = 0.0
    reads: float = 0.0
    manifest: bool = False


def door(trigger: Trigger, workload: Workload) -> Door:
    """Return how a trigger brings files of a workload to executions."""
    if isinstance(trigger, S3Event | PipelineCompleted):
        return Door(batch=1, events=1, writes=TRACKED_WRITES)
    if isinstance(trigger, S3Queue):
        # An orchestrator does not wait for more messages. It looks up the prefixes of their keys: the
        # bucket's root and one folder.
        return Door(batch=1, invocations=1, writes=TRACKED_WRITES, reads=2)
    messages = min(MESSAGES, 1 + floor(workload.a_second * front_door.BUILDER_WINDOW_SECONDS))
    size = batch_size(trigger, workload)
    return Door(
        batch=size,
        invocations=1 / messages,
        writes=batch_writes(size, messages) / size,
        # The date's last batch, and the items of the invocation's own files.
        reads=ceil(item_bytes(size) / (4 * KB)) / messages + 1,
        manifest=True,
    )


def marked(given: Door, files: int) -> Door:
    """Return the door of deliveries of so many files, whose last one, a marker, is all that is tracked."""
    return replace(given, batch=files, events=given.events * (1 + 1 / files), writes=given.writes / files)


#: A file of its own: its item is put (1) and enters the index of live ones (1); it is finished, with its
#: counts and URIs (2), and leaves the index (1).
TRACKED_WRITES = 5


def batch_size(trigger: S3Batches, workload: Workload) -> int:
    """Return how many files are in a batch when it starts: full, or the oldest has waited."""
    full = trigger.files
    if trigger.max_bytes is not None:
        full = min(full, ceil(trigger.max_bytes / workload.size))
    waited = 1 + floor(workload.a_second * trigger.max_wait_seconds)
    return max(1, min(full, waited))


def item_bytes(files: int) -> int:
    """Return the size of a batch's item that holds so many files."""
    return BATCH_BYTES + files * ENTRY_BYTES


def batch_writes(size: int, messages: int) -> int:
    """Return the write units of a batch from its first file to its end.

    Each invocation adds its files to the item, which is then larger; the machine's `processing`
    pays for the item that it empties; `completed` finds it small. The index of live batches has
    small items: one write when the batch opens, one when it ends. Every file gets an item.
    """
    held = [min(size, messages * turn) for turn in range(1, ceil(size / messages) + 1)]
    growing = sum(ceil(item_bytes(files) / KB) for files in held)
    processing = ceil(item_bytes(size) / KB)
    completed, index = 1, 2
    return growing + processing + completed + index + size
