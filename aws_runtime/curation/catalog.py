"""Data Catalog: what a run published -> its table, evolved, with partitions and statistics.

In: a run and its published files. Out: what was registered. The table is checked before anything is
published, so that rows which it cannot hold are a failed run and not a table that nobody can query.
Calls: GetTable, UpdateTable, and for each 100 partitions BatchGetPartition and either
BatchCreatePartition or BatchUpdatePartition.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from aws_runtime.curation import projection, statistics
from aws_runtime.curation.files import Curated
from aws_runtime.curation.job import Job
from aws_runtime.curation.serdes import Serde, serde
from aws_runtime.curation.statistics import Counts
from aws_runtime.curation.table_schema import (
    JOB,
    Columns,
    Table,
    evolved,
    is_delta,
    partition_keys,
    projected,
)

#: Of all calls on partitions; BatchGetPartition alone takes more.
#: https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html
CHUNK = 100
#: Another run changed the table between reading and writing it.
ATTEMPTS = 20
#: What of a table's description may be written back.
#: https://docs.aws.amazon.com/glue/latest/webapi/API_TableInput.html
_INPUT = (
    "Name",
    "Description",
    "Owner",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "TableType",
    "Parameters",
    "TargetTable",
)


class CatalogError(Exception):
    """The catalog did not take a partition."""


@cache
def glue() -> Any:
    """Return the process's Glue client."""
    return boto3.client("glue", config=Config(retries={"mode": "standard", "max_attempts": 8}))


def described(job: Job) -> Table | None:
    """Return the table as the catalog has it; None where there is none, or none is declared."""
    if not job.declared.database:
        return None
    try:
        found: Table = glue().get_table(DatabaseName=job.declared.database, Name=job.declared.table)["Table"]
    except ClientError as error:
        if _code(error) == "EntityNotFoundException":
            return None
        raise
    return found


def check(job: Job, table: Table | None, partitions: Sequence[Mapping[str, str]]) -> None:
    """Check that the table can hold what a run is about to publish.

    Args:
        job: The run.
        table: As `described` has returned it.
        partitions: Values of the run's partitions.

    Raises:
        SchemaConflict, FormatConflict, ProjectionNotPossible: It cannot.
    """
    if not job.declared.database:
        return
    evolved(job, table)
    if projected(job, table):
        projection.properties(partition_keys(job), {}, _covered(job, table, partitions))


def register(job: Job, table: Table | None, files: Sequence[Curated]) -> dict[str, Any]:
    """Tell the catalog of what a run has published; a repetition changes nothing.

    Returns:
        `{"table", "added_columns", "partitions_added"}`; all empty where no table is declared.

    Raises:
        CatalogError: It did not take a partition.
    """
    if not job.declared.database:
        return {"table": "", "added_columns": [], "partitions_added": 0}
    if is_delta(job):  # its log says which partitions there are, and how many rows
        _, added = _put_table(job, table, {}, {}, [])
        return {
            "table": f"{job.declared.database}.{job.declared.table}",
            "added_columns": added,
            "partitions_added": 0,
        }
    new = _by_partition(job, files)
    # Projected partitions are in no catalog, so that what a run replaces is unknown.
    known = None if projected(job, table) else _known(job, new) if job.partitions else {}
    values = [dict(zip(job.partitions, one, strict=True)) for one in new]
    covered = _covered(job, table, values) if known is None else values
    shape, added = _put_table(job, table, new, known, covered)
    created = _put_partitions(job, shape, new, known) if job.partitions and known is not None else 0
    return {
        "table": f"{job.declared.database}.{job.declared.table}",
        "added_columns": added,
        "partitions_added": created,
    }


def _covered(
    job: Job, table: Table | None, partitions: Sequence[Mapping[str, str]]
) -> list[Mapping[str, str]]:
    """Return what projection is to cover: a run's partitions, and where it begins those that are there."""
    if not partitions or projection.enabled((table or {}).get("Parameters", {})):
        return list(partitions)
    # Also where a deployment has written the table anew.
    return [*partitions, *projection.listed(job.curated, job.partitions)]


def _by_partition(job: Job, files: Sequence[Curated]) -> dict[tuple[str, ...], Counts]:
    """Return what the run has put into each partition, by its values."""
    found: dict[tuple[str, ...], list[Curated]] = defaultdict(list)
    for file in files:
        found[tuple(file.partition[name] for name in job.partitions)].append(file)
    return {
        values: Counts(sum(f.rows for f in mine), len(mine), sum(f.size for f in mine), mine[0].folder)
        for values, mine in sorted(found.items())
    }


def _known(job: Job, new: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], Table]:
    """Return those partitions of the run that the catalog has."""
    place = {"DatabaseName": job.declared.database, "TableName": job.declared.table}
    found: dict[tuple[str, ...], Table] = {}
    for chunk in _chunks(list(new)):
        asked = [{"Values": list(values)} for values in chunk]
        while asked:
            try:
                answer = glue().batch_get_partition(**place, PartitionsToGet=asked)
            except ClientError as error:
                if _code(error) == "EntityNotFoundException":  # the table is not there yet
                    return {}
                raise
            found |= {tuple(one["Values"]): one for one in answer.get("Partitions", ())}
            # Partitions that are not there may be among them, so asking ends where it brings nothing.
            # https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-partitions.html
            asked = answer.get("UnprocessedKeys", []) if answer.get("Partitions") else []
    return found


