"""One unit of a materialization: fetch its files, run the step, publish what it made.

In: a unit. Out: how it ended: completed, rejected, or superseded by a newer version of its file.
Nothing is published before the whole step has succeeded.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Protocol

from aws_runtime import publication, records, rejection, storage
from aws_runtime.engines import InputFile, WrittenFile, load_engine
from aws_runtime.errors import RejectedFile, TransformError
from aws_runtime.events import MaterializeEvent, S3Object
from aws_runtime.plan import AssetPlan, InputPlan
from aws_runtime.records import FileEntry, Places
from aws_runtime.step import Meet, RunStep, StepResult
from aws_runtime.units import COMPLETED, REJECTED, SUPERSEDED, Unit, UpstreamError

_GONE = frozenset({"ObjectDeleted", "ObjectReplaced"})


class MemoryExhaustedError(Exception):
    """The step needs more memory than the function has; nothing is wrong with the file."""


class DiskExhaustedError(Exception):
    """The step needs more of /tmp than the function has; nothing is wrong with the file."""


class Merging(Protocol):
    """How the rows of a run meet those of its table (`aws_runtime.curation.existing`)."""

    plan: AssetPlan

    def meet(self, folder: Path, destination: str, stem: str, *, direct: bool) -> Meet:
        """Return what makes of the run's files those of the table's partitions, below `destination`."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all units of one materialization share.

    Args:
        plan: The asset.
        event: What was asked.
        at: Where everything goes.
        folder: The work folder.
        room: Bytes of input that it holds.
        step: Runs the plan's step.
        engine: Held while the step runs.
        direct: The engine reads and writes `s3://` URIs itself.
        merging: Where the rows meet those of the table.
    """

    plan: AssetPlan
    event: MaterializeEvent
    at: Places
    folder: Path
    room: int
    step: RunStep
    engine: threading.Semaphore
    direct: bool
    merging: Merging | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a unit ended.

    Args:
        unit: The unit.
        status: `completed`, `rejected` or `superseded`.
        result: What its step counted; of none where no step ran.
        outputs: Files published.
        quarantine: Files of quarantined rows.
        error: Why it was rejected.
        kept: Copies of its rejected files.
    """

    unit: Unit
    status: str
    result: StepResult
    outputs: tuple[FileEntry, ...] = ()
    quarantine: tuple[FileEntry, ...] = ()
    error: RejectedFile | None = None
    kept: tuple[str, ...] = ()


def run_unit(shared: Shared, unit: Unit) -> Outcome:
    """Run one unit; raises what `aws_runtime.materialize.materialize` raises, but no `RejectedFile`."""
    nothing = records.summed((), shared.plan)
    if unit.superseded:
        return Outcome(unit, SUPERSEDED, nothing)
    folder = shared.folder / unit.digest
    folder.mkdir()
    try:
        return _ingest(shared, unit, folder)
    except RejectedFile as error:
        if _replaced_upstream(unit, error):
            return Outcome(unit, SUPERSEDED, nothing)
        sources = [item for given in _sources(shared.plan) for item in unit.inputs[given.name]]
        kept = rejection.keep(
            error,
            sources,
            shared.plan,
            shared.event,
            shared.at,
            stem=unit.stem,
            event_time=unit.event_time.isoformat(),
        )
        if shared.event.curation is not None:
            rejection.refuse(error, sources, shared.event.curation.destination.removesuffix("output/"))
        return Outcome(unit, REJECTED, nothing, error=error, kept=tuple(kept))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_of(unit: Unit, record: str) -> publication.Run:
    """Return the unit as publication records know it."""
    return publication.Run(
        stem=unit.stem,
        identity=unit.digest,
        event_time=unit.event_time.astimezone(UTC).isoformat(timespec="microseconds"),
        sequencer=unit.sequencer,
        record=record,
    )


def _sources(plan: AssetPlan) -> list[InputPlan]:
    return [given for given in plan.inputs if given.origin == "source"]


def _ingest(shared: Shared, unit: Unit, folder: Path) -> Outcome:
    plan, at = shared.plan, shared.at
    given = _fetch(shared, unit, folder)
    if not any(given.values()) and any(unit.inputs.values()):
        return Outcome(unit, COMPLETED, records.summed((), plan))  # nothing but folders' markers
    destination, quarantine = at.destination, at.quarantine_rows
    if not shared.direct:
        destination, quarantine = str(folder / "output"), str(folder / "quarantine")
        Path(destination).mkdir()
        Path(quarantine).mkdir()
    with shared.engine, resources_named(plan, unit):
        result = _stepped(shared, unit, given, folder, (destination, quarantine))
    shutil.rmtree(folder / "input", ignore_errors=True)  # room for the next one meanwhile
    outputs = _entries(result.files, destination, at.destination, unit.digest)
    quarantined = _entries(result.quarantine, quarantine, at.quarantine_rows, unit.digest)
    try:
        records.partitions(plan, at, outputs)
    except RejectedFile:
        if shared.direct:  # already written in place, where no reader may take them for accepted rows
            storage.delete_all(entry.uri for entry in (*outputs, *quarantined))
        raise
    if not _publish(shared, unit, result, (*outputs, *quarantined)):
        return Outcome(unit, SUPERSEDED, result)
    return Outcome(unit, COMPLETED, result, outputs, quarantined)


