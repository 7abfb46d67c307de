"""What the functions of the front door are told by their environment, as frozen values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from aws_runtime.ingress.batches import Bounds

Trigger = Literal["event", "queue", "batches"]


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Of one pipeline's manifest builder, and of the sweeper beside it.

    Args:
        pipeline: Its name.
        tracking_table: One item a file of a sealed batch.
        batches_table: One item a batch.
        state_machine: ARN.
        prefix: Of the source's keys.
        suffixes: Of the source's keys; empty for any.
        manifests: S3 URI in the source's bucket, ending in `/`.
        bounds: When a batch is full.
        retention_days: Of items.
    """

    pipeline: str
    tracking_table: str
    batches_table: str
    state_machine: str
    prefix: str
    suffixes: tuple[str, ...]
    manifests: str
    bounds: Bounds
    retention_days: int

    @property
    def bucket(self) -> str:
        """The source's bucket, which the manifests share."""
        return self.manifests.removeprefix("s3://").partition("/")[0]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> BatchSettings:
        """Read a function's environment.

        Raises:
            KeyError: A variable is missing.
            ValueError: One is not as agreed.
        """
        if not environ["MANIFESTS"].startswith("s3://") or not environ["MANIFESTS"].endswith("/"):
            raise ValueError(f"MANIFESTS: {environ['MANIFESTS']!r} is not s3://bucket/prefix/")
        return cls(
            pipeline=environ["PIPELINE"],
            tracking_table=environ["TRACKING_TABLE"],
            batches_table=environ["BATCHES_TABLE"],
            state_machine=environ["STATE_MACHINE"],
            prefix=environ["PREFIX"],
            suffixes=tuple(json.loads(environ["SUFFIXES"])),
            manifests=environ["MANIFESTS"],
            bounds=Bounds(
                files=int(environ["BATCH_FILES"]),
                bytes=int(environ["BATCH_BYTES"]) if environ["BATCH_BYTES"] else None,
                wait=timedelta(seconds=int(environ["MAX_WAIT_SECONDS"])),
            ),
            retention_days=int(environ["RETENTION_DAYS"]),
        )


@dataclass(frozen=True, slots=True)
class OrchestratorSettings:
    """Of one bucket's orchestrator.

    Args:
        metadata_table: Key prefix -> state machine.
        status_table: One item a file.
        retention_days: Of items.
    """

    metadata_table: str
    status_table: str
    retention_days: int

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> OrchestratorSettings:
        """Read a function's environment; raises as `BatchSettings.read`."""
        return cls(environ["METADATA_TABLE"], environ["STATUS_TABLE"], int(environ["RETENTION_DAYS"]))


@dataclass(frozen=True, slots=True)
class SweeperSettings:
    """Of one pipeline's sweeper.

    Args:
        pipeline: Its name.
        trigger: How its executions start.
        status_table: With the index `live`: the tracking table, `workflow_status` or the batches table.
        state_machine: ARN.
        topic: ARN of the topic that is told of failures.
        batches: Of a pipeline of batches.
    """

    pipeline: str
    trigger: Trigger
    status_table: str
    state_machine: str
    topic: str
    batches: BatchSettings | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> SweeperSettings:
        """Read a function's environment; raises as `BatchSettings.read`."""
        named: dict[str, Trigger] = {"event": "event", "queue": "queue", "batches": "batches"}
        trigger = named.get(environ["TRIGGER"])
        if trigger is None:
            raise ValueError(f"TRIGGER: {environ['TRIGGER']!r} is none of {', '.join(named)}")
        batches = BatchSettings.read(environ) if trigger == "batches" else None
        return cls(
            pipeline=environ["PIPELINE"],
            trigger=trigger,
            status_table=batches.batches_table if batches else environ["STATUS_TABLE"],
            state_machine=environ["STATE_MACHINE"],
            topic=environ["TOPIC"],
            batches=batches,
        )
