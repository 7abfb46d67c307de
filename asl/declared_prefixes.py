"""Where pipelines read and write, together: nobody writes where another writes, or where files are read.

In: all pipelines of one template. Out: nothing, or the first `CompileError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from asl.triggers import source_of
from asl.where import at
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipeline import Pipeline, PipelineCompleted, S3Batches

PREFIX = re.compile(r"([^/\\{}%`\[\]\"<>#|~^\x00-\x20\x7f-\uffff*?$]+/)+")
#: Prefixes of the buckets' own folders.
RESERVED = ("_runs/", "_staging/", "rows/", "rejected/")


def check_prefixes(pipelines: Sequence[Pipeline]) -> None:
    """No two assets write below one prefix, and none writes where files are read from."""
    everything, written = _Prefixes(), _Prefixes()
    named = {pipeline.name for pipeline in pipelines}
    for pipeline in pipelines:
        for place in _places(pipeline, named):
            _check_prefix(place.prefix, place.where)
            other = (everything if place.written else written).overlapping(place.bucket, place.prefix)
            if other:
                raise CompileError(
                    "ASL038",
                    place.where,
                    f"the prefix {place.prefix} of the bucket {place.bucket} overlaps that of {other}",
                    "Give each asset a prefix, or a bucket, of its own"
                    if place.owner.startswith(("asset", "source"))
                    else "Take another prefix: S3Batches(manifests=…)",
                )
            for prefixes in (everything, written) if place.written else (everything,):
                prefixes.add(place.bucket, place.prefix, place.owner)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pipeline reads or writes, and for whom."""

    bucket: str
    prefix: str
    owner: str
    where: Where
    written: bool


def _places(pipeline: Pipeline, named: AbstractSet[str]) -> Iterator[_Place]:
    trigger = pipeline.trigger
    for source in pipeline.sources:
        if (
            isinstance(trigger, PipelineCompleted)
            and source.name == trigger.source
            and trigger.pipeline in named
        ):
            continue  # the other pipeline's own place, where it writes before this one reads
        owner = f"source {pipeline.name}/{source.name}"
        yield _Place(source.bucket.name, source.prefix, owner, at(pipeline, source), written=False)
    for asset in pipeline.assets:
        bucket, prefix = asset.destination.bucket.name, asset.destination.prefix
        owner = f"asset {pipeline.name}/{asset.name}"
        yield _Place(bucket, prefix, owner, at(pipeline, asset), written=True)
    if isinstance(pipeline.trigger, S3Batches):
        bucket, prefix = source_of(pipeline).bucket.name, pipeline.trigger.manifests
        # A manifest below a source's prefix would be taken for one of its files.
        yield _Place(bucket, prefix, f"the manifests of {pipeline.name}", at(pipeline), written=True)


class _Prefixes:
    """Declared prefixes and the folders above them, so that an overlap is one look-up a folder."""

    def __init__(self) -> None:
        self._declared: dict[tuple[str, str], str] = {}
        self._above: dict[tuple[str, str], str] = {}

    def overlapping(self, bucket: str, prefix: str) -> str | None:
        """Return whose prefix lies above, at or below `prefix`, if any."""
        below = self._above.get((bucket, prefix))
        return below or next(
            (self._declared[bucket, f] for f in _folders(prefix) if (bucket, f) in self._declared), None
        )

    def add(self, bucket: str, prefix: str, owner: str) -> None:
        """Note that `owner` uses `prefix`."""
        self._declared.setdefault((bucket, prefix), owner)
        for folder in _folders(prefix):
            self._above.setdefault((bucket, folder), owner)


def _folders(prefix: str) -> list[str]:
    """Return `a/`, `a/b/` for `a/b/`."""
    return [prefix[: position + 1] for position, letter in enumerate(prefix) if letter == "/"]


def _check_prefix(prefix: str, where: Where) -> None:
    if not PREFIX.fullmatch(prefix) or prefix.startswith(RESERVED):
        raise CompileError(
            "ASL039",
            where,
            f"{prefix!r} is no prefix of keys",
            f"Use folders of plain characters that end in /, and none of {', '.join(RESERVED)}",
        )
