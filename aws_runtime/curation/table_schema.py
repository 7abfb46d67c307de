"""What the catalog's table is after a run: columns, partition keys, format; or why it cannot hold its rows.

In: the run's contract and configuration, and the table as it is. Out: its columns, and those that are
added; no call is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_runtime.curation import projection
from aws_runtime.curation.config import SchemaEvolution, TableFormat, WriteMode
from aws_runtime.curation.job import Job
from aws_runtime.curation.serdes import serde
from aws_runtime.hive import hive_type

#: The run that was the last to change a table or partition.
JOB = "job_id"

Table = Mapping[str, Any]
Columns = list[dict[str, str]]


class SchemaConflict(Exception):  # noqa: N818 - says what is wrong
    """The catalog's table has another type for a column, or is partitioned otherwise."""


class FormatConflict(Exception):  # noqa: N818 - says what is wrong
    """The table's files are of another format, and this run would add to them."""


def columns(job: Job) -> Columns:
    """Return the columns of the table; partition columns are none of them."""
    stored, contract = serde(job).stored, job.table_contract
    return [
        {"Name": column.name, "Type": hive_type(stored(column.type), f"{contract.name}.{column.name}")}
        | ({"Comment": column.description[:255]} if column.description else {})
        for column in contract.columns
        if column.name not in job.partitions
    ]


def _type(job: Job, name: str) -> str:
    contract = job.table_contract
    found = next(column for column in contract.columns if column.name == name)
    return hive_type(found.type, f"{contract.name}.{name}")


def partition_keys(job: Job) -> Columns:
    """Return the partition columns of the table."""
    return [
        {
            "Name": by.name,
            "Type": _type(job, by.column) if by.transform == "identity" else "string",
        }
        for by in job.declared.partition_by
    ]


def is_delta(job: Job) -> bool:
    """Whether the table is a Delta table."""
    return job.config.table_format is TableFormat.DELTA


def projected(job: Job, table: Table | None) -> bool:
    """Whether partitions are computed from the table's properties; once they are, they stay so."""
    return (
        bool(job.partitions)
        and not is_delta(job)
        and (job.config.partition_projection or projection.enabled((table or {}).get("Parameters", {})))
    )


def evolved(job: Job, table: Table | None) -> tuple[Columns, list[str]]:
    """Return the table's columns after this run, and the names of those that it adds.

    Raises:
        SchemaConflict: A column has another type, or the partition columns are others.
        FormatConflict: The run would add files that the table's class cannot read.
    """
    wanted = columns(job)
    if table is None:
        return wanted, []
    name = f"{job.declared.database}.{job.declared.table}"
    there, keys = table["StorageDescriptor"]["Columns"], table.get("PartitionKeys", [])
    types = {column["Name"].lower(): column["Type"] for column in there}
    added = [column for column in wanted if column["Name"].lower() not in types]
    if _shape(keys) != _shape(partition_keys(job)):
        raise SchemaConflict(
            f"{name} is partitioned by {_said(keys)}, the files by {_said(partition_keys(job))}; drop the table, or "
            "name another one"
        )
    if is_delta(job):
        # Its own schema decided which rows it takes; columns that it has beside are in its log.
        names = {column["Name"].lower() for column in wanted}
        kept = [column for column in there if column["Name"].lower() not in names]
        return [*wanted, *kept], [column["Name"] for column in added]
    if _changes_format(job, table):
        return wanted, [column["Name"] for column in added]
    if job.config.schema_evolution is SchemaEvolution.REPLACE:
        return wanted, [column["Name"] for column in added]
    for column in wanted:
        old = types.get(column["Name"].lower(), column["Type"])
        if old != column["Type"]:
            raise SchemaConflict(
                f"{name}: column {column['Name']} is {old} in the catalog and {column['Type']} in the contract; "
                'cast it in the transform, or set "schema_evolution": "replace"'
            )
    return [*there, *added], [column["Name"] for column in added]


def _shape(keys: Iterable[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(key["Name"].lower(), key["Type"]) for key in keys]


def _said(keys: Sequence[Mapping[str, str]]) -> str:
    return ", ".join(f"{key['Name']} {key['Type']}" for key in keys) or "nothing"


def _changes_format(job: Job, table: Table) -> bool:
    """Whether the run changes the format of the table's files; refuses to mix two in one folder."""
    there = table["StorageDescriptor"].get("SerdeInfo", {}).get("SerializationLibrary", "")
    if there == serde(job).library:
        return False
    used = JOB in table.get("Parameters", {})
    adds = job.config.write_mode is WriteMode.APPEND or not job.partitions
    if used and (adds or projected(job, table)):
        raise FormatConflict(
            f"{job.declared.database}.{job.declared.table} is read by {there}, and output_format "
            f'"{job.config.output_format}" would add files to it that this cannot read; keep the format, or '
            "drop the table and its files"
        )
    return True
