"""What a trigger may say, and what triggers of one bucket may not say together.

In: pipelines whose names are checked. Out: nothing, or the first `CompileError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asl.triggers import by_rule, source_of
from asl.where import at
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipeline import Pipeline, S3Batches, S3Queue

#: A batch's files are one DynamoDB item, and one call of StartExecution is worth so many at least.
MOST_FILES = 1_000
#: The sweeper comes every five minutes, and a day's leftovers should not wait for another day.
WAIT_SECONDS = (60, 86_400)


def check_trigger(pipeline: Pipeline) -> None:
    """Check one pipeline's trigger.

    Raises:
        CompileError: ASL033 for an unknown source, ASL042 for a bound that is out of range.
    """
    sources = [source.name for source in pipeline.sources]
    if pipeline.trigger.source not in sources:
        raise CompileError(
            "ASL033",
            at(pipeline),
            f"the trigger's source {pipeline.trigger.source!r} is no source of the pipeline",
            f"Known: {', '.join(sorted(sources)) or 'none'}",
        )
    if isinstance(pipeline.trigger, S3Batches):
        _check_bounds(pipeline, pipeline.trigger)


def check_buckets(pipelines: Sequence[Pipeline]) -> None:
    """Check what pipelines do with one bucket.

    Raises:
        CompileError: ASL043 for notifications that overlap, ASL044 for a bucket whose every file its
            orchestrator must find a machine for.
    """
    told: list[_Told] = []
    for pipeline in pipelines:
        if by_rule(pipeline):
            continue
        for each in _told(pipeline):
            for other in told:
                if each.overlaps(other):
                    raise _overlap(each, other)
            told.append(each)
    queued = {source_of(p).bucket.name: p for p in pipelines if isinstance(p.trigger, S3Queue)}
    for pipeline in pipelines:
        for bucket, what, where in _uses(pipeline):
            if bucket in queued:
                raise CompileError(
                    "ASL044",
                    where,
                    f"the bucket {bucket} holds {what}, and {queued[bucket].name} looks for a state machine "
                    "for every file in it",
                    "Take a bucket of its own: S3Queue gets the events of all of its bucket's keys",
                )


@dataclass(frozen=True, slots=True)
class _Told:
    """A filter of a bucket's notifications; `S3Queue` pipelines of a bucket share one."""

    pipeline: Pipeline
    bucket: str
    prefix: str
    suffixes: tuple[str, ...]

    def overlaps(self, other: _Told) -> bool:
        """Whether S3 refuses the two beside each other.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
        """
        if self.bucket != other.bucket:
            return False
        if isinstance(self.pipeline.trigger, S3Queue) and isinstance(other.pipeline.trigger, S3Queue):
            return self.prefix == other.prefix  # the longest prefix wins, so only equal ones collide
        if isinstance(self.pipeline.trigger, S3Queue) or isinstance(other.pipeline.trigger, S3Queue):
            return True
        return _nested(self.prefix, other.prefix) and any(
            one.endswith(two) or two.endswith(one) for one in self.suffixes for two in other.suffixes
        )

    def keys(self, other: _Told) -> str:
        """Return what it takes, in words: all of the bucket's keys lead to the one orchestrator."""
        shared = isinstance(other.pipeline.trigger, S3Queue)
        return "all keys" if isinstance(self.pipeline.trigger, S3Queue) and not shared else self.prefix


def _nested(one: str, two: str) -> bool:
    return one.startswith(two) or two.startswith(one)


def _told(pipeline: Pipeline) -> Iterator[_Told]:
    source = source_of(pipeline)
    suffixes = pipeline.trigger.suffixes
    # Of several suffixes none is in the filter (asl.front_door.notifications).
    yield _Told(pipeline, source.bucket.name, source.prefix, suffixes if len(suffixes) == 1 else ("",))


def _overlap(one: _Told, other: _Told) -> CompileError:
    return CompileError(
        "ASL043",
        at(one.pipeline),
        f"S3 would tell two queues, or one queue twice, of a file: {one.pipeline.name} takes "
        f"{one.keys(other)} and {other.pipeline.name} takes {other.keys(one)} of the bucket {one.bucket}",
        "Give one of them a prefix, or a bucket, of its own",
    )


def _uses(pipeline: Pipeline) -> Iterator[tuple[str, str, Where]]:
    """Yield the buckets whose files are not for an orchestrator, and what they are."""
    for asset in pipeline.assets:
        yield asset.destination.bucket.name, f"the files of {asset.name}", at(pipeline, asset)
    yield pipeline.quarantine.name, f"what {pipeline.name} quarantines", at(pipeline)
    if not isinstance(pipeline.trigger, S3Queue):
        yield source_of(pipeline).bucket.name, f"the files that start {pipeline.name}", at(pipeline)


def _check_bounds(pipeline: Pipeline, trigger: S3Batches) -> None:
    ranges = (
        ("files", trigger.files, 1, MOST_FILES),
        ("max_bytes", trigger.max_bytes, 1, 5 * 1024**4),
        ("max_wait_seconds", trigger.max_wait_seconds, *WAIT_SECONDS),
    )
    for name, number, least, most in ranges:
        if number is not None and not least <= number <= most:
            raise CompileError(
                "ASL042",
                at(pipeline),
                f"S3Batches({name}={number}) is out of range",
                f"Use {least:,} to {most:,}",
            )
