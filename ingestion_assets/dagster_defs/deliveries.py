"""Files that another pipeline published -> what each of its runs delivered, as one landed file.

In: the files below a `PipelineCompleted` source's prefix. Out: one `LandedFile` for each run, its members the
files of all partitions. On AWS an event names them in a manifest; here a run's files share its stem.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import unquote

from ingestion_assets.asset import S3Source
from ingestion_assets.dagster_defs.sites import LandedFile
from ingestion_assets.pipeline import Pipeline, PipelineCompleted

#: `aws_runtime.identity.stem`, in the names of all files of a run.
_STEM = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")


def is_delivered(pipeline: Pipeline, source: S3Source) -> bool:
    """Whether the files of a source are those that another pipeline published."""
    return isinstance(pipeline.trigger, PipelineCompleted) and source.name == pipeline.trigger.source


def deliveries(source: S3Source, files: Iterable[LandedFile]) -> list[LandedFile]:
    """Group files by the run that published them, in the order of their stems."""
    runs: dict[str, list[LandedFile]] = {}
    for file in files:
        below = file.key.removeprefix(source.prefix)
        found = _STEM.search(below.rpartition("/")[2])
        member = replace(file, partition=_partition(below))
        runs.setdefault(found.group() if found else below, []).append(member)
    return [_delivery(source, stem, members) for stem, members in sorted(runs.items())]


def _delivery(source: S3Source, stem: str, members: list[LandedFile]) -> LandedFile:
    first = members[0]
    versions = "\n".join(f"{member.key}@{member.version}" for member in members)
    return LandedFile(
        source=source.name,
        bucket=first.bucket,
        key=f"{source.prefix}{stem}",
        version=hashlib.sha256(versions.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        modified=max(member.modified for member in members),
        uri=f"{first.uri.removesuffix(first.key)}{source.prefix}{stem}",
        members=tuple(members),
    )


def _partition(below: str) -> dict[str, str]:
    """Read the values of the folders that a file lies in."""
    pairs = (folder.partition("=") for folder in below.split("/")[:-1])
    return {unquote(name): unquote(value) for name, equals, value in pairs if equals}
