"""The resource that says where data lies: this machine's folders, or S3 by environment.

In: configuration, read when a run starts and never at import. Out: a `Site`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from ingestion_assets.dagster_defs.s3_site import S3Site
from ingestion_assets.dagster_defs.sites import LocalSite, Site

KINDS = ("local", "s3")


class Storage(dg.ConfigurableResource[Any]):
    """Where sources land and assets are written.

    `INGESTION_STORAGE=s3` turns a laptop's Dagster to the deployed buckets (or, with
    `AWS_ENDPOINT_URL`, to the local AWS); without it everything lies below `root`.
    """

    kind: str | None = Field(default=None, description="local or s3; by default $INGESTION_STORAGE, or local")
    root: str | None = Field(
        default=None,
        description="Folder that stands for S3 on this machine; by default $INGESTION_DATA, or data",
    )
    stack: str | None = Field(
        default=None, description="CloudFormation stack; by default $INGESTION_STACK, or ingestion"
    )
    s3: S3Resource = Field(default_factory=S3Resource, description="How to reach S3")

    def site(self) -> Site:
        """Open the configured place.

        Raises:
            ValueError: The kind is neither local nor s3.
        """
        kind = self.kind or os.environ.get("INGESTION_STORAGE", "local")
        if kind == "local":
            return LocalSite(Path(self.root or os.environ.get("INGESTION_DATA", "data")))
        if kind == "s3":
            stack = self.stack or os.environ.get("INGESTION_STACK", "ingestion")
            return S3Site(self.s3.get_client(), stack)
        raise ValueError(f"INGESTION_STORAGE is {kind!r}; use one of {', '.join(KINDS)}")
