"""What a declaration may say, checked before anything is compiled.

In: a pipeline. Out: nothing, or the first `CompileError`, which names the declaration and its line.
What belongs to one stage (contracts, engines, graphs) is checked there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from asl.declared_completed import check_completed
from asl.declared_curation import check_curation
from asl.declared_formats import check_format
from asl.declared_prefixes import check_prefixes
from asl.declared_triggers import check_buckets, check_trigger
from asl.declared_types import check_types
from asl.declared_warehouses import check_warehouses
from asl.variants import LAMBDA_SECONDS
from asl.where import at
from ingestion_assets.asset import IngestionAsset, Processor, S3Source
from ingestion_assets.contract import lower_contract
from ingestion_assets.days import check_days
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipeline import Pipeline

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
#: What is left of 63 characters after a stack's name and the account.
BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{0,28}[a-z0-9]|[a-z0-9]")
CATALOG_NAME = re.compile(r"[a-z0-9_]{1,255}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
#: Of /tmp, what inputs may fill (`aws_runtime.storage`, which imports boto3).
INPUT_SHARE = 0.7
#: Types whose values each engine writes as text in its own way.
UNNAMEABLE = ("float32", "float64", "binary", "list", "struct")
#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)


def check(pipelines: Sequence[Pipeline]) -> None:
    """Check all pipelines of one template.

    Raises:
        CompileError: ASL030 to ASL060, the first thing that is wrong.
    """
    for pipeline in pipelines:
        check_types(pipeline)
        _check_names(pipeline)
        check_trigger(pipeline)
        _check_settings(pipeline)
        check_warehouses(pipeline)
        for source in pipeline.sources:
            check_days(source, at(pipeline, source))
            check_format(source, at(pipeline, source))
        for asset in pipeline.assets:
            _check_processor(asset.processor, at(pipeline, asset))
            _check_partitions(pipeline, asset)
        check_curation(pipeline)
    _check_tables(pipelines)
    check_completed(pipelines)
    check_prefixes(pipelines)
    check_buckets(pipelines)
    _check_crawlers(pipelines)


def _twice(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _check_names(pipeline: Pipeline) -> None:
    nodes: tuple[S3Source | IngestionAsset, ...] = (*pipeline.sources, *pipeline.assets)
    if not pipeline.assets:
        raise CompileError(
            "ASL030", at(pipeline), "the pipeline has no assets", "Add at least one to assets=(…)"
        )
    named = [("pipeline", pipeline.name, at(pipeline))]
    named += [("source or asset", node.name, at(pipeline, node)) for node in nodes]
    for what, name, where in named:
        if not NAME.fullmatch(name) or len(name) > 64:
            raise CompileError(
                "ASL031",
                where,
                f"{name!r} is no name of a {what}",
                "Use snake_case: letters a to z, digits and single underscores, at most 64",
            )
    double = _twice(node.name for node in nodes)
    if double:
        second = [node for node in nodes if node.name == double][1]
        raise CompileError(
            "ASL032",
            at(pipeline, second),
            f"{double!r} is declared twice in {pipeline.name}",
            "Rename one of them",
        )
    for bucket, where in _buckets(pipeline):
        if not BUCKET.fullmatch(bucket):
            raise CompileError(
                "ASL031",
                where,
                f"{bucket!r} is no name of a bucket",
                "Use lower-case letters, digits and hyphens, at most 30 characters",
            )


def _buckets(pipeline: Pipeline) -> Iterator[tuple[str, Where]]:
    for source in pipeline.sources:
        yield source.bucket.name, at(pipeline, source)
    for asset in pipeline.assets:
        yield asset.destination.bucket.name, at(pipeline, asset)
    yield pipeline.quarantine.name, at(pipeline)


def _check_settings(pipeline: Pipeline) -> None:
    where = at(pipeline)
    if pipeline.log_retention_days not in RETENTION:
        raise CompileError(
            "ASL034",
            where,
            f"CloudWatch keeps no log for {pipeline.log_retention_days} days",
            f"Use log_retention_days of {', '.join(map(str, RETENTION))}",
        )
    if pipeline.alerts.email is not None and not EMAIL.fullmatch(pipeline.alerts.email):
        raise CompileError(
            "ASL034", where, f"{pipeline.alerts.email!r} is no email address", "Mend Alerts(email=…)"
        )
    names = [("database", pipeline.catalog.database)]
    names += [("table", asset.destination.table) for asset in pipeline.assets]
    for what, name in names:
        if name is not None and not CATALOG_NAME.fullmatch(name):
            raise CompileError(
                "ASL034",
                where,
                f"{name!r} is no name of a catalog {what}",
                "Use lower-case letters, digits and underscores, at most 255",
            )


def _check_processor(given: Processor, where: Where) -> None:
    """Check against https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""
    longest = LAMBDA_SECONDS if given.kind == "lambda" else 7 * 86_400
    ranges = (
        ("memory_mb", given.memory_mb, 128, 10_240),
        ("storage_mb", given.storage_mb, 512, 10_240),
        ("timeout_seconds", given.timeout_seconds, 1, longest),
        ("workers", given.workers, 2, 299),
        ("threshold_bytes", given.threshold_bytes, 1, 5 * 1024**4),
    )
    for name, number, least, most in ranges:
        if not least <= number <= most:
            raise CompileError(
                "ASL035",
                where,
                f"Processor({name}={number}) is out of range",
                f"Use {least:,} to {most:,}" + (", or a Glue job" if most == LAMBDA_SECONDS else ""),
            )
    fits = int(given.storage_mb * 1024 * 1024 * INPUT_SHARE)
    if given.kind == "auto" and given.threshold_bytes > fits:
        raise CompileError(
            "ASL035",
            where,
            f"Processor(threshold_bytes={given.threshold_bytes}) sends files to Lambda that its /tmp of "
            f"{given.storage_mb} MB does not hold beside the output",
            f"Use at most {fits:,}, or more storage_mb",
        )


