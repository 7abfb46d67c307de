"""What one materialization is asked to do: the event of the Lambda handler and of the Glue job.

In: the event's JSON and the asset's plan. Out: a checked `MaterializeEvent`, or a `ValueError`
that names the path, as in `inputs.orders.objects[0].key`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_runtime.codec import decode
from aws_runtime.identity import FileIdentity, parse_event_time
from aws_runtime.plan import AssetPlan

# Names of executions: up to 80 characters, none of them special in a key or a URI.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_EXECUTION = re.compile(r"[^\s\x00-\x1f\x7f-\x9f/\\?*<>{}\[\]\"#%^|~`$&,;:]{1,80}")


@dataclass(frozen=True, slots=True)
class S3Object:
    """One object as an event names it; what the event does not say is None.

    `sequencer` orders the versions of a key that were written within one second. `partition` holds the
    values of the folders that the file lies in, which become columns of its rows.
    """

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    size: int | None = None
    sequencer: str | None = None
    partition: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def identity(self) -> FileIdentity:
        """Its version id, or else its ETag, tells it from another object of the same key.

        The version `null` of a bucket without versions is overwritten in place, so it identifies nothing.
        """
        version = self.version_id if self.version_id != "null" else None
        return FileIdentity(self.bucket, self.key, version or (self.etag or "").strip('"'))

    @property
    def is_marker(self) -> bool:
        """Whether it is the empty object that the console makes for a folder: no file at all."""
        return self.key.endswith("/") and self.size == 0


@dataclass(frozen=True, slots=True)
class InputEvent:
    """Where one input is.

    Args:
        objects: S3 objects, which are read together.
        record: URI of the run record of the upstream asset that wrote it.
        manifest: URI of a batch's manifest (docs/ingress.md), whose files are read one by one, or
            together where it says so.
    """

    objects: tuple[S3Object, ...] = ()
    record: str | None = None
    manifest: str | None = None


@dataclass(frozen=True, slots=True)
class WriteEvent:
    """How the rows of a run meet those of the table; only where they have keys.

    Args:
        mode: `merge` or `scd2`.
        keys: Columns that identify a row.
        table: S3 prefix of the curated files, ending in `/`.
        existing: URI of the document that will name the files that were read of it.
    """

    mode: str
    keys: tuple[str, ...]
    table: str
    existing: str


@dataclass(frozen=True, slots=True)
class CurationEvent:
    """What a configured run says beside (docs/curation.md).

    Args:
        destination: S3 prefix of its Parquet files, ending in `/`, in place of the function's own.
        steps: Built-in steps of the configuration, which run before the transform.
        write: Of runs that merge their rows into files.
    """

    destination: str
    steps: tuple[Mapping[str, Any], ...] = ()
    write: WriteEvent | None = None


@dataclass(frozen=True, slots=True)
class MaterializeEvent:
    """One asset's step in one execution.

    Args:
        execution: Name of the execution.
        event_time: When the file arrived.
        inputs: By input name, exactly those of the plan.
        curation: Of a configured run only.
    """

    execution: str
    event_time: datetime
    inputs: Mapping[str, InputEvent]
    curation: CurationEvent | None = None


@dataclass(frozen=True, slots=True)
class _Raw:
    execution: str
    event_time: str
    inputs: Mapping[str, InputEvent]
    curation: CurationEvent | None = None


def parse_event(data: Any, plan: AssetPlan) -> MaterializeEvent:
    """Check an event against the plan.

    Raises:
        ValueError: Naming the path of the fault.
    """
    raw = decode(_Raw, data)
    if not _EXECUTION.fullmatch(raw.execution):
        raise ValueError(f"execution: {raw.execution!r} is not an execution's name")
    expected = {given.name for given in plan.inputs}
    if set(raw.inputs) != expected:
        raise ValueError(f"inputs: expected {sorted(expected)}, got {sorted(raw.inputs)}")
    for name, given in raw.inputs.items():
        if sum(map(bool, (given.objects, given.record, given.manifest))) != 1:
            raise ValueError(f"inputs.{name}: expected either objects, a record or a manifest")
        for position, item in enumerate(given.objects):
            if not item.bucket or not item.key:
                raise ValueError(f"inputs.{name}.objects[{position}]: a bucket and a key are needed")
    try:
        moment = parse_event_time(raw.event_time)
    except ValueError as error:
        raise ValueError(f"event_time: {error}") from None
    if raw.curation is not None:
        _check_curation(raw.curation, plan)
    return MaterializeEvent(raw.execution, moment, raw.inputs, raw.curation)


def _check_curation(asked: CurationEvent, plan: AssetPlan) -> None:
    if not re.fullmatch(r"s3://[^/]+/(.+/)?", asked.destination):
        raise ValueError(f"curation.destination: {asked.destination!r} is no s3:// prefix that ends in /")
    if asked.write is not None and not re.fullmatch(r"s3://[^/]+/(.+/)?", asked.write.table):
        raise ValueError(f"curation.write.table: {asked.write.table!r} is no s3:// prefix that ends in /")
    if asked.steps and len(plan.inputs) != 1:
        raise ValueError(f"curation.steps: {plan.asset} has {len(plan.inputs)} inputs; steps run on one")
