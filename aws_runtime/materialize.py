"""One asset's step on AWS: resolve the event, fetch, run the step, publish, record.

In: a plan, a checked event and the places of its files. Out: the run record, written to S3 last,
so that a crash anywhere before leaves only what a retry overwrites (docs/guarantees.md).
The Lambda handler and the Glue job both call `materialize`.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from aws_runtime import records, storage
from aws_runtime.engines import InputFile, Limits, WrittenFile, load_engine
from aws_runtime.errors import RejectedFile, TransformError
from aws_runtime.events import MaterializeEvent, S3Object
from aws_runtime.identity import combined_digest, stem
from aws_runtime.plan import AssetPlan
from aws_runtime.records import FileEntry, Places
from aws_runtime.step import StepResult, run_step

_REASON = "reason.json"
_BASENAME_BYTES = 200


class MemoryExhaustedError(Exception):
    """The step needs more memory than the function has; nothing is wrong with the file."""


class DiskExhaustedError(Exception):
    """The step needs more of /tmp than the function has; nothing is wrong with the file."""


class UpstreamError(Exception):
    """The run record of an upstream asset is missing, or is not that of a completed run."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One materialization: what it reads, and the names of what it writes."""

    plan: AssetPlan
    event: MaterializeEvent
    at: Places
    objects: Mapping[str, tuple[S3Object, ...]]
    digest: str
    stem: str


def materialize(
    plan: AssetPlan,
    event: MaterializeEvent,
    at: Places,
    *,
    limits: Callable[[Path], Limits],
    direct: bool = False,
) -> dict[str, Any]:
    """Run one asset's step and return its run record, `completed` or `rejected`.

    Args:
        plan: The asset.
        event: What to ingest.
        at: Where everything goes.
        limits: Called with the work folder.
        direct: The engine reads and writes `s3://` URIs itself (Spark on Glue); otherwise inputs are
            copied to the work folder and outputs are uploaded from it.

    Raises:
        MemoryExhaustedError, DiskExhaustedError: The function is too small for the file.
        AccessDeniedError: The role may not read an input.
        UpstreamError: An upstream asset has not completed.
        RowsNotConserved: Rows were lost or doubled; nothing was published.
        TransformError: The transform raises, or its result is not what the contract needs.
    """
    objects, digest = _resolve(event)
    run = _Run(plan, event, at, objects, digest, stem(event.event_time, digest))
    try:
        with storage.work_folder() as folder:
            record, files = _ingest(run, folder, limits, direct=direct)
    except RejectedFile as error:
        record, files = _reject(run, error), records.files_document((), ())
    storage.put_json(at.files, files)
    storage.put_json(at.record, record)
    return record


def _resolve(event: MaterializeEvent) -> tuple[dict[str, tuple[S3Object, ...]], str]:
    """Return every input's objects, and one digest of where they all came from."""
    objects: dict[str, tuple[S3Object, ...]] = {}
    digests: list[str] = []
    for name, given in event.inputs.items():
        if given.record is None:
            objects[name] = given.objects
            digests += [item.identity.digest for item in given.objects]
        else:
            objects[name], digest = _upstream(given.record)
            digests.append(digest)
    return objects, combined_digest(digests)


def _upstream(uri: str) -> tuple[tuple[S3Object, ...], str]:
    record = storage.get_json(uri)
    if record is None or record["status"] != "completed":
        raise UpstreamError(f"{uri}: the upstream asset has no completed run")
    files = storage.get_json(record["files"])
    if files is None:
        raise UpstreamError(f"{record['files']}: the upstream asset's list of files is missing")
    found = (S3Object(*storage.parse_uri(entry["uri"])) for entry in files["outputs"])
    return tuple(found), record["identity"]


