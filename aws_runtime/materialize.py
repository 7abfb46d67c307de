"""One asset's step on AWS: resolve the event into units, run each, record what they did.

In: a plan, a checked event and the places of its files. Out: the run record, written to S3 last,
so that a crash anywhere before leaves only what a retry overwrites (docs/guarantees.md).
The Lambda handler and the Glue job both call `materialize`.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from aws_runtime import publication, records, storage
from aws_runtime.engines import Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.events import MaterializeEvent
from aws_runtime.plan import AssetPlan
from aws_runtime.records import Batch, Places
from aws_runtime.step import Before, open_steps
from aws_runtime.unit_run import (
    DiskExhaustedError,
    MemoryExhaustedError,
    Merging,
    Outcome,
    Shared,
    run_of,
    run_unit,
)
from aws_runtime.units import SUPERSEDED, Asked, Unit, UpstreamError, described, resolve
from aws_runtime.work import work_folder

#: Units that are fetched or published while others run.
AHEAD = 2
#: Input of units that are under way at once; a larger unit runs alone, with the whole disk to itself.
FLIGHT_BYTES = 64 * 1024 * 1024


class BatchTooWideError(Exception):
    """The files of a batch have more partitions together than one run can register."""


def materialize(
    plan: AssetPlan,
    event: MaterializeEvent,
    at: Places,
    *,
    limits: Callable[[Path], Limits],
    direct: bool = False,
    parallel: int = 1,
) -> dict[str, Any]:
    """Run one asset's step and return its run record, `completed` or `rejected`.

    Args:
        plan: The asset.
        event: What to ingest.
        at: Where everything goes.
        limits: Called with the work folder.
        direct: The engine reads and writes `s3://` URIs itself (Spark on Glue); otherwise inputs are
            copied to the work folder and outputs are uploaded from it.
        parallel: Steps of a batch's files that the engine runs at once.

    Raises:
        MemoryExhaustedError, DiskExhaustedError: The function is too small for the file.
        AccessDeniedError: The role may not read an input.
        UpstreamError: An upstream asset has not completed.
        BatchTooWideError: A batch has too many partitions.
        RowsNotConserved: Rows were lost or doubled; nothing of that file was published.
        TransformError: The transform raises, or its result is not what the contract needs.
        TableDiffers, TableChanged: Rows cannot meet those of the table (aws_runtime.curation.merging).
        ValueError: A manifest is missing or is not as agreed; of class `ConfigError`, when a built-in
            step of the configuration is impossible.
    """
    before, merging = _built_in(event), _merging(event, plan)
    if merging is not None:
        plan = merging.plan
    if event.curation:
        at, plan = replace(at, destination=event.curation.destination), _filling(plan)
    asked = resolve(event)
    if merging is not None and len(asked.units) != 1:
        raise ValueError("curation.write: the files of a run are merged together; their manifest must say so")
    with work_folder() as folder, open_steps(plan, limits(folder), before) as step:
        engine = threading.Semaphore(parallel)
        shared = Shared(plan, event, at, folder, storage.room(folder), step, engine, direct, merging)
        outcomes = _run_all(shared, asked.units, parallel + AHEAD)
    record = _record(asked, outcomes, plan, at)
    files = records.files_document(
        [entry for one in outcomes for entry in one.outputs],
        [entry for one in outcomes for entry in one.quarantine],
        [described(one.unit, one.status) for one in outcomes],
    )
    storage.put_json(at.files, files)
    storage.put_json(at.record, record)
    return record


def _built_in(event: MaterializeEvent) -> Before | None:
    """Return the configuration's built-in steps as one function, or none where there are none."""
    if event.curation is None or not event.curation.steps:
        return None
    # By name, as an engine is, because only bundles of curated pipelines hold it and what it imports.
    prepared: Before = importlib.import_module("aws_runtime.curation.built_in").prepared(event.curation.steps)
    return prepared


def _filling(plan: AssetPlan) -> AssetPlan:
    """Let files lack columns that may be null: validation has judged them by the run's drift policy."""
    return replace(
        plan,
        inputs=tuple(
            replace(
                given,
                contract=replace(
                    given.contract,
                    columns=tuple(
                        replace(c, required=c.required and not c.nullable) for c in given.contract.columns
                    ),
                ),
            )
            for given in plan.inputs
        ),
    )


def _merging(event: MaterializeEvent, plan: AssetPlan) -> Merging | None:
    """Return how the run's rows meet those of the table, where they do."""
    if event.curation is None or event.curation.write is None:
        return None
    # By name: see above.
    made: Merging = importlib.import_module("aws_runtime.curation.built_in").merging(
        event.curation.write, plan, event.event_time
    )
    return made


def _record(asked: Asked, outcomes: Sequence[Outcome], plan: AssetPlan, at: Places) -> dict[str, Any]:
    rejected = {one.unit.digest: one.error for one in outcomes if one.error is not None}
    kept = [uri for one in outcomes for uri in one.kept]
    if not asked.batch and outcomes[0].error is not None:
        return records.rejected(outcomes[0].error, plan, at, asked.identity, kept)
    superseded = sum(one.status == SUPERSEDED for one in outcomes)
    try:
        record = records.completed(
            records.summed((one.result for one in outcomes), plan),
            plan,
            at,
            asked.identity,
            outputs=[entry for one in outcomes for entry in one.outputs],
            quarantine=[*(entry.uri for one in outcomes for entry in one.quarantine), *kept],
            batch=Batch(len(outcomes), superseded, rejected) if asked.batch else None,
        )
    except RejectedFile as error:
        raise BatchTooWideError(f"{error.reason}: batches of fewer files, S3Batches(files=…)") from error
    return record if asked.batch or not superseded else {**record, "superseded": True}


def _run_all(shared: Shared, units: Sequence[Unit], workers: int) -> list[Outcome]:
    """Run every unit, several at a time: one waits for S3 while another one has the engine.

    Versions of one key run one after the other, the newest first, so that the older ones find it
    published and publish nothing.
    """
    if len(units) == 1:
        return [run_unit(shared, units[0])]
    flight, failed = _Flight(FLIGHT_BYTES), threading.Event()
    outcomes: dict[str, Outcome] = {}

    def run_versions(versions: Sequence[Unit]) -> None:
        for unit in versions:
            if failed.is_set():
                return
            try:
                with flight.of(_size(unit)):
                    outcomes[unit.digest] = run_unit(shared, unit)
            except BaseException:
                failed.set()
                raise

    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(run_versions, versions) for versions in _by_source(units).values()]
        for one in running:
            one.result()
    return [outcomes[unit.digest] for unit in units]


def _by_source(units: Sequence[Unit]) -> Mapping[str, list[Unit]]:
    newest_first = sorted(units, key=lambda unit: publication.order(run_of(unit, "")), reverse=True)
    found: dict[str, list[Unit]] = {unit.source: [] for unit in units}
    for unit in newest_first:
        found[unit.source].append(unit)
    return found


def _size(unit: Unit) -> int:
    """Return the input's bytes; what nobody told is taken for large."""
    sizes = [item.size for items in unit.inputs.values() for item in items]
    return sum(FLIGHT_BYTES if size is None else size for size in sizes)


class _Flight:
    """Bounds the bytes of the units under way; one that is larger than the bound flies alone."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, size: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: not self.used or self.used + size <= self.most)
            self.used += size
        try:
            yield
        finally:
            with self.changed:
                self.used -= size
                self.changed.notify_all()


__all__ = [
    "BatchTooWideError",
    "DiskExhaustedError",
    "MemoryExhaustedError",
    "UpstreamError",
    "materialize",
]
