"""What is loaded into a warehouse, and how: the same words and the same transaction for every warehouse.

In: a `Load`. Out: SQL of its `Dialect`. A run is loaded in one transaction and once: the transaction also
writes the run's id into the table `ingestion_loads` of the same schema, and a run that is there loads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.partitions import HIVE_NULL
from aws_runtime.plan import PartitionPlan

#: Remembers the runs that are in; one for each schema.
LEDGER = "ingestion_loads"
#: A session's temporary tables: a run's rows with every column of the contract; and as the files have them.
STAGING, COPIED = "ingestion_staging", "ingestion_copied"
#: Columns of ours in them: the partition's folder, and the file that a row came from.
PARTITION, FILE = "ingestion_partition", "ingestion_file"
RESERVED = frozenset({LEDGER, STAGING, COPIED, PARTITION, FILE})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
#: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_JOB = re.compile(r"[^\x00-\x1f\x7f\\'\"]{1,200}")


class LoadMode(StrEnum):
    """How rows meet the rows that are there.

    APPEND inserts the run's rows. MERGE replaces rows of equal keys and inserts the others.
    OVERWRITE_PARTITIONS replaces all rows of the partitions that the run brings (without partitions, of the
    table); of two runs that bring one partition the newer one stays, whichever is loaded last.
    """

    APPEND = "append"
    MERGE = "merge"
    OVERWRITE_PARTITIONS = "overwrite_partitions"


class WarehouseError(Exception):
    """A load that is not known to have ended well; a repeated run loads what is not in."""


class WarehouseFailedError(WarehouseError):
    """The warehouse itself ended the transaction: its words, and nothing of the run is in the table."""


class WarehouseBusy(WarehouseError):  # noqa: N818 - the state machine retries by this name
    """The warehouse is still at the load when the caller's time is up; a retry waits on."""


@dataclass(frozen=True, slots=True)
class LoadFile:
    """One Parquet file of a run: its S3 URI, its size, its rows, and its partition's values by name."""

    uri: str
    bytes: int
    rows: int
    partition: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Name of the partition: `dt=2024-07-02/region=eu`; empty without partitions."""
        return "/".join(f"{name}={value}" for name, value in self.partition.items())


@dataclass(frozen=True, slots=True)
class Load:
    """One run into one table.

    Args:
        job_id: The run; loading it again changes nothing.
        schema: The warehouse's schema.
        table: The table.
        contract: Its columns.
        files: The run's Parquet files, with the contract's columns in order, less those that are
            partitions of their own name.
        mode: How rows meet the rows that are there.
        keys: Of MERGE.
        partition_by: How the files are partitioned.
        run_at: A text that orders runs, later runs after earlier ones.
    """

    job_id: str
    schema: str
    table: str
    contract: Contract
    files: Sequence[LoadFile]
    mode: LoadMode = LoadMode.APPEND
    keys: Sequence[str] = ()
    partition_by: Sequence[PartitionPlan] = ()
    run_at: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be loaded.

        Raises:
            ValueError: A name that needs more than quoting, no key to merge by, or a key that no column is.
        """
        for name in (self.schema, self.table):
            check_name(name)
        if not _JOB.fullmatch(self.job_id) or not re.fullmatch(r"[A-Za-z0-9.:+-]{0,64}", self.run_at):
            raise ValueError(f"{self.job_id!r} at {self.run_at!r} is no id of a run")
        names = [column.name for column in self.contract.columns]
        if ours := RESERVED.intersection(name.lower() for name in names):
            raise ValueError(f"{self.table}: the column {min(ours)!r} is one of the loads themselves")
        if self.mode is LoadMode.MERGE and not self.keys:
            raise ValueError(f"a merge into {self.table} needs keys")
        for key in self.keys:
            if key not in names:
                raise ValueError(
                    f"the key {key!r} is no column of {self.table}; there are {', '.join(names)}"
                )

    @property
    def in_path(self) -> tuple[Column, ...]:
        """Columns that the files leave out, because their folders name them."""
        folders = {by.name for by in self.partition_by if by.transform == "identity" and by.column == by.name}
        return tuple(column for column in self.contract.columns if column.name in folders)

    @property
    def in_files(self) -> tuple[Column, ...]:
        """Columns of the files, in their order."""
        out = self.in_path
        return tuple(column for column in self.contract.columns if column not in out)

    @property
    def partitioned(self) -> bool:
        """Whether rows must know the folder that they come from."""
        return bool(self.in_path) or self.mode is LoadMode.OVERWRITE_PARTITIONS

    @property
    def rows(self) -> int:
        """How many rows the files hold; what is copied must be as many."""
        return sum(file.rows for file in self.files)

    def groups(self) -> dict[str, list[LoadFile]]:
        """Return the files by folder, or all under one where rows need not know it; sorted."""
        found: dict[str, list[LoadFile]] = {}
        for file in sorted(self.files, key=lambda one: one.uri):
            found.setdefault(file.folder if self.partitioned else "", []).append(file)
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where warehouses differ.

    Args:
        quoted: Quotes an identifier.
        sql_type: Type of a column.
        now: Function of the time.
        text: Type of names in the ledger.
    """

    quoted: Callable[[str], str]
    sql_type: Callable[[DataType], str]
    now: str
    text: str = "VARCHAR(1024)"

    def listed(self, columns: Sequence[Column], prefix: str = "") -> str:
        """Return quoted names with commas between them."""
        return ", ".join(prefix + self.quoted(column.name) for column in columns)

    def declared(self, columns: Sequence[Column], *, nullable: bool = False) -> str:
        """Return columns with their types, as CREATE TABLE takes them."""
        return ", ".join(
            f"{self.quoted(column.name)} {self.sql_type(column.type)}"
            + ("" if nullable or column.nullable else " NOT NULL")
            for column in columns
        )


def check_name(name: str) -> None:
    """Check the name of a schema or table.

    Raises:
        ValueError: It needs more than quoting, or is a table of the loads themselves.
    """
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a schema or table: letters, digits and _")
    if name.lower() in RESERVED:
        raise ValueError(f"{name!r} is a table of the loads themselves; call the target otherwise")


def quoted(name: str) -> str:
    """Quote an identifier as SQL does."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text as SQL does.

    Raises:
        ValueError: A backslash, which some warehouses read as the beginning of an escape.
    """
    if "\\" in text:
        raise ValueError(f"{text!r} has a backslash")
    return "'" + text.replace("'", "''") + "'"


def value(text: str) -> str:
    """Return an expression that is the text, with backslashes in a form that every warehouse reads alike."""
    return " || CHR(92) || ".join(literal(part) for part in text.split("\\"))


def folder_value(text: str) -> str:
    """Return an expression of a partition's value as its folder spells it."""
    return "NULL" if text == HIVE_NULL else value(text)