def _ingest(
    run: _Run, folder: Path, limits: Callable[[Path], Limits], *, direct: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    given = _fetch(run, folder, direct=direct)
    destination, quarantine = run.at.destination, run.at.quarantine_rows
    if not direct:
        destination, quarantine = str(folder / "output"), str(folder / "quarantine")
        Path(destination).mkdir()
        Path(quarantine).mkdir()
    with _resources_named(run.plan):
        result = run_step(
            run.plan,
            given,
            destination=destination,
            quarantine=quarantine,
            stem=run.stem,
            limits=limits(folder),
        )
    outputs = _entries(result.files, destination, run.at.destination)
    quarantined = _entries(result.quarantine, quarantine, run.at.quarantine_rows)
    try:
        record = records.completed(
            result, run.plan, run.at, run.digest, outputs=outputs, quarantine=quarantined
        )
    except RejectedFile:
        if direct:  # already written in place, where no reader may take them for accepted rows
            storage.delete_all(entry.uri for entry in (*outputs, *quarantined))
        raise
    _publish(run, result, (*outputs, *quarantined), direct=direct)
    return record, records.files_document(outputs, quarantined)


def _fetch(run: _Run, folder: Path, *, direct: bool) -> dict[str, list[InputFile]]:
    """Return the step's input files, copied to the work folder unless the engine reads S3 itself."""
    described = {name: storage.each(storage.describe, items) for name, items in run.objects.items()}
    if direct:
        return {
            name: [InputFile(_latest(item).identity.uri, item.identity.uri) for item in items]
            for name, items in described.items()
        }
    bound = load_engine(run.plan.engine).CAPABILITIES.max_input_bytes
    storage.check_fits((item for items in described.values() for item in items), folder, bound)
    given: dict[str, list[InputFile]] = {}
    for name, items in described.items():
        inputs = folder / "input" / name
        inputs.mkdir(parents=True)
        given[name] = []
        for position, item in enumerate(items):
            target = inputs / storage.local_name(item, position)
            storage.download(item, target)
            given[name].append(InputFile(str(target), item.identity.uri))
    return given


def _latest(item: S3Object) -> S3Object:
    """Check that the described `item` is what a reader without version ids gets."""
    storage.describe(replace(item, version_id=None))
    return item


def _entries(files: Sequence[WrittenFile], written_to: str, prefix: str) -> tuple[FileEntry, ...]:
    """Return written files by the URI that they have, or will have, in S3."""

    def uri(path: str) -> str:
        if path.startswith("s3://"):
            return path
        return prefix + Path(path).relative_to(written_to).as_posix()

    return tuple(FileEntry(uri(file.path), file.rows, file.partition) for file in files)


def _publish(run: _Run, result: StepResult, entries: Sequence[FileEntry], *, direct: bool) -> None:
    """Upload the step's files and remove those that an earlier attempt at the same input left.

    The manifest always names every file that may exist, so no crash can leave one unknown.
    """
    manifest = f"{run.at.published}{run.digest}.json"
    ours = (run.at.destination, run.at.quarantine_rows)
    earlier = {uri for uri in storage.get_json(manifest) or () if uri.startswith(ours)}
    wanted = {entry.uri for entry in entries}
    storage.put_json(manifest, sorted(earlier | wanted))
    if not direct:
        written = (*result.files, *result.quarantine)
        storage.upload_all([(Path(f.path), e.uri) for f, e in zip(written, entries, strict=True)])
    stale = earlier - wanted
    if stale:
        storage.delete_all(stale)
        storage.put_json(manifest, sorted(wanted))


def _reject(run: _Run, error: RejectedFile) -> dict[str, Any]:
    """Keep the rejected files with the reason beside them; the originals stay where they are."""
    sources = [
        item for given in run.plan.inputs if given.origin == "source" for item in run.objects[given.name]
    ]
    chosen = [item for item in sources if item.identity.uri == error.uri] or sources
    folder = f"{run.at.rejected}{run.stem}/"
    taken = {_REASON}
    kept: list[dict[str, Any]] = []
    for item in chosen:
        name = _basename(item.key)
        if name in taken:
            name = f"{len(taken)}-{name}"
        taken.add(name)
        there = not _unreadable(error, item) and storage.copy(item, folder + name)
        kept.append(
            {
                "bucket": item.bucket,
                "key": item.key,
                "version": item.identity.version,
                "copy": folder + name if there else None,
            }
        )
    reason = {
        "code": error.code,
        "message": error.reason,
        "uri": error.uri,
        "pipeline": run.plan.pipeline,
        "asset": run.plan.asset,
        "execution": run.event.execution,
        "event_time": run.event.event_time.isoformat(),
        "files": kept,
    }
    storage.put_json(folder + _REASON, reason)
    copies = [entry["copy"] for entry in kept if entry["copy"]]
    return records.rejected(error, run.plan, run.at, run.digest, copies)


def _unreadable(error: RejectedFile, item: S3Object) -> bool:
    if error.code == "ObjectReplaced":
        return not item.version_id
    return error.code in {"ObjectDeleted", "ObjectArchived"}


def _basename(key: str) -> str:
    """Return the last part of a key, cut at its front where the copy's key would become too long."""
    name = PurePosixPath(key).name or "object"
    return name.encode("utf-8", "surrogatepass")[-_BASENAME_BYTES:].decode("utf-8", "ignore")


@contextlib.contextmanager
def _resources_named(plan: AssetPlan) -> Iterator[None]:
    """Give exhausted memory and disk, which each engine reports in its own way, one name each."""
    asset = f"{plan.pipeline}/{plan.asset}"
    try:
        yield
    except Exception as error:
        fault = error.__cause__ if isinstance(error, TransformError) else error
        if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryException":
            raise MemoryExhaustedError(
                f"{asset}: out of memory; raise Processor(memory_mb=…) (at most 10,240) "
                f'or use Processor(kind="glue_pyspark"): {error}'
            ) from error
        if getattr(fault, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
            raise DiskExhaustedError(
                f"{asset}: /tmp is full; raise Processor(storage_mb=…) (at most 10,240) "
                f'or use Processor(kind="glue_pyspark"): {error}'
            ) from error
        raise
