"""Sales exports arrive as CSV under `sales/`; cleaned sales land as Parquet, partitioned by month."""

from datetime import date

from ingestion_assets import (
    Bucket,
    Csv,
    DailyPartitions,
    PartitionBy,
    Pipeline,
    Processor,
    S3Parquet,
    S3Queue,
    S3Source,
    ingestion_asset,
)
from ingestion_assets.pipelines.csv_to_parquet import transforms
from ingestion_assets.pipelines.csv_to_parquet.schemas import Sale, SalesExport

sales_exports = S3Source(
    name="sales_exports",
    bucket=Bucket("pre-workflow-ingestion"),
    prefix="sales/",
    # As spreadsheets of German-speaking branches write them: 17.01.2025, 1.234,50; delimiter, encoding
    # and compression are told by content.
    format=Csv(
        decimal=",",
        thousands=".",
        date_format="%d.%m.%Y",
        timestamp_format="%d.%m.%Y %H:%M:%S",
        null_values=("-", "n/a"),
    ),
    contract=SalesExport,
    partitions=DailyPartitions(start=date(2025, 1, 1)),
    description="Exports of the tills of all branches, one file a branch and day.",
)

sales = ingestion_asset(
    contract=Sale,
    destination=S3Parquet(
        bucket=Bucket("post-workflow-ingestion"),
        prefix="sales/",
        partition_by=(PartitionBy("month", column="order_date", transform="month"),),
    ),
    # Low, so that a sample of a few seconds' work meets the Glue job as well; a Lambda function of this
    # size holds some hundred megabytes, and a Glue job costs a cent and a half at least.
    processor=Processor(kind="auto", threshold_bytes=8 * 1024 * 1024),
    owners=["team:sales"],
)(transforms.sales)

pipeline = Pipeline(
    name="csv_to_parquet",
    sources=(sales_exports,),
    assets=(sales,),
    trigger=S3Queue(source="sales_exports"),
    owners=("team:sales",),
    description="Sales exports, CSV to Parquet: small files by Lambda, large ones by Glue.",
)
