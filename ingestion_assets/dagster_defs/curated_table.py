"""The curated files of one asset on this machine, and the record of the runs that made them.

In: staged files and how they meet those that are there. Out: the files of `<root>/<bucket>/<prefix>`, replaced
so that a run that is killed in between leaves nothing that the next one does not remove. On a laptop landed
files stay where they are, so the record says which of them the table holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from aws_runtime.codec import decode, encode
from aws_runtime.contract import Contract
from aws_runtime.curation.config import OutputFormat, WriteMode
from aws_runtime.curation.convert import encoded
from ingestion_assets.dagster_defs.local_files import write_json
from ingestion_assets.dagster_defs.sites import LandedFile


@dataclass(frozen=True, slots=True)
class Made:
    """What one run made.

    Args:
        inputs: Version of each landed file, by key.
        outputs: Rows of each curated file that is still there, by path below the root.
        quarantine: Its files of quarantined rows, likewise.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)
    quarantine: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a table.

    Args:
        runs: In the order that they were published.
        pending: Files that a run under way writes or removes, below the root.
        last: What the last run did, for those who ask later.
    """

    runs: tuple[Made, ...] = ()
    pending: tuple[str, ...] = ()
    last: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Staged:
    """A staged Parquet file: where it is, its path below the table, and its rows."""

    path: Path
    below: str
    rows: int


@dataclass(frozen=True, slots=True)
class Publication:
    """What one run publishes.

    Args:
        staged: All of its files; none where they went into a Delta table.
        quarantine: Staged files of quarantined rows.
        taken: The landed files that it was made from.
        landed: All landed files.
        only_new: Whether it takes new files only, so that no earlier run is made again.
        mode: How its rows meet those that are there.
        form: Of the curated files.
        contract: Of the rows.
        last: What to remember of it.
    """

    staged: Sequence[Staged]
    quarantine: Sequence[Path]
    taken: Sequence[LandedFile]
    landed: Sequence[LandedFile]
    only_new: bool
    mode: WriteMode
    form: OutputFormat
    contract: Contract
    last: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One asset's files.

    Args:
        root: The folder that stands for S3.
        folder: Of the curated files.
        quarantine: Of quarantined rows.
        at: The record.
    """

    root: Path
    folder: Path
    quarantine: Path
    at: Path

    def record(self) -> Record:
        """Read the record; removes what a run that was killed has left."""
        if not self.at.exists():
            return Record()
        found = decode(Record, json.loads(self.at.read_text(encoding="utf-8")))
        self._remove(found)
        return replace(found, pending=())

    def taken(self, landed: Sequence[LandedFile], mode: WriteMode, *, only_new: bool) -> list[LandedFile]:
        """Return the landed files that a run takes: those whose rows it would not double."""
        keys = {file.key for file in landed}
        held: dict[str, str] = {}
        for run in self.record().runs:
            if only_new or (mode is WriteMode.APPEND and not run.inputs.keys() <= keys):
                held |= run.inputs
        return [file for file in landed if held.get(file.key) != file.version]

    def publish(self, run: Publication) -> tuple[list[str], list[str]]:
        """Publish what a run staged; returns the paths of its curated files, and of its quarantined rows."""
        record = self.record()
        targets = {self._target(file, run.form): file for file in run.staged}
        rows = {self.quarantine / path.name: path for path in run.quarantine}
        self._write(replace(record, pending=tuple(map(self._below, (*targets, *rows)))))
        for target, file in targets.items():
            _place(file.path, target, run.form, run.contract)
        for target, path in rows.items():
            _place(path, target, OutputFormat.PARQUET, run.contract)
        made = Made(
            {file.key: file.version for file in run.taken},
            {self._below(target): file.rows for target, file in targets.items()},
            tuple(map(self._below, rows)),
        )
        others, gone = self._others(record, run, list(targets))
        new = {*made.outputs, *made.quarantine}
        record = Record((*others, made), tuple(sorted(gone - new)), run.last)
        self._write(record)
        self._remove(record)
        self._write(replace(record, pending=()))
        return sorted(path.as_posix() for path in targets), sorted(path.as_posix() for path in rows)

    def _others(
        self, record: Record, run: Publication, targets: Sequence[Path]
    ) -> tuple[list[Made], set[str]]:
        """Return what stays of earlier runs, and the files that go."""
        keys = {file.key for file in run.landed}
        again = [made for made in record.runs if not run.only_new and made.inputs.keys() <= keys]
        gone = {path for made in again for path in made.quarantine}
        if run.mode is WriteMode.APPEND:
            gone |= {path for made in again for path in made.outputs}
            return [made for made in record.runs if made not in again], gone
        folders = {target.parent for target in targets}
        there = {self._below(path) for folder in folders for path in folder.iterdir() if _is_data(path)}
        left = [
            replace(
                made,
                outputs={path: rows for path, rows in made.outputs.items() if path not in there},
                quarantine=() if made in again else made.quarantine,
            )
            for made in record.runs
        ]
        return left, gone | there

    def _target(self, file: Staged, form: OutputFormat) -> Path:
        if form is OutputFormat.PARQUET:
            return self.folder / file.below
        stem = file.below.removesuffix(".parquet").rpartition(".")[0]
        return self.folder / f"{stem}.{form}"

    def _below(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _write(self, record: Record) -> None:
        write_json(self.at, encode(record))

    def _remove(self, record: Record) -> None:
        known = {path for run in record.runs for path in (*run.outputs, *run.quarantine)}
        for path in record.pending:
            if path not in known:
                (self.root / path).unlink(missing_ok=True)


def holds_plain_files(folder: Path) -> bool:
    """Whether curated files lie below a folder that is no Delta table."""
    there = not (folder / "_delta_log").exists() and folder.exists()
    return there and any(_is_data(path) for path in folder.rglob("*"))


def _place(source: Path, target: Path, form: OutputFormat, contract: Contract) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if form is OutputFormat.PARQUET:
        source.replace(target)
        return
    part = target.with_name(f"_{target.name}.part")
    with pq.ParquetFile(source) as file, part.open("wb") as out:
        there = set(file.schema_arrow.names)
        names = [column.name for column in contract.columns if column.name in there]
        out.writelines(encoded(file, names, form))
    part.replace(target)


def _is_data(path: Path) -> bool:
    """Whether a file is one of the table's; hidden ones are those of other programs."""
    return path.is_file() and not path.name.startswith(("_", "."))
