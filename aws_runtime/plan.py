"""What a runtime step is told: one asset, its inputs, its transform and its output, as data.

In: `plan.json` in a function's zip or beside a Glue script, written by the compiler. Dagster
builds the same plan in memory, so that all three lives of an asset run the same step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_runtime.codec import decode, encode
from aws_runtime.contract import Contract


@dataclass(frozen=True, slots=True)
class FormatPlan:
    """How bytes become records.

    Args:
        name: A module of `aws_runtime.formats`: `json`, `parquet` ….
        options: That format's options, JSON values.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InputPlan:
    """One argument of the transform.

    Args:
        name: The transform's parameter.
        format: How its files are read.
        contract: What its rows must look like before the transform sees them.
        origin: `source` (files as people send them) or `asset` (Parquet that a previous step wrote).
    """

    name: str
    format: FormatPlan
    contract: Contract
    origin: str = "source"


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """One Hive partition column, derived from a column of the contract.

    Args:
        name: Name in the path: `dt` in `dt=2025-01-17/`.
        column: The column that it is derived from.
        transform: `identity`, `day` (YYYY-MM-DD), `month` (YYYY-MM), `year`, `hour`, `month_of_year` (MM)
            or `day_of_month` (DD).
    """

    name: str
    column: str
    transform: str = "identity"


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Where and how the asset's rows are written (Parquet)."""

    contract: Contract
    partition_by: tuple[PartitionPlan, ...] = ()
    compression: str = "zstd"


@dataclass(frozen=True, slots=True)
class AssetPlan:
    """One asset's step.

    Args:
        pipeline: Name of the pipeline.
        asset: Name of the asset.
        transform: `module:function`, importable where the step runs.
        inputs: In the order of the transform's parameters.
        output: Contract and layout of the result.
        engine: A module of `aws_runtime.engines`.
        sql: The transform as a query in the engine's dialect, over tables of the inputs' names; empty
            where the function itself runs.
    """

    pipeline: str
    asset: str
    transform: str
    inputs: tuple[InputPlan, ...]
    output: OutputPlan
    engine: str = "duckdb"
    sql: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values only."""
        encoded: dict[str, Any] = encode(self)
        return encoded

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AssetPlan:
        """Read what `to_json` wrote; raises `ValueError` naming an unknown or missing key."""
        return decode(cls, data)
