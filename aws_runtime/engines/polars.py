"""Polars engine: CSV and Parquet, as much as one Lambda function holds."""

from __future__ import annotations

from aws_runtime.engines import Capabilities

CAPABILITIES = Capabilities(
    name="polars",
    formats=frozenset({"csv", "parquet"}),
    nested=False,
    runs_in=frozenset({"lambda"}),
    requirements=("narwhals", "polars"),
    preference={"csv": 1, "parquet": 3},
    max_input_bytes=10 * 1024**3,
)
