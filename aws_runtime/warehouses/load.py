"""What is loaded into a warehouse, and how: the same words for every warehouse.

A run is loaded in one transaction and once: the transaction also writes the run's id into the table
`ingestion_loads`, beside the table's name, and loads nothing where both are there already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aws_runtime.contract import Contract

#: Remembers the runs that are in; one for each schema.
LEDGER = "ingestion_loads"
#: Holds a run's rows within its transaction.
STAGING = "ingestion_staging"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
_JOB = re.compile(r"[A-Za-z0-9._:#/=-]{1,200}")


class LoadMode(StrEnum):
    """APPEND inserts the run's rows; MERGE replaces rows of equal keys and inserts the others."""

    APPEND = "append"
    MERGE = "merge"


class WarehouseError(Exception):
    """A load that is not known to have ended well; a repeated run loads what is not in."""


class WarehouseFailedError(WarehouseError):
    """The warehouse itself ended the transaction: its words, and nothing of the run is in the table."""


@dataclass(frozen=True, slots=True)
class Load:
    """One run into one table.

    Args:
        job_id: The run; loading it again changes nothing.
        schema: The warehouse's schema.
        table: The table.
        contract: Its columns.
        files: S3 URIs of the run's Parquet files.
        mode: How rows meet the rows that are there.
        keys: Of MERGE.
    """

    job_id: str
    schema: str
    table: str
    contract: Contract
    files: Sequence[str]
    mode: LoadMode = LoadMode.APPEND
    keys: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be loaded.

        Raises:
            ValueError: A name that needs more than quoting, no key to merge by, or a key that no column is.
        """
        for name in (self.schema, self.table):
            if not _IDENTIFIER.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a schema or table: letters, digits and _")
        if self.table in (LEDGER, STAGING):
            raise ValueError(f"{self.table!r} is a table of the loads themselves; call the target otherwise")
        if not _JOB.fullmatch(self.job_id):
            raise ValueError(f"{self.job_id!r} is no id of a run")
        names = [column.name for column in self.contract.columns]
        if self.mode is LoadMode.MERGE and not self.keys:
            raise ValueError(f"a merge into {self.table} needs keys")
        for key in self.keys:
            if key not in names:
                raise ValueError(
                    f"the key {key!r} is no column of {self.table}; there are {', '.join(names)}"
                )


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


def listed(names: Sequence[str], prefix: str = "") -> str:
    """Return quoted names with commas between them."""
    return ", ".join(prefix + quoted(name) for name in names)