def _stepped(
    shared: Shared,
    unit: Unit,
    given: dict[str, list[InputFile]],
    folder: Path,
    to: tuple[str, str],
) -> StepResult:
    destination, quarantine = to
    if shared.merging is None:
        return shared.step(given, destination=destination, quarantine=quarantine, stem=unit.stem)
    # The run's own rows go beside the destination, and from there into it with those of the table.
    beside = f"{destination.rstrip('/')}-incoming/"
    meet = shared.merging.meet(folder, destination, unit.stem, direct=shared.direct)
    return shared.step(given, destination=beside, quarantine=quarantine, stem=unit.stem, meet=meet)


def _fetch(shared: Shared, unit: Unit, folder: Path) -> dict[str, list[InputFile]]:
    """Return the step's input files, copied to the work folder unless the engine reads S3 itself."""
    sources = {given.name for given in _sources(shared.plan)}
    if shared.direct:
        return {name: _in_place(items, name in sources) for name, items in unit.inputs.items()}
    wanted = {
        name: [
            item
            for item in storage.each(storage.known if name in sources else storage.sized, items)
            if not item.is_marker
        ]
        for name, items in unit.inputs.items()
    }
    most = load_engine(shared.plan.engine).CAPABILITIES.max_input_bytes
    bound = shared.room if most is None else min(shared.room, most)
    storage.check_fits((item for items in wanted.values() for item in items), bound)
    return {name: _copied(items, folder / "input" / name) for name, items in wanted.items()}


def _copied(items: Sequence[S3Object], folder: Path) -> list[InputFile]:
    folder.mkdir(parents=True)
    copies = [(item, folder / storage.local_name(item, position)) for position, item in enumerate(items)]
    for item, target in copies:
        storage.download(item, target)
    return [InputFile(str(target), item.identity.uri, item.partition) for item, target in copies]


def _in_place(items: Sequence[S3Object], is_source: bool) -> list[InputFile]:
    """Check that each object is what a reader without version ids gets: Spark cannot name a version."""

    def latest(item: S3Object) -> S3Object:
        if is_source and item.version_id and not item.etag:
            item = storage.describe(item)
        return storage.describe(replace(item, version_id=None))

    found = [item for item in storage.each(latest, items) if not item.is_marker]
    return [InputFile(item.identity.uri, item.identity.uri, item.partition) for item in found]


def _entries(
    files: Sequence[WrittenFile], written_to: str, prefix: str, digest: str
) -> tuple[FileEntry, ...]:
    """Return written files by the URI that they have, or will have, in S3."""

    def entry(file: WrittenFile) -> FileEntry:
        if file.path.startswith("s3://"):
            return FileEntry(file.path, file.rows, file.partition, digest)
        path = Path(file.path)
        uri = prefix + path.relative_to(written_to).as_posix()
        return FileEntry(uri, file.rows, file.partition, digest, path.stat().st_size)

    return tuple(entry(file) for file in files)


def _publish(shared: Shared, unit: Unit, result: StepResult, entries: Sequence[FileEntry]) -> bool:
    def upload() -> None:
        written = (*result.files, *result.quarantine)
        storage.upload_all([(Path(f.path), e.uri) for f, e in zip(written, entries, strict=True)])

    return publication.publish(
        publication.Place(
            f"{shared.at.published}{unit.source}.json", (shared.at.destination, shared.at.quarantine_rows)
        ),
        run_of(unit, shared.at.record),
        [entry.uri for entry in entries],
        None if shared.direct else upload,
    )


def _replaced_upstream(unit: Unit, error: RejectedFile) -> bool:
    """Whether the file that is gone was an upstream asset's, which a newer version has replaced since."""
    owners = [
        place
        for name, place in unit.upstream.items()
        if error.uri in {item.identity.uri for item in unit.inputs[name]}
    ]
    if error.code not in _GONE or not owners:
        return False
    if any(publication.is_replaced(uri, stem) for uri, stem in owners):
        return True
    raise UpstreamError(f"{error.uri}: the upstream asset's file is gone") from error


@contextlib.contextmanager
def resources_named(plan: AssetPlan, unit: Unit) -> Iterator[None]:
    """Give exhausted memory and disk, which each engine reports in its own way, one name each."""
    read = next((item.identity.uri for items in unit.inputs.values() for item in items), "no file")
    what = f"{plan.pipeline}/{plan.asset}, reading {read}"
    try:
        yield
    except Exception as error:
        fault = error.__cause__ if isinstance(error, TransformError) else error
        if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryException":
            raise MemoryExhaustedError(
                f"{what}: out of memory; raise Processor(memory_mb=…) (at most 10,240) "
                f'or use Processor(kind="glue_pyspark"): {error}'
            ) from error
        if getattr(fault, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
            raise DiskExhaustedError(
                f"{what}: /tmp is full; raise Processor(storage_mb=…) (at most 10,240) "
                f'or use Processor(kind="glue_pyspark"): {error}'
            ) from error
        raise
