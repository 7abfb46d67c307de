"""The authoring vocabulary for systems: a pipeline, what starts it and who is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ingestion_assets.asset import Bucket, IngestionAsset, S3Source
from ingestion_assets.curation import Curation
from ingestion_assets.errors import Where, declared_here


@dataclass(frozen=True, slots=True)
class S3Event:
    """Start one execution for each object created under a source's prefix, through EventBridge.

    Args:
        source: Name of the source.
        suffixes: Only keys that end so; empty means any.
    """

    source: str
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class S3Queue:
    """Start one execution for each object, through SQS and the bucket's orchestrator.

    All pipelines of one bucket share a queue, an orchestrator and the tables `workflow_metadata`
    (key prefix -> state machine, the longest wins; rows added by hand are respected) and
    `workflow_status` (docs/ingress.md).

    Args:
        source: Name of the source.
        suffixes: Only keys that end so; empty means any. Other files below the prefix are ignored.
    """

    source: str
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class S3Batches:
    """Start one execution for a batch of objects of one date, through SQS and a manifest builder.

    A file's date is the first ISO date in its key below the source's prefix, or else the day that it
    arrived (UTC).

    Args:
        source: Name of the source.
        files: A batch starts when so many files of one date are pending (1 to 1,000) …
        max_bytes: … or so many bytes; None for no such bound …
        max_wait_seconds: … or when its first file has waited so long.
        manifests: Key prefix of the manifests in the source's bucket, ending in `/`.
        suffixes: Only keys that end so; empty means any. Other files below the prefix are ignored.
    """

    source: str
    files: int = 10
    max_bytes: int | None = None
    max_wait_seconds: int = 900
    manifests: str = "manifests/"
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PipelineCompleted:
    """Start one execution for each completed run of a curated pipeline, over all files that it published.

    EventBridge brings the other machine's event `Ingestion Completed` (docs/curation.md), which names a
    manifest. Events come at least once: a run is told from others by its job id, so a second event of one
    changes nothing. A run that published nothing gives no rows.

    Args:
        pipeline: Name of the curated pipeline.
        source: Name of the source, whose bucket and prefix are those that the other one publishes to.
        asset: Name of the other pipeline's asset; by default the source's.
    """

    #: Which files a run published is in its manifest.
    suffixes: ClassVar[tuple[str, ...]] = ()

    pipeline: str
    source: str
    asset: str | None = None

    @property
    def upstream(self) -> str:
        """Name of the other pipeline's asset."""
        return self.asset or self.source


Trigger = S3Event | S3Queue | S3Batches | PipelineCompleted


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is told of failed runs and rejected files.

    Args:
        email: Address subscribed to the topic; None leaves the topic without subscribers.
    """

    email: str | None = None


@dataclass(frozen=True, slots=True)
class Tracking:
    """The table of runs: one item a file identity, with state, counts and reasons.

    Args:
        retention_days: Items expire after so many days (DynamoDB TTL).
    """

    retention_days: int = 400


@dataclass(frozen=True, slots=True)
class Catalog:
    """The Glue database of the pipeline's tables.

    Args:
        database: Its name; by default the pipeline's.
        crawler: Name of a crawler started after each load; None for none.
    """

    database: str | None = None
    crawler: str | None = None


@dataclass(frozen=True)
class Pipeline:
    """A DAG of assets, what starts it, and what surrounds it on AWS.

    Args:
        name: A noun in snake_case; the folder's name, the Dagster group and the state machine.
        sources: Where data comes from.
        assets: In any order; the DAG follows from their inputs.
        trigger: What starts an execution.
        quarantine: Bucket of quarantined rows and rejected files' reasons.
        alerts: Who is told.
        tracking: The table of runs.
        catalog: The Glue database.
        curation: Makes the pipeline's machine one that is configured at run time.
        timeout_seconds: Of one execution.
        log_retention_days: Of functions and the state machine.
        owners: Emails or `team:name`, for assets that name none.
        description: For the lineage and the state machine's comment.
    """

    name: str
    sources: tuple[S3Source, ...]
    assets: tuple[IngestionAsset, ...]
    trigger: Trigger
    quarantine: Bucket = Bucket("quarantine")
    alerts: Alerts = Alerts()
    tracking: Tracking = Tracking()
    catalog: Catalog = Catalog()
    curation: Curation | None = None
    timeout_seconds: int = 3600
    log_retention_days: int = 30
    owners: tuple[str, ...] = ()
    description: str = ""
    where: Where = field(default_factory=lambda: declared_here(3), compare=False, repr=False)