def _put_table(
    job: Job,
    table: Table | None,
    new: Mapping[tuple[str, ...], Counts],
    known: Mapping[tuple[str, ...], Table] | None,
    covered: Sequence[Mapping[str, str]],
) -> tuple[Columns, list[str]]:
    """Create the table or change it; returns its columns, and the names of those that were added."""
    database = job.declared.database
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(attempt)
            table = described(job)
        shape, added = evolved(job, table)
        given = _table_input(job, table, shape, new, known)
        if projected(job, table):
            given["Parameters"] |= projection.properties(partition_keys(job), given["Parameters"], covered)
        try:
            if table is None:
                glue().create_table(DatabaseName=database, TableInput=given)
            else:
                # Without an archive: each run changes statistics, and old versions count against a quota.
                version = {"VersionId": table["VersionId"]} if "VersionId" in table else {}
                glue().update_table(DatabaseName=database, TableInput=given, SkipArchive=True, **version)
        except ClientError as error:
            if _code(error) not in {"ConcurrentModificationException", "AlreadyExistsException"}:
                raise
        else:
            return shape, added
    raise CatalogError(f"{database}.{job.declared.table} was changed by others {ATTEMPTS} times in a row")


def pause(attempt: int) -> None:
    """Wait before the table is read again, the longer the more often: up to two seconds, at random."""
    time.sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 - no secret


def _table_input(
    job: Job,
    table: Table | None,
    shape: Columns,
    new: Mapping[tuple[str, ...], Counts],
    known: Mapping[tuple[str, ...], Table] | None,
) -> dict[str, Any]:
    form = serde(job)
    there: Table = table or {
        "Name": job.declared.table,
        "Description": job.declared.output_contract.description[:2048],
        "TableType": "EXTERNAL_TABLE",
    }
    parameters = {
        name: text for name, text in there.get("Parameters", {}).items() if name not in form.foreign
    }
    if parameters.get(JOB) != job.id and not is_delta(job):
        replaced = None if known is None else [one.get("Parameters", {}) for one in known.values()]
        parameters = statistics.of_table(job, parameters, new, replaced)
    parameters |= {"EXTERNAL": "TRUE", JOB: job.id, **form.table}
    return {
        **{name: there[name] for name in _INPUT if there.get(name)},
        "Parameters": parameters,
        "PartitionKeys": partition_keys(job),
        "StorageDescriptor": _storage(there.get("StorageDescriptor", {}), shape, form, job.curated),
    }


def _storage(there: Table, shape: Columns, form: Serde, location: str) -> dict[str, Any]:
    return {
        **there,
        "Columns": shape,
        "Location": location,
        "InputFormat": form.input,
        "OutputFormat": form.output,
        "SerdeInfo": {"SerializationLibrary": form.library, "Parameters": dict(form.parameters)},
    }


def _put_partitions(
    job: Job,
    shape: Columns,
    new: Mapping[tuple[str, ...], Counts],
    known: Mapping[tuple[str, ...], Table],
) -> int:
    """Create or change the partitions of a run; returns how many were created."""
    place = {"DatabaseName": job.declared.database, "TableName": job.declared.table}
    wanted = {
        values: _partition(job, values, counts, shape, known.get(values)) for values, counts in new.items()
    }
    absent = [values for values in wanted if values not in known]
    for chunk in _chunks(absent):
        answer = glue().batch_create_partition(
            **place, PartitionInputList=[wanted[values] for values in chunk]
        )
        _refuse(job, answer, {"AlreadyExistsException"})
    changed = [values for values, there in known.items() if _differs(wanted[values], there)]
    for chunk in _chunks(changed):
        entries = [{"PartitionValueList": list(values), "PartitionInput": wanted[values]} for values in chunk]
        _refuse(job, glue().batch_update_partition(**place, Entries=entries), set())
    return len(absent)


def _partition(
    job: Job,
    values: tuple[str, ...],
    counts: Counts,
    shape: Columns,
    there: Table | None,
) -> dict[str, Any]:
    form, parameters = serde(job), dict((there or {}).get("Parameters", {}))
    if parameters.get(JOB) != job.id:
        parameters = statistics.of_partition(job, parameters, counts)
    parameters |= {JOB: job.id, "classification": form.table["classification"]}
    storage = (there or {}).get("StorageDescriptor", {})
    return {
        "Values": list(values),
        "StorageDescriptor": _storage(storage, shape, form, counts.folder),
        "Parameters": parameters,
    }


def _differs(wanted: Table, there: Table) -> bool:
    return any(wanted[key] != there.get(key) for key in ("StorageDescriptor", "Parameters"))


def _refuse(job: Job, answer: Table, fine: set[str]) -> None:
    for error in answer.get("Errors") or ():
        detail = error["ErrorDetail"]
        if detail["ErrorCode"] not in fine:
            values = error.get("PartitionValues") or error.get("PartitionValueList")
            raise CatalogError(
                f"{job.declared.database}.{job.declared.table}: partition {values}: "
                f"{detail['ErrorCode']}: {detail.get('ErrorMessage', '')}"
            )


def _chunks(items: Sequence[tuple[str, ...]]) -> Iterator[Sequence[tuple[str, ...]]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
