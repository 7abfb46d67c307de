"""Data Catalog: database, tables, crawler -> CloudFormation."""

from __future__ import annotations

from typing import Any

from asl.emit.substitution import value
from asl.resources import CatalogColumn, CatalogDatabase, CatalogTable, Crawler

PARQUET = "org.apache.hadoop.hive.ql.io.parquet"


def database(given: CatalogDatabase) -> dict[str, Any]:
    """Return a Glue database."""
    return {
        given.id: {
            "Type": "AWS::Glue::Database",
            "Properties": {
                "CatalogId": {"Ref": "AWS::AccountId"},
                "DatabaseInput": {"Name": given.name, "Description": given.description},
            },
        }
    }


def table(given: CatalogTable) -> dict[str, Any]:
    """Return a Glue table of Parquet files; its partitions are added by each run."""
    return {
        given.id: {
            "Type": "AWS::Glue::Table",
            "Properties": {
                "CatalogId": {"Ref": "AWS::AccountId"},
                "DatabaseName": {"Ref": given.database},
                "TableInput": {
                    "Description": given.description,
                    "Name": given.name,
                    "Parameters": {
                        "EXTERNAL": "TRUE",
                        "classification": "parquet",
                        "parquet.compression": given.compression.upper(),
                    },
                    "PartitionKeys": [_column(key) for key in given.partition_keys],
                    "StorageDescriptor": {
                        "Columns": [_column(column) for column in given.columns],
                        "InputFormat": f"{PARQUET}.MapredParquetInputFormat",
                        "Location": value(given.location),
                        "OutputFormat": f"{PARQUET}.MapredParquetOutputFormat",
                        "SerdeInfo": {
                            "Parameters": {"serialization.format": "1"},
                            "SerializationLibrary": f"{PARQUET}.serde.ParquetHiveSerDe",
                        },
                    },
                    "TableType": "EXTERNAL_TABLE",
                },
            },
        }
    }


def crawler(given: Crawler) -> dict[str, Any]:
    """Return a crawler over the declared tables.

    It crawls the catalog's tables, not the bucket: crawling the bucket would make a second table
    beside each declared one. LOG keeps the contract's columns whatever it finds in the files.
    https://docs.aws.amazon.com/glue/latest/dg/crawler-configuration.html
    """
    return {
        given.id: {
            "Type": "AWS::Glue::Crawler",
            "Properties": {
                "Configuration": '{"Version":1.0,"CrawlerOutput":{"Partitions":'
                '{"AddOrUpdateBehavior":"InheritFromTable"}}}',
                "Description": f"Finds partitions of {given.pipeline} that no run registered",
                "Name": given.name,
                "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"},
                "Role": value(f"${{{given.role}.Arn}}"),
                "SchemaChangePolicy": {"DeleteBehavior": "LOG", "UpdateBehavior": "LOG"},
                "Tags": {"pipeline": given.pipeline},
                "Targets": {
                    "CatalogTargets": [
                        {
                            "DatabaseName": {"Ref": given.database},
                            "Tables": [{"Ref": t} for t in given.tables],
                        }
                    ]
                },
            },
        }
    }


def _column(column: CatalogColumn) -> dict[str, str]:
    return {"Name": column.name, "Type": column.type} | (
        {"Comment": column.comment} if column.comment else {}
    )