def _check_partitions(pipeline: Pipeline, asset: IngestionAsset) -> None:
    where = at(pipeline, asset)
    columns = {column.name: column.type.name for column in lower_contract(asset.contract, where).columns}
    double = _twice(by.name for by in asset.destination.partition_by)
    if double:
        raise CompileError("ASL036", where, f"{double!r} partitions twice", "Name each partition column once")
    for by in asset.destination.partition_by:
        if (by.column or by.name) not in columns:
            raise CompileError(
                "ASL036",
                where,
                f"the partition {by.name!r} derives from {by.column or by.name!r}, which the contract lacks",
                f"Columns: {', '.join(columns)}",
            )
        # The files of a curated pipeline leave out what their folders say.
        if by.name in columns and not pipeline.curation:
            raise CompileError(
                "ASL036",
                where,
                f"the partition {by.name!r} has the name of a column, and a table has each name once",
                f'Rename it: PartitionBy("{by.name}_partition", column="{by.column or by.name}")',
            )
        kind = columns[by.column or by.name]
        of = f"the partition {by.name!r} derives from {by.column or by.name!r} of type {kind}, which has"
        if by.transform == "identity" and kind in UNNAMEABLE:
            raise CompileError(
                "ASL036", where, f"{of} no one text to name a folder by", "Take another column"
            )
        if by.transform != "identity" and kind not in ("date", "timestamp"):
            raise CompileError("ASL036", where, f"{of} no {by.transform}", "Take a date or a timestamp")


def _check_tables(pipelines: Sequence[Pipeline]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for pipeline in pipelines:
        for asset in pipeline.assets:
            table = (pipeline.catalog.database or pipeline.name, asset.destination.table or asset.name)
            owner = f"{pipeline.name}/{asset.name}"
            if seen.setdefault(table, owner) != owner:
                raise CompileError(
                    "ASL037",
                    at(pipeline, asset),
                    f"the catalog table {'.'.join(table)} is {seen[table]}'s already",
                    "Give one of them another S3Parquet(table=…)",
                )


def _check_crawlers(pipelines: Sequence[Pipeline]) -> None:
    double = _twice(p.catalog.crawler for p in pipelines if p.catalog.crawler)
    if double:
        second = [p for p in pipelines if p.catalog.crawler == double][1]
        raise CompileError(
            "ASL037", at(second), f"the crawler {double!r} is another pipeline's", "Rename one"
        )
