"""Where data lies: folders of this machine, laid out as S3 is.

In: a source's landed files. Out: Parquet, quarantine and a run record for each landed file,
`data/<bucket>/<key>` standing for `s3://<bucket>/<key>`. The step itself is `aws_runtime.step`,
the one that Lambda and Glue run.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.identity import FileIdentity, stem
from aws_runtime.plan import AssetPlan
from aws_runtime.step import StepResult, run_step
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.dagster_defs.local_files import keep_copy, move, staging_folder, write_json
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.plan import asset_plan

#: Of one step; as many steps run side by side as there are workers.
STEP_MEMORY_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LandedFile:
    """A file below a source's prefix.

    Args:
        source: Name of the source.
        bucket: Logical bucket.
        key: Key in it.
        version: What changes when the content does: version id, ETag, or size and time of change.
        modified: When it landed.
        uri: As a person would open it.
        partition: Values of the folders that it lies in, where they become columns.
        members: Of several files that are read together, each.
    """

    source: str
    bucket: str
    key: str
    version: str
    modified: datetime
    uri: str
    partition: Mapping[str, str] = field(default_factory=dict, hash=False)
    members: tuple[LandedFile, ...] = ()

    @property
    def identity(self) -> FileIdentity:
        """Of the key alone: a file that is replaced replaces its own rows."""
        return FileIdentity(self.bucket, self.key)

    @property
    def files(self) -> tuple[LandedFile, ...]:
        """The files that it stands for, which is itself where it has no members."""
        return self.members or (self,)


@dataclass(frozen=True, slots=True)
class Task:
    """One asset over one landed file.

    Args:
        pipeline: The pipeline.
        asset: The asset.
        plan: Its lowered plan.
        file: The landed file that starts an execution.
        beside: Files of the pipeline's other sources, by source name.
    """

    pipeline: Pipeline
    asset: IngestionAsset
    plan: AssetPlan
    file: LandedFile
    beside: Mapping[str, Sequence[LandedFile]]

    def plan_of(self, asset: IngestionAsset) -> AssetPlan:
        """Lower another asset of the same pipeline."""
        return asset_plan(self.pipeline, asset)


class UpstreamMissingError(Exception):
    """An asset is asked for before the asset that it reads."""

    def __init__(self, task: Task, upstream: IngestionAsset) -> None:
        super().__init__(
            f"{task.pipeline.name}/{task.asset.name} reads {upstream.name}, which has not been "
            f"materialized from {task.file.uri}; materialize {upstream.name} first"
        )


class _UpstreamRejectedError(RejectedFile):
    """The landed file was rejected by an asset before this one, which keeps the copy."""


class Site(Protocol):
    """A place where sources land and assets are written."""

    def files(self, source: str, bucket: str, prefix: str) -> list[LandedFile]:
        """Return the files below a prefix, by key."""

    def materialize(self, task: Task) -> dict[str, Any]:
        """Run one step and return its run record."""

    def row_count(self, pipeline: Pipeline, asset: IngestionAsset) -> int | None:
        """Return the rows of the whole table, where that is cheap to know."""

    def open(self, uri: str) -> BinaryIO:
        """Open a file that a step wrote."""

    def uri(self, bucket: str, prefix: str) -> str:
        """Return where a prefix lies."""


@dataclass(frozen=True, slots=True)
class LocalSite:
    """`<root>/<bucket>/<key>` on this machine.

    Args:
        root: The folder that stands for S3.
        threads: Of one step.
    """

    root: Path
    threads: int = 1

    def uri(self, bucket: str, prefix: str) -> str:
        """Return the folder, relative where the root is."""
        return (self.root / bucket / prefix).as_posix()

    def files(self, source: str, bucket: str, prefix: str) -> list[LandedFile]:
        """Return every file below the prefix, by key; hidden files and `_`-folders are not data."""
        base = self.root / bucket
        found = []
        for path in sorted((base / prefix).rglob("*")):
            parts = path.relative_to(base / prefix).parts
            if not path.is_file() or any(part.startswith((".", "_")) for part in parts):
                continue
            stat = path.stat()
            found.append(
                LandedFile(
                    source=source,
                    bucket=bucket,
                    key=path.relative_to(base).as_posix(),
                    version=f"{stat.st_size}-{stat.st_mtime_ns}",
                    modified=datetime.fromtimestamp(stat.st_mtime, UTC),
                    uri=path.as_posix(),
                )
            )
        return found

    def row_count(self, pipeline: Pipeline, asset: IngestionAsset) -> int | None:
        """Add up the run records of `asset`."""
        return sum(int(record["rows_out"]) for record in self.records(pipeline, asset))

    def records(self, pipeline: Pipeline, asset: IngestionAsset) -> Iterator[dict[str, Any]]:
        """Yield the run record of every file that `asset` was ever made from."""
        folder = self._record(pipeline, asset, "").parent
        for path in sorted(folder.glob("*.json")):
            yield json.loads(path.read_text())

    def forget(self, pipeline: Pipeline, asset: IngestionAsset, landed: Collection[str]) -> None:
        """Remove what was made of files, by URI, that are not there any more."""
        folder = self._record(pipeline, asset, "").parent
        for path in sorted(folder.glob("*.json")):
            record = json.loads(path.read_text())
            if record["source"]["uri"] not in landed:
                for made in (*record["outputs"], *record["quarantine"]):
                    Path(made).unlink(missing_ok=True)
                path.unlink()

    def open(self, uri: str) -> BinaryIO:
        """Open a file by its path."""
        return Path(uri).open("rb")

    def materialize(self, task: Task) -> dict[str, Any]:
        """Run the step into a staging folder, publish its files, then remove what it no longer makes.

        The record is written before the old files go: a run that is killed between the two
        leaves a record that still names them, so the next run removes them.
        """
        record_path = self._record(task.pipeline, task.asset, task.file.identity.digest)
        before = json.loads(record_path.read_text()) if record_path.exists() else {}
        name = stem(task.file.modified, task.file.identity.digest)
        with staging_folder(self.root) as staging:
            try:
                result = run_step(
                    task.plan,
                    self._inputs(task),
                    destination=str(staging / "out"),
                    quarantine=str(staging / "quarantine"),
                    stem=name,
                    limits=Limits(STEP_MEMORY_BYTES, self.threads, str(staging / "spill")),
                )
            except RejectedFile as error:
                record = self._reject(task, error, name)
            else:
                record = self._publish(task, result, staging)
        old = {*before.get("outputs", ()), *before.get("quarantine", ()), *before.get("superseded", ())}
        superseded = sorted(old - {*record["outputs"], *record["quarantine"]})
        write_json(record_path, {**record, "superseded": superseded})
        for path in superseded:
            Path(path).unlink(missing_ok=True)
        if superseded:
            write_json(record_path, record)
        return record

    def _inputs(self, task: Task) -> dict[str, list[InputFile]]:
        assets = {asset.name: asset for asset in task.pipeline.assets}
        inputs = {}
        for parameter, name in task.asset.inputs.items():
            if name in assets:
                record = self._upstream(task, assets[name])
                inputs[parameter] = [InputFile(path, path) for path in record["outputs"]]
            else:
                landed = [task.file] if name == task.file.source else task.beside[name]
                inputs[parameter] = [
                    InputFile(str(self.root / file.bucket / file.key), file.uri, file.partition)
                    for given in landed
                    for file in given.files
                ]
        return inputs

    def _upstream(self, task: Task, upstream: IngestionAsset) -> dict[str, Any]:
        path = self._record(task.pipeline, upstream, task.file.identity.digest)
        if not path.exists():
            raise UpstreamMissingError(task, upstream)
        record: dict[str, Any] = json.loads(path.read_text())
        if record["status"] == "rejected":
            reason = record["reason"]
            raise _UpstreamRejectedError(
                reason["code"], f"{upstream.name}: {reason['message']}", task.file.uri
            )
        return record

    def _publish(self, task: Task, result: StepResult, staging: Path) -> dict[str, Any]:
        destination = task.asset.destination
        to = self.root / destination.bucket.name / destination.prefix
        rows = self.root / task.pipeline.quarantine.name / "rows" / task.pipeline.name / task.asset.name
        return {
            "status": "completed",
            "source": {"uri": task.file.uri, "version": task.file.version},
            "records_in": dict(result.records_in),
            "rows_in": result.rows_in,
            "rows_out": result.rows_out,
            "rows_quarantined": result.rows_quarantined,
            "outputs": move(result.files, staging / "out", to),
            "quarantine": move(result.quarantine, staging / "quarantine", rows),
            "violations": dict(result.violations),
        }

    def _reject(self, task: Task, error: RejectedFile, name: str) -> dict[str, Any]:
        """Keep a copy of the file with the reason beside it; the original stays where it is."""
        reason = {"code": error.code, "message": error.reason}
        kept = []
        if not isinstance(error, _UpstreamRejectedError):
            folder = rejected_folder(self.root, task.pipeline) / name
            why = {"asset": task.asset.name, "uri": task.file.uri, **reason}
            files = task.file.files
            # Of files that are read together, the one at fault.
            bad = next((file for file in files if file.uri == error.uri), files[0])
            kept = keep_copy(self.root / bad.bucket / bad.key, folder, why)
        return {
            "status": "rejected",
            "source": {"uri": task.file.uri, "version": task.file.version},
            "records_in": {given.name: 0 for given in task.plan.inputs},
            "rows_in": 0,
            "rows_out": 0,
            "rows_quarantined": 0,
            "outputs": [],
            "quarantine": kept,
            "violations": {},
            "reason": reason,
        }

    def _record(self, pipeline: Pipeline, asset: IngestionAsset, digest: str) -> Path:
        runs = self.root / asset.destination.bucket.name / "_runs" / pipeline.name / asset.name
        return runs / f"{digest}.json"


def rejected_folder(root: Path, pipeline: Pipeline) -> Path:
    """Return where a pipeline's rejected files are kept."""
    return root / pipeline.quarantine.name / "rejected" / pipeline.name
