"""Where data and its bookkeeping lie: buckets, tables, the Data Catalog. In: nothing. Out: dataclasses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notification:
    """What a bucket tells a queue of: objects created whose keys begin and end so.

    Args:
        queue: Logical id of the queue.
        prefix: Of the keys; empty for any.
        suffix: Of the keys; empty for any.
    """

    queue: str
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket: versioned, encrypted, TLS only, kept when the stack goes.

    Args:
        id: Logical id.
        name: Logical name; physically `<stack>-<name>-<account>`.
        events: Whether its events go to EventBridge.
        notifications: Queues that its events go to.
        aborts_uploads_after_days: Incomplete multipart uploads.
        expires_noncurrent_after_days: Versions that were overwritten or deleted.
    """

    id: str
    name: str
    events: bool = False
    notifications: tuple[Notification, ...] = ()
    aborts_uploads_after_days: int = 7
    expires_noncurrent_after_days: int = 90


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table: on demand, encrypted, restorable, kept when the stack goes.

    Args:
        id: Logical id.
        keys: Its partition key and, where it has one, its sort key: name and type, `S` or `N`.
        pipeline: For the tags.
        name: Physical name, a template; empty to let CloudFormation choose.
        live: Whether it has the sparse index `live`, of what is not finished (docs/ingress.md).
        expires: Whether items expire by `expires_at`.
    """

    id: str
    keys: tuple[tuple[str, str], ...]
    pipeline: str
    name: str = ""
    live: bool = False
    expires: bool = True


@dataclass(frozen=True, slots=True)
class CatalogDatabase:
    """A Glue database."""

    id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column of a catalog table, with its Hive type."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A Glue table of Parquet files.

    Args:
        id: Logical id.
        database: Logical id of its database.
        name: Table name.
        location: `s3://…/`.
        columns: Of the files.
        partition_keys: Hive partition columns, outermost first.
        compression: Parquet codec.
        description: For the catalog.
    """

    id: str
    database: str
    name: str
    location: str
    columns: tuple[CatalogColumn, ...]
    partition_keys: tuple[CatalogColumn, ...]
    compression: str
    description: str


@dataclass(frozen=True, slots=True)
class Crawler:
    """A Glue crawler over tables that the catalog has already.

    Args:
        id: Logical id.
        name: Physical name.
        role: Logical id of its role.
        database: Logical id.
        tables: Logical ids.
        pipeline: For the tags.
    """

    id: str
    name: str
    role: str
    database: str
    tables: tuple[str, ...]
    pipeline: str
