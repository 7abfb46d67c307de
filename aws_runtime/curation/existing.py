"""The files of a table that a run's rows meet: found in S3, copied or read in place, named in a document.

In: `event.curation.write` and the asset's plan. Out: what the step does after its rows are written. The
document `existing.json` says which files were read; they are replaced only if they are still all that is
there (`aws_runtime.curation.replacing`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from aws_runtime import storage
from aws_runtime.codec import encode
from aws_runtime.curation import keyed, leases
from aws_runtime.curation.config import ConfigError, WriteMode
from aws_runtime.curation.merging import Keyed, TableDiffers, folder_values, meet, touched
from aws_runtime.engines import Engine, InputFile, WrittenFile
from aws_runtime.errors import RejectedFile, TableChanged
from aws_runtime.events import S3Object, WriteEvent
from aws_runtime.plan import AssetPlan
from aws_runtime.step import Meet, StepResult
from aws_runtime.unit_run import DiskExhaustedError

#: How often the files are listed anew when one is gone before it was read: another run is replacing them.
ATTEMPTS = 3
#: How often a partition is looked at until nobody takes or leaves it meanwhile.
LOOKS = 20


@dataclass(frozen=True, slots=True)
class FilesMerging:
    """How the rows of a run meet those of its table.

    Args:
        plan: The asset; rows without a key are quarantined.
        write: Where the table is.
        how: Mode, keys and time.
    """

    plan: AssetPlan
    write: WriteEvent
    how: Keyed

    def meet(self, folder: Path, destination: str, stem: str, *, direct: bool) -> Meet:
        """Return what makes of the run's files those of the table's partitions, below `destination`.

        Args:
            folder: A work folder, whose inputs have been read.
            destination: Folder, or prefix, of the new files.
            stem: Names them.
            direct: The engine reads and writes `s3://` URIs itself.

        Raises (when called):
            TableChanged: Files of the table vanish while they are read.
            TableDiffers: They cannot be read, or merged with.
            DiskExhaustedError: They are more than the function holds.
            RejectedFile: DuplicateKeys, LateRun.
        """

        def met(engine: Engine, result: StepResult) -> StepResult:
            if not direct:
                shutil.rmtree(folder / "input", ignore_errors=True)  # room for the table's files
            found, files = _read(self, result.files, None if direct else folder / "existing")
            done = meet(
                engine,
                self.plan,
                self.how,
                incoming=result.files,
                existing=files,
                destination=destination,
                scratch=f"{destination.rstrip('/')}-scratch/",
                stem=stem,
            )
            told: dict[str, int | str] = {
                "rows_existing": done.rows_existing,
                "rows_merged": done.rows_merged,
                "rows_staged": done.rows_staged,
                "existing": _named(self.write.existing, found),
            }
            return replace(result, files=done.files, met=told)

        return met


def _named(uri: str, found: Sequence[S3Object]) -> str:
    """Write the document of the files that were read, and return its digest, which the run record carries.

    So a document that another attempt has written since is not taken for this one's.
    """
    files = [encode(item) for item in found]
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
    storage.put_json(uri, {"digest": digest, "files": files})
    return digest


def prepared(write: WriteEvent, plan: AssetPlan, at: datetime) -> FilesMerging:
    """Check how rows meet those of the table.

    Raises:
        ConfigError: They cannot.
    """
    if write.mode not in keyed.KEYED:
        raise ConfigError(f"write_mode: {write.mode!r} needs no rows of the table")
    mode, contract, by = WriteMode(write.mode), plan.output.contract, plan.output.partition_by
    keyed.check(mode, write.keys, contract, by)
    rows = keyed.row_contract(contract, write.keys, by)
    plan = replace(plan, output=replace(plan.output, contract=rows))
    return FilesMerging(plan, write, Keyed(mode, write.keys, at))


def _read(
    merging: FilesMerging, incoming: Sequence[WrittenFile], folder: Path | None
) -> tuple[list[S3Object], list[InputFile]]:
    """Return the table's files in the run's partitions, and where they are read: below `folder`, or in place."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            found = _found(merging, incoming)
            return found, _fetched(merging.plan, found, folder)
        except RejectedFile as error:
            if error.code == "FileTooLarge":
                raise DiskExhaustedError(
                    f"the table's files of the run's partitions: {error.reason}"
                ) from error
            if error.code not in {"ObjectDeleted", "ObjectReplaced"}:
                raise TableDiffers(f"{error.uri}: {error.code}: {error.reason}") from error
            if attempt == ATTEMPTS:
                raise TableChanged(
                    f"{error.uri}: {error.reason}: another run is replacing the partition; start the run again"
                ) from error
    raise AssertionError  # the last attempt returns or raises


def _found(merging: FilesMerging, incoming: Sequence[WrittenFile]) -> list[S3Object]:
    bucket, prefix = storage.parse_uri(merging.write.table)
    partitions = touched(incoming, merging.plan.output.partition_by)
    folders = [(f"{prefix}{folder}", values) for folder, values in partitions.items()]
    runs = f"s3://{bucket}/_runs/{merging.plan.pipeline}/"
    found = storage.each(lambda one: _settled(runs, bucket, *one), folders) if folders else []
    items = [item for one in found for item in one]
    return storage.each(storage.describe, items) if items else []


def _settled(runs: str, bucket: str, prefix: str, partition: dict[str, str]) -> list[S3Object]:
    """Return the files of one partition that are its rows, also where a run is replacing them or has died of it.

    Raises:
        TableChanged: Others take the partition each time that it is looked at.
    """
    folder = f"s3://{bucket}/{prefix}"
    before, _ = leases.hidden(runs, folder)
    for _ in range(LOOKS):
        there = _listed(bucket, prefix, partition)
        after, hidden = leases.hidden(runs, folder)
        if after == before:  # nobody has come or gone while it was listed
            return [item for item in there if f"s3://{bucket}/{item.key}" not in hidden]
        before = after
    raise TableChanged(f"{folder} is being replaced all the time; start the run again")


def _listed(bucket: str, prefix: str, partition: dict[str, str]) -> list[S3Object]:
    """Return the data files of one folder; hidden ones are those of other programs."""
    pages = (
        storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    )
    return [
        S3Object(bucket, entry["Key"], None, entry["ETag"].strip('"'), entry["Size"], partition=partition)
        for page in pages
        for entry in page.get("Contents", ())
        if not entry["Key"].removeprefix(prefix).startswith(("_", ".")) and not entry["Key"].endswith("/")
    ]


def _fetched(plan: AssetPlan, found: Sequence[S3Object], folder: Path | None) -> list[InputFile]:
    def given(path: str, item: S3Object) -> InputFile:
        values = folder_values(item.partition, plan.output.contract, plan.output.partition_by)
        return InputFile(path, item.identity.uri, values)

    if folder is None:
        return [given(item.identity.uri, item) for item in found]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    storage.check_fits(found, storage.room(folder))
    copies = [(item, folder / storage.local_name(item, position)) for position, item in enumerate(found)]
    for item, target in copies:
        storage.download(item, target)
    return [given(str(target), item) for item, target in copies]
