"""The authoring vocabulary for a pipeline that is configured at run time (docs/curation.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aws_runtime.warehouses.targets import RedshiftTable, SnowflakeTable
from ingestion_assets.asset import IngestionAsset, S3Source


@dataclass(frozen=True, slots=True)
class Curation:
    """What the declaration says of a machine that validates, transforms, validates again and loads.

    Args:
        defaults: The weakest layer of a run's configuration, with the keys of
            `aws_runtime.curation.config.Config`; the SSM parameter `/ingestion/<pipeline>/<dataset>` and the
            execution's input go before it. What it leaves out follows from the declaration.
        sql: The transform as Spark SQL, a `.sql` file or its text, in place of the function: one SELECT over
            a table named as the transform's parameter.
        redshift: Where each run is loaded too, in Amazon Redshift (docs/warehouses.md).
        snowflake: Likewise, in Snowflake.
        delta: Whether runs may ask for a Delta table (docs/delta.md): `"table_format": "delta"`.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    sql: str | Path | None = None
    redshift: RedshiftTable | None = None
    snowflake: SnowflakeTable | None = None
    delta: bool = False


def declared_defaults(source: S3Source, asset: IngestionAsset, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weakest layer of a configuration: what the declaration says, and `given` over it.

    Args:
        source: Where files land.
        asset: What they become.
        given: `Curation.defaults`.
    """
    identities = [by.name for by in asset.destination.partition_by if by.transform == "identity"]
    return {
        "source_bucket": source.bucket.name,
        "target_bucket": asset.destination.bucket.name,
        "dataset": asset.name,
        "required_partitions": identities,
        "threshold_bytes": asset.processor.threshold_bytes,
        **given,
    }
