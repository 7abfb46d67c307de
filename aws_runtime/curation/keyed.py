"""Runs whose rows have keys (merge, scd2): what must hold before anything is touched, and what they write.

In: a write mode, keys, the contract of the curated rows and its partitions. Out: the columns of the table
and the contracts of its rows, or a `ConfigError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aws_runtime.contract import Column, Contract, DataType, Rule
from aws_runtime.curation.config import ConfigError, WriteMode
from aws_runtime.partitions import HIVE_NULL
from aws_runtime.plan import PartitionPlan

#: Columns that scd2 adds: since when a row has been true, until when (null: still), and whether it is.
VALID_FROM, VALID_TO, IS_CURRENT = "valid_from", "valid_to", "is_current"
HISTORY = (
    Column(VALID_FROM, DataType("timestamp"), nullable=True, description="Since when the row has been true."),
    Column(VALID_TO, DataType("timestamp"), nullable=True, description="Until when; null while it is."),
    Column(IS_CURRENT, DataType("boolean"), nullable=True, description="Whether the row is true now."),
)
#: Write modes that find a row by its key.
KEYED = frozenset({WriteMode.MERGE, WriteMode.SCD2})
#: Types whose values are no keys: engines compare them in ways of their own.
_NO_KEYS = frozenset({"list", "struct", "binary", "float32", "float64"})


def output_columns(mode: WriteMode, contract: Contract) -> tuple[Column, ...]:
    """Return the columns of the curated rows: the contract's, and those that scd2 adds."""
    return (*contract.columns, *HISTORY) if mode is WriteMode.SCD2 else contract.columns


def check(
    mode: WriteMode, keys: Sequence[str], contract: Contract, partition_by: Sequence[PartitionPlan]
) -> None:
    """Check that rows of these keys can be found again in files.

    Raises:
        ConfigError: A key is no column, or of no type that keys have; a partition column is no key, so that
            a row could move to another partition; or the contract has a column that scd2 adds.
    """
    if mode not in KEYED:
        return
    types = {column.name: column.type for column in contract.columns}
    for key in keys:
        if key not in types:
            raise ConfigError(
                f"keys: {key!r} is no column of {contract.name}; there are {', '.join(sorted(types))}"
            )
        if types[key].name in _NO_KEYS:
            raise ConfigError(f"keys: {key!r} is a {types[key]}, by which no row is told from another")
    for by in partition_by:
        if by.column not in keys:
            raise ConfigError(
                f"write_mode: {mode} needs the partition column {by.column!r} among keys, or a Delta table"
            )
    added = {column.name for column in HISTORY} if mode is WriteMode.SCD2 else set()
    for name in types:
        if name.lower() in added:
            raise ConfigError(f"write_mode: scd2 adds the column {name!r}, which {contract.name} has already")


def row_contract(contract: Contract, keys: Sequence[str], partition_by: Sequence[PartitionPlan]) -> Contract:
    """Return the contract that a run's own rows keep: without a key no row goes into the table."""
    folders = {by.column for by in partition_by if by.transform == "identity"}

    def keyed(column: Column) -> Column:
        if column.name not in keys:
            return column
        rules = column.rules
        if column.name in folders and column.type.name == "string":
            # In a folder's name both are null, and come back as it.
            never = {"forbidden_values": ["", HIVE_NULL]}
            rules = (*rules, Rule(f"{column.name}.key", "notin", never))
        return replace(column, nullable=False, rules=rules)

    return replace(contract, columns=tuple(keyed(column) for column in contract.columns))


def file_contract(name: str, columns: Sequence[Column]) -> Contract:
    """Return the contract by which curated files are read again: their types, and no rule.

    What is in the table was judged by the contract of its own day.
    """
    return Contract(
        name,
        tuple(
            Column(column.name, column.type, nullable=True, required=False, coerce=True) for column in columns
        ),
    )
