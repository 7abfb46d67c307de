"""The pipelines that the demo runs: one entry each, with its sample data and what to compare.

In: a folder that stands for S3. Out: sample files below it, and what they hold.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ingestion_assets import IngestionAsset, Pipeline, S3Source
from ingestion_assets.pipelines.csv_to_parquet.pipeline import pipeline as csv_to_parquet
from ingestion_assets.pipelines.csv_to_parquet.sample_data import write_sales
from ingestion_assets.pipelines.ndjson_to_parquet.pipeline import pipeline as ndjson_to_parquet
from ingestion_assets.pipelines.ndjson_to_parquet.sample_data import write_clickstream
from ingestion_assets.pipelines.order_totals.pipeline import pipeline as order_totals
from ingestion_assets.pipelines.orders_etl.pipeline import pipeline as orders_etl
from ingestion_assets.pipelines.orders_etl.sample_data import write_orders
from ingestion_assets.pipelines.parquet_ingestion.pipeline import pipeline as parquet_ingestion
from ingestion_assets.pipelines.parquet_ingestion.sample_data import write_deliveries
from ingestion_assets.sample_files import Sample


@dataclass(frozen=True, slots=True)
class Example:
    """One pipeline of the demo.

    Args:
        pipeline: The declaration.
        write: Writes so many sample files into a folder.
        files: How many by default.
        follows: Name of the pipeline whose completed run starts this one; then nothing is written.
    """

    pipeline: Pipeline
    write: Callable[[Path, int], Sample]
    files: int
    follows: str = ""

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.pipeline.name

    @property
    def source(self) -> S3Source:
        """The source whose files start executions."""
        return next(s for s in self.pipeline.sources if s.name == self.pipeline.trigger.source)

    @property
    def asset(self) -> IngestionAsset:
        """The asset whose rows are compared."""
        return self.pipeline.assets[-1]

    @property
    def buckets(self) -> tuple[str, ...]:
        """Logical buckets that the pipeline writes."""
        written = {asset.destination.bucket.name for asset in self.pipeline.assets}
        return tuple(sorted(written | {self.pipeline.quarantine.name}))

    @property
    def rows(self) -> Path:
        """Where the asset's Parquet lies, in a folder that stands for S3."""
        to = self.asset.destination
        return Path(to.bucket.name, to.prefix)

    @property
    def quarantine(self) -> Path:
        """Where its quarantined rows lie, likewise."""
        return Path(self.pipeline.quarantine.name, "rows", self.name, self.asset.name)

    def landing(self, root: Path) -> Path:
        """Where its files land, in a folder that stands for S3."""
        return root / self.source.bucket.name / self.source.prefix

    def generate(self, root: Path, files: int | None) -> Sample:
        """Write the sample anew, and forget what was made of the one before."""
        if not self.follows:
            shutil.rmtree(self.landing(root), ignore_errors=True)
        for folder in (
            self.rows,
            self.quarantine,
            Path(self.pipeline.quarantine.name, "rejected", self.name),
        ):
            shutil.rmtree(root / folder, ignore_errors=True)
        for asset in self.pipeline.assets:
            shutil.rmtree(root / asset.destination.bucket.name / "_runs" / self.name, ignore_errors=True)
        return self.write(self.landing(root), files or self.files)


def _orders(folder: Path, files: int) -> Sample:
    made = write_orders(folder, files)
    return Sample(made.files, made.broken_files, made.orders, made.bad_lines)


EXAMPLES = (
    Example(orders_etl, _orders, files=60),
    # One more file, larger than the asset's threshold: it takes the Glue job.
    Example(csv_to_parquet, lambda folder, files: write_sales(folder, files, big_rows=110_000), files=24),
    # Batches of ten files, and seven files left over, which wait for more until they are flushed.
    Example(ndjson_to_parquet, write_clickstream, files=47),
    # One delivery, complete with its marker; its completed run starts the pipeline after it.
    Example(parquet_ingestion, write_deliveries, files=20),
    Example(
        order_totals, lambda _folder, _files: Sample(0, 0, 0, 0), files=0, follows=parquet_ingestion.name
    ),
)
