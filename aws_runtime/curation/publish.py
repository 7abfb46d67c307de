"""Load: staged Parquet -> curated files, by write mode; staging is emptied last.

In: the run and its record. Out: the answer of the state `Load`. Names derive from the run, so a retry
overwrites its own files. `committed.json` is written once all files are there, and names what they
replace; `outputs.json` tells others what was published; `published.json` says that nothing but emptying
the staging is left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

from aws_runtime import storage
from aws_runtime.codec import decode, encode
from aws_runtime.curation import catalog, delta_log, delta_publish, replacing
from aws_runtime.curation.checking import staged_files
from aws_runtime.curation.config import TableFormat, WriteMode
from aws_runtime.curation.files import Curated, curated, publish_files
from aws_runtime.curation.job import Job
from aws_runtime.curation.leases import Committed, read_commit
from aws_runtime.curation.table_schema import FormatConflict
from aws_runtime.curation.warehouses import SECONDS, load_into

LISTED = 100


def publish(job: Job, record: str, remaining: Callable[[], float] = lambda: SECONDS) -> dict[str, Any]:
    """Publish what a run staged.

    Args:
        job: The run.
        record: URI of its run record.
        remaining: Tells how many seconds are left for what is still to do.

    Raises:
        RunRecordError: There is nothing to publish by.
        SchemaConflict, FormatConflict, ProjectionNotPossible: The catalog's table cannot hold the rows;
            nothing was published.
        TableChanged: The run read partitions that another one has replaced since; nothing was published.
        PartitionsBusy: Another run is replacing a partition; a retry waits for it.
        WarehouseError: A warehouse did not take the run, which is published; a retry loads what is not in.
    """
    done: dict[str, Any] | None = storage.get_json(f"{job.runs}published.json")
    if done is None:
        done = _publish(job, record, remaining)
        storage.put_json(f"{job.runs}published.json", done)
    _empty(job.staging)
    return done


def _publish(job: Job, record: str, remaining: Callable[[], float]) -> dict[str, Any]:
    if job.config.table_format is TableFormat.DELTA:
        return _publish_table(job, record, remaining)
    if delta_log.newest(job.curated) is not None:
        raise FormatConflict(
            f'{job.curated} is a Delta table, in which plain files are no rows; set "table_format": "delta"'
        )
    at = f"{job.runs}committed.json"
    commit = read_commit(at)
    table = catalog.described(job)
    if commit is None:
        found, entries = staged_files(job, record)
        replacing.check_read(job, found)
        files = [curated(job, entry) for entry in entries]
        catalog.check(job, table, [file.partition for file in files])
        _claim(job, files)
        if job.config.write_mode is WriteMode.APPEND:
            commit = Committed(_copied(job, files), {})
            storage.put_json(at, encode(commit))
        else:
            commit = replacing.replace(job, files, at, lambda wanted: _copied(job, wanted))
    else:
        replacing.resume(job, commit)
    published = [decode(Curated, file) for file in commit.files]
    storage.put_json(f"{job.runs}outputs.json", _manifest(job, published))
    registered = catalog.register(job, table, published)
    loaded = load_into(job, published, seconds=remaining())
    return {**_answer(job, published, commit), "catalog": registered, "warehouses": loaded}


def _publish_table(job: Job, record: str, remaining: Callable[[], float]) -> dict[str, Any]:
    """Tell of a run that is in its Delta table already."""
    _, entries = staged_files(job, record)
    published = delta_publish.published(job)
    storage.put_json(f"{job.runs}outputs.json", _manifest(job, published))
    registered = catalog.register(job, catalog.described(job), published)
    loaded = load_into(job, [curated(job, entry) for entry in entries], seconds=remaining())
    answer = _answer(job, published, Committed((), {}))
    rows = sum(entry["rows"] for entry in entries)
    return {**answer, "rows": rows, "catalog": registered, "warehouses": loaded}


def _claim(job: Job, files: list[Curated]) -> None:
    """Note the files that are about to be written; delete those that only an earlier attempt has written.

    A run that is resumed with another processor, format or write mode has staged other files.
    """
    at, wanted = f"{job.runs}claimed.json", sorted(file.uri for file in files)
    before: list[str] | None = storage.get_json(at)
    if before == wanted:
        return
    stale = set(before or ()) - set(wanted)
    storage.delete_all(stale)
    folders = {f"{uri.rpartition('/')[0]}/" for uri in stale}
    replacing.leave(job, folders - {file.folder for file in files})
    storage.put_json(at, wanted)


def _copied(job: Job, files: list[Curated]) -> tuple[dict[str, Any], ...]:
    return tuple(encode(file) for file in publish_files(job, files))


def _empty(prefix: str) -> None:
    bucket, key = storage.parse_uri(prefix)
    pages = storage.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    found = [f"s3://{bucket}/{entry['Key']}" for page in pages for entry in page.get("Contents", ())]
    if found:
        storage.delete_all(found)


def _manifest(job: Job, files: list[Curated]) -> dict[str, Any]:
    """Return a batch's manifest (docs/ingress.md) of what was published."""
    moment = job.event_time.astimezone(UTC)
    entries = []
    for file in sorted(files, key=lambda each: each.uri):
        bucket, key = storage.parse_uri(file.uri)
        version = {"version_id": file.version_id} if file.version_id else {}
        entries.append(
            {
                "bucket": bucket,
                "key": key,
                **version,
                "etag": file.etag,
                "size": file.size,
                "event_time": job.event_time.isoformat(),
                "partition": dict(file.partition),
            }
        )
    return {
        "pipeline": job.declared.pipeline,
        "date": moment.date().isoformat(),
        "batch": 1,
        "bytes": sum(file.size for file in files),
        "together": True,
        "files": entries,
    }


def _answer(job: Job, files: list[Curated], commit: Committed) -> dict[str, Any]:
    partitions = sorted({"/".join(f"{n}={v}" for n, v in file.partition.items()) for file in files} - {""})
    return {
        "status": "loaded",
        "outputs": sorted(file.uri for file in files)[:LISTED],
        "output_count": len(files),
        "rows": sum(file.rows for file in files),
        "partitions": partitions[:LISTED],
        "partitions_superseded": len(commit.superseded),
        "manifest": f"{job.runs}outputs.json",
    }
