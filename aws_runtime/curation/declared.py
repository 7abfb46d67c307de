"""What a declaration says to every run of its machine: the content of `curation.json`, without AWS.

In: what the compiler, or Dagster, made of a declaration. Out: data that each step reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_runtime.contract import Contract
from aws_runtime.plan import PartitionPlan
from aws_runtime.warehouses.targets import RedshiftTable, SnowflakeTable


@dataclass(frozen=True, slots=True)
class Declared:
    """`curation.json`: what the declaration says, the same for every run.

    Args:
        pipeline: Its name.
        asset: The asset's.
        contract: Of the source's rows, the partition columns of the path among them.
        output_contract: Of the curated rows.
        defaults: The weakest layer of a configuration.
        buckets: Logical name -> environment variable that holds the physical one.
        source_prefix: Below which files land, ending in `/` or empty.
        target_prefix: Of the curated files, likewise.
        partition_by: Partition columns of the curated files.
        compression: Codec of the staged Parquet files.
        database: Of the Data Catalog; empty where runs register nothing.
        table: The asset's, in that database.
        redshift: Where runs are loaded, in Redshift.
        snowflake: Likewise, in Snowflake.
        delta: Whether runs may ask for a Delta table.
    """

    pipeline: str
    asset: str
    contract: Contract
    output_contract: Contract
    buckets: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    source_prefix: str = ""
    target_prefix: str = ""
    partition_by: tuple[PartitionPlan, ...] = ()
    compression: str = "zstd"
    database: str = ""
    table: str = ""
    redshift: RedshiftTable | None = None
    snowflake: SnowflakeTable | None = None
    delta: bool = False