def tables(load: Load, dialect: Dialect) -> list[str]:
    """Return the statements that make the table and the ledger where they are not there."""
    text = dialect.text
    return [
        f"CREATE TABLE IF NOT EXISTS {target(load, dialect)} ({dialect.declared(load.contract.columns)})",
        (
            f"CREATE TABLE IF NOT EXISTS {ledger(load, dialect)} (table_name {text} NOT NULL, "
            f"job_id {text} NOT NULL, partition_name {text} NOT NULL, run_at {text} NOT NULL, "
            "loaded_at TIMESTAMP NOT NULL)"
        ),
    ]


def staging(load: Load, dialect: Dialect) -> str:
    """Return the statement that makes the table of the run's rows."""
    columns = dialect.declared(load.contract.columns)
    more = f", {PARTITION} {dialect.text}" if load.partitioned else ""
    return f"CREATE TEMPORARY TABLE {STAGING} ({columns}{more})"


def transaction(load: Load, dialect: Dialect) -> list[str]:
    """Return what the transaction does once it has its lock, from the staging table to the table."""
    run_of_table = f"table_name = {literal(load.table)} AND job_id = {literal(load.job_id)}"
    known = f"SELECT 1 FROM {ledger(load, dialect)} WHERE {run_of_table}"
    names = dialect.listed(load.contract.columns)
    result = [
        f"DELETE FROM {STAGING} WHERE EXISTS ({known})",
        *_making_room(load, dialect),
    ]
    result.append(f"INSERT INTO {target(load, dialect)} ({names}) SELECT {names} FROM {STAGING}")
    into = f"INSERT INTO {ledger(load, dialect)} (table_name, job_id, partition_name, run_at, loaded_at)"
    run = f"{literal(load.table)}, {literal(load.job_id)}"
    at = f"{literal(load.run_at)}, {dialect.now}"
    result.append(f"{into} SELECT {run}, '', {at} FROM (SELECT 1 AS one) AS once WHERE NOT EXISTS ({known})")
    if load.mode is LoadMode.OVERWRITE_PARTITIONS and load.partition_by:
        result.append(f"{into} SELECT DISTINCT {run}, {PARTITION}, {at} FROM {STAGING}")
    return result


def _making_room(load: Load, dialect: Dialect) -> list[str]:
    """Return the deletions that come before the insert."""
    match load.mode:
        case LoadMode.APPEND:
            return []
        case LoadMode.MERGE:
            return [_deletion(load, dialect, [("{}", key) for key in load.keys])]
        case LoadMode.OVERWRITE_PARTITIONS:
            newer = (
                f"DELETE FROM {STAGING} WHERE {PARTITION} IN (SELECT partition_name FROM {ledger(load, dialect)} "
                f"WHERE table_name = {literal(load.table)} AND run_at > {literal(load.run_at)})"
            )
            parts = [(_TRANSFORMS[by.transform], by.column) for by in load.partition_by]
            return [newer, _deletion(load, dialect, parts)]


#: A part of a date that names a folder, of both sides.
_TRANSFORMS = {
    "identity": "{}",
    "day": "CAST({} AS DATE)",
    "month": "DATE_TRUNC('month', {})",
    "year": "DATE_TRUNC('year', {})",
    "hour": "DATE_TRUNC('hour', {})",
    "month_of_year": "EXTRACT(MONTH FROM {})",
    "day_of_month": "EXTRACT(DAY FROM {})",
}


def _deletion(load: Load, dialect: Dialect, parts: Sequence[tuple[str, str]]) -> str:
    """Delete the table's rows that equal a staged row in all `parts`: an expression over `{}`, a column."""

    def of(side: str, part: str, column: str) -> str:
        return part.replace("{}", f"{side}.{dialect.quoted(column)}")

    here = dialect.quoted(load.table)
    same = " AND ".join(f"{of(STAGING, *part)} = {of(here, *part)}" for part in parts) or "1 = 1"
    return f"DELETE FROM {target(load, dialect)} WHERE EXISTS (SELECT 1 FROM {STAGING} WHERE {same})"


def target(load: Load, dialect: Dialect) -> str:
    """Return the table's quoted name."""
    return f"{dialect.quoted(load.schema)}.{dialect.quoted(load.table)}"


def ledger(load: Load, dialect: Dialect) -> str:
    """Return the ledger's name; names of ours are not quoted, so that each warehouse folds them as it does."""
    return f"{dialect.quoted(load.schema)}.{LEDGER}"
