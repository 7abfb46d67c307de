"""What one materialization is made of: units, each a file with what was made from it, run one by one.

In: a checked event. Out: its units. A batch has one for each file of its manifest, unless that says
`together`; anything else is one. So what a file gives never depends on the files that it arrived with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_runtime import storage
from aws_runtime.codec import decode
from aws_runtime.events import MaterializeEvent, S3Object
from aws_runtime.identity import combined_digest, parse_event_time, source_digest, stem

COMPLETED, REJECTED, SUPERSEDED = "completed", "rejected", "superseded"


class UpstreamError(Exception):
    """The run record of an upstream asset is missing, or is not that of a completed run."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One file, or a set of files that are read together.

    Args:
        digest: Its identity.
        source: Digest of its bucket and key, the same for each of its versions.
        event_time: When it arrived.
        sequencer: Orders its versions within one second; empty where nobody told.
        inputs: The objects of each input.
        upstream: For inputs that another asset wrote, the publication that they come from.
        superseded: Whether an upstream asset has found a newer version.
    """

    digest: str
    source: str
    event_time: datetime
    sequencer: str
    inputs: Mapping[str, tuple[S3Object, ...]]
    upstream: Mapping[str, tuple[str, str]]
    superseded: bool = False

    @property
    def stem(self) -> str:
        """Name of everything that is written for it."""
        return stem(self.event_time, self.digest)


@dataclass(frozen=True, slots=True)
class Asked:
    """All units of an event.

    Args:
        units: Of a batch, those that exist for every input.
        batch: Whether the event names a batch, of any number of files.
        identity: Digest of all that was named.
    """

    units: tuple[Unit, ...]
    batch: bool
    identity: str


@dataclass(frozen=True, slots=True)
class _Part:
    """One input's share of a unit."""

    digest: str
    source: str
    event_time: datetime
    sequencer: str
    objects: tuple[S3Object, ...]
    upstream: tuple[str, str] | None = None
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class _Given:
    parts: tuple[_Part, ...]
    batch: bool
    identity: str


@dataclass(frozen=True, slots=True)
class _ManifestFile:
    bucket: str
    key: str
    event_time: str
    version_id: str | None = None
    etag: str | None = None
    size: int | None = None
    sequencer: str | None = None
    partition: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Manifest:
    pipeline: str
    date: str
    batch: int
    bytes: int
    files: tuple[_ManifestFile, ...]
    together: bool = False


def resolve(event: MaterializeEvent) -> Asked:
    """Return the units of `event`.

    Raises:
        ValueError: A manifest is missing or is not as agreed.
        UpstreamError: An upstream asset has not completed.
    """
    given = {
        name: _of_objects(asked.objects, event)
        if asked.objects
        else _of_manifest(asked.manifest, event)
        if asked.manifest
        else _of_record(str(asked.record), event)
        for name, asked in event.inputs.items()
    }
    identity = combined_digest(one.identity for one in given.values())
    batches = {name: one for name, one in given.items() if one.batch}
    alone = {name: one.parts[0] for name, one in given.items() if not one.batch}
    if not batches:
        return Asked((_unit(alone, event.event_time),), batch=False, identity=identity)
    by_digest = [{part.digest: part for part in one.parts} for one in batches.values()]
    shared = [digest for digest in by_digest[0] if all(digest in one for one in by_digest)]
    units = []
    for digest in shared:
        parts = {name: found[digest] for name, found in zip(batches, by_digest, strict=True)}
        file = next(iter(parts.values()))
        units.append(_unit({**parts, **alone}, file.event_time, file.sequencer))
    return Asked(tuple(units), batch=True, identity=identity)


def _unit(parts: Mapping[str, _Part], event_time: datetime, sequencer: str | None = None) -> Unit:
    # Sequencers of different keys cannot be compared.
    told = {part.sequencer for part in parts.values()}
    return Unit(
        digest=combined_digest(part.digest for part in parts.values()),
        source=combined_digest(part.source for part in parts.values()),
        event_time=event_time,
        sequencer=sequencer if sequencer is not None else told.pop() if len(told) == 1 else "",
        inputs={name: part.objects for name, part in parts.items()},
        upstream={name: part.upstream for name, part in parts.items() if part.upstream},
        superseded=any(part.superseded for part in parts.values()),
    )


def _of_objects(objects: Sequence[S3Object], event: MaterializeEvent) -> _Given:
    digest = combined_digest(item.identity.digest for item in objects)
    source = combined_digest(source_digest(item.bucket, item.key) for item in objects)
    sequencer = (objects[0].sequencer or "") if len(objects) == 1 else ""
    part = _Part(digest, source, event.event_time, sequencer, tuple(objects))
    return _Given((part,), batch=False, identity=digest)


def _of_manifest(uri: str, event: MaterializeEvent) -> _Given:
    document = storage.get_json(uri)
    if document is None:
        raise ValueError(f"{uri}: there is no such manifest")
    try:
        manifest = decode(_Manifest, document)
        parts = [_of_file(file) for file in manifest.files]
        if manifest.together:
            return _of_objects([item for part in parts for item in part.objects], event)
        identity = combined_digest(part.digest for part in parts)
    except ValueError as error:
        raise ValueError(f"{uri}: {error}") from None
    return _Given(tuple(parts), batch=True, identity=identity)


def _of_file(file: _ManifestFile) -> _Part:
    item = S3Object(
        file.bucket, file.key, file.version_id, file.etag, file.size, file.sequencer, file.partition
    )
    moment = parse_event_time(file.event_time)
    source = source_digest(file.bucket, file.key)
    return _Part(item.identity.digest, source, moment, file.sequencer or "", (item,))


def _of_record(uri: str, event: MaterializeEvent) -> _Given:
    record = storage.get_json(uri)
    if record is None or record["status"] != COMPLETED:
        raise UpstreamError(f"{uri}: the upstream asset has no completed run")
    files = storage.get_json(record["files"])
    if files is None:
        raise UpstreamError(f"{record['files']}: the upstream asset's list of files is missing")
    batch = "files_in" in record
    written: dict[str, list[S3Object]] = {}
    for entry in files["outputs"]:
        item = S3Object(*storage.parse_uri(entry["uri"]), size=entry.get("bytes"))
        written.setdefault(entry["digest"], []).append(item)
    published = f"{uri.rpartition('/')[0]}/_published/"
    parts = [
        _of_upstream(entry, written, published, event if not batch else None)
        for entry in files["units"]
        if entry["status"] != REJECTED
    ]
    return _Given(tuple(parts), batch, record["identity"])


def _of_upstream(
    entry: Mapping[str, Any],
    written: Mapping[str, Sequence[S3Object]],
    published: str,
    event: MaterializeEvent | None,
) -> _Part:
    moment = parse_event_time(entry["event_time"])
    return _Part(
        digest=entry["digest"],
        source=entry["source"],
        event_time=event.event_time if event else moment,
        sequencer=entry["sequencer"],
        objects=tuple(written.get(entry["digest"], ())),
        upstream=(f"{published}{entry['source']}.json", stem(moment, entry["digest"])),
        superseded=entry["status"] == SUPERSEDED,
    )


def described(unit: Unit, status: str) -> dict[str, Any]:
    """Return what `<execution>.files.json` tells of a unit, for the assets downstream."""
    return {
        "digest": unit.digest,
        "source": unit.source,
        "event_time": unit.event_time.isoformat(),
        "sequencer": unit.sequencer,
        "status": status,
    }
