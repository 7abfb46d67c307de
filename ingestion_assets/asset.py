"""The authoring vocabulary for data: sources, assets, processors and destinations.

Declarations only: frozen dataclasses and one decorator, without Dagster and without boto3.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from ingestion_assets.errors import CompileError, Where, declared_here
from ingestion_assets.formats import Format

ProcessorKind = Literal["lambda", "glue_pyspark", "glue_sql", "auto", "configured"]
PartitionTransform = Literal["identity", "hour", "day", "month", "year", "month_of_year", "day_of_month"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket that the deployment owns.

    Args:
        name: Logical name; the bucket is called `<stack>-<name>-<account>` on AWS and is the
            folder `data/<name>/` on a laptop.
    """

    name: str


@dataclass(frozen=True, slots=True)
class DailyPartitions:
    """One folder a day below a source's prefix, or files whose names begin with their day.

    Args:
        start: First day.
        folder: strftime pattern of the folder.
        name: strftime pattern of fixed width that the names of files begin with, as `%Y-%m-%d` does
            in `2025-01-17-file001.ndjson`; the folder is then of no account.
    """

    start: date
    folder: str = "%Y-%m-%d"
    name: str | None = None


@dataclass(frozen=True)
class S3Source:
    """Files that arrive under a prefix.

    Args:
        name: A noun; the transform's parameter of this name receives its rows.
        bucket: Where they arrive.
        prefix: Key prefix, ending in `/`.
        format: How bytes become records.
        contract: A Pandera model of the records as they are sent.
        partitions: Days of the files, for Dagster's partitions; a file that neither folder nor name
            gives one belongs to the day it landed.
        owners: Emails or `team:name`.
        description: For the lineage and the catalog.
    """

    name: str
    bucket: Bucket
    prefix: str
    format: Format
    contract: type[Any]
    partitions: DailyPartitions | None = None
    owners: tuple[str, ...] = ()
    description: str = ""
    where: Where = field(default_factory=lambda: declared_here(3), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Processor:
    """What runs the transform.

    Args:
        kind: `lambda`, `glue_pyspark`, `glue_sql` (the transform as Spark SQL), or `auto`: a Choice state
            takes the Lambda function for up to `threshold_bytes` of source files, and the Glue job for
            more. `configured`, of a pipeline with a `Curation` only: any of the four, as a run's
            configuration says (`processor_type`).
        threshold_bytes: Of `auto`.
        engine: An engine's name; None lets the compiler choose by format and capabilities.
        memory_mb: Of the Lambda function (128 to 10,240).
        storage_mb: The Lambda function's `/tmp` (512 to 10,240); bounds the size of a file.
        timeout_seconds: Of the task (Lambda: at most 900).
        workers: Of the Glue job, G.1X.
    """

    kind: ProcessorKind = "lambda"
    threshold_bytes: int = 256 * 1024 * 1024
    engine: str | None = None
    memory_mb: int = 2048
    storage_mb: int = 2048
    timeout_seconds: int = 300
    workers: int = 2


@dataclass(frozen=True, slots=True)
class PartitionBy:
    """A Hive partition column of the output.

    Args:
        name: Name in the path: `dt` in `dt=2025-01-17/`.
        column: Contract column that it derives from; by default the column `name`.
        transform: `identity`, or the part of a date that names the folder: `day` is 2025-01-17,
            `month` 2025-01, `year` 2025, `month_of_year` 01, `day_of_month` 17.
    """

    name: str
    column: str | None = None
    transform: PartitionTransform = "identity"


@dataclass(frozen=True, slots=True)
class S3Parquet:
    """Parquet files under a prefix, and their Data Catalog table.

    Args:
        bucket: Where they are written.
        prefix: Key prefix, ending in `/`.
        partition_by: Hive partition columns, outermost first.
        table: Name of the Glue table; by default the asset's name.
        compression: Parquet codec: `zstd`, `snappy` or `gzip`.
    """

    bucket: Bucket
    prefix: str
    partition_by: tuple[PartitionBy, ...] = ()
    table: str | None = None
    compression: Literal["zstd", "snappy", "gzip"] = "zstd"


@dataclass(frozen=True)
class IngestionAsset:
    """One typed asset: a pure transform, its contract and where its rows go.

    Built by `ingestion_asset`. `inputs` maps each parameter of the transform to the name of the
    source or asset that it receives.
    """

    name: str
    transform: Callable[..., Any]
    inputs: Mapping[str, str]
    contract: type[Any]
    destination: S3Parquet
    processor: Processor
    owners: tuple[str, ...]
    tags: Mapping[str, str]
    description: str
    where: Where = field(compare=False, repr=False)


def ingestion_asset(
    *,
    contract: type[Any],
    destination: S3Parquet,
    processor: Processor = Processor(),
    inputs: Mapping[str, str] | None = None,
    name: str | None = None,
    owners: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Any]], IngestionAsset]:
    """Declare the asset that a transform computes.

    The transform takes one Narwhals LazyFrame a parameter and returns one; a parameter is bound
    to the source or asset of its own name. It must live in a module that imports nothing but the
    dataframe API, because that module ships to AWS: apply the decorator as a call.

        order_lines = ingestion_asset(contract=OrderLine, destination=…)(transforms.order_lines)

    Args:
        contract: A Pandera model of the rows.
        destination: Where the rows go.
        processor: What runs the transform.
        inputs: Parameter to source or asset name, where they differ.
        name: A noun; by default the transform's name.
        owners: Emails or `team:name`.
        tags: For Dagster and for AWS cost allocation.

    Raises:
        CompileError: ASL001, when the transform has no plain parameters.
    """
    where = declared_here(2)

    def declare(transform: Callable[..., Any]) -> IngestionAsset:
        asset = name or transform.__name__
        place = Where(where.file, where.line, asset=asset)
        parameters = inspect.signature(transform).parameters.values()
        plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        if not parameters or any(p.kind not in plain for p in parameters):
            raise CompileError(
                "ASL001",
                place,
                f"transform {transform.__name__} must take one named parameter for each input",
                "Write it as def order_lines(orders): …",
            )
        return IngestionAsset(
            name=asset,
            transform=transform,
            inputs={p.name: (inputs or {}).get(p.name, p.name) for p in parameters},
            contract=contract,
            destination=destination,
            processor=processor,
            owners=tuple(owners),
            tags=dict(tags or {}),
            description=inspect.getdoc(transform) or "",
            where=place,
        )

    return declare
