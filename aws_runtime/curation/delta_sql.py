"""Delta tables, the words that do not depend on an engine: columns, types, a run's transaction.

In: a contract, a write mode, keys, partitions. Out: the table's columns with Delta's own types, or
`DeltaWriteError`. https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_runtime.contract import Column, Contract, DataType, Field
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.keyed import HISTORY, output_columns

#: Marks the row of a merge's source that only closes the row that is there.
CLOSES = "__closes"
#: The view of a run's rows.
INCOMING = "incoming"
#: Version of a run's transaction: a job's identifier is new for every run, so one number is enough.
TRANSACTION_VERSION = 1

#: Delta's names; an unsigned integer is stored as the next wider signed one, as everywhere.
_TYPES = {
    "boolean": "boolean",
    "int8": "byte",
    "int16": "short",
    "int32": "integer",
    "int64": "long",
    "uint8": "short",
    "uint16": "integer",
    "uint32": "long",
    "uint64": "decimal(20,0)",
    "float32": "float",
    "float64": "double",
    "string": "string",
    "date": "date",
    "binary": "binary",
}


class DeltaWriteError(Exception):
    """Rows that cannot go into a Delta table, or a table that others kept changing: nothing was written."""


def transaction_id(job_id: str) -> str:
    """Return the application id of a run's transaction."""
    return f"ingestion/{job_id}"


def table_columns(contract: Contract, mode: WriteMode) -> tuple[Column, ...]:
    """Return the columns of a contract's table.

    Raises:
        DeltaWriteError: A column of the contract is named as one that SCD2 adds.
    """
    added = {column.name for column in HISTORY} if mode is WriteMode.SCD2 else set()
    for column in contract.columns:
        if column.name.lower() in added:
            raise DeltaWriteError(f"scd2 adds the column {column.name!r}, which {contract.name} has already")
    return output_columns(mode, contract)


def check(contract: Contract, mode: WriteMode, keys: Sequence[str], partition_by: Sequence[str]) -> None:
    """Refuse what cannot be written.

    Raises:
        DeltaWriteError: Keys or partitions that are missing, or no columns.
    """
    names = {column.name for column in contract.columns}
    for what, given in (("key", keys), ("partition column", partition_by)):
        for name in given:
            if name not in names:
                raise DeltaWriteError(
                    f"the {what} {name!r} is no column of {contract.name}; there are {', '.join(sorted(names))}"
                )
    if mode in (WriteMode.MERGE, WriteMode.SCD2) and not keys:
        raise DeltaWriteError(f"write_mode {mode} needs keys")
    if mode is WriteMode.OVERWRITE_PARTITIONS and not partition_by:
        raise DeltaWriteError("write_mode overwrite_partitions needs partition columns")
    table_columns(contract, mode)


def check_rows(found: int, staged: int) -> None:
    """Refuse to write when not every staged row is there.

    Raises:
        DeltaWriteError: With both counts.
    """
    if found != staged:
        raise DeltaWriteError(f"the run staged {staged:,} rows, and {found:,} are found in its files")


def delta_type(given: DataType) -> object:
    """Return Delta's own type as the JSON of a schema has it."""
    match given.name:
        case "decimal":
            return f"decimal({given.precision},{given.scale})"
        case "timestamp":
            return "timestamp" if given.timezone else "timestamp_ntz"
        case "list":
            item = given.item or DataType("string")
            return {"type": "array", "elementType": delta_type(item), "containsNull": True}
        case "struct":
            return {"type": "struct", "fields": [delta_field(each) for each in given.fields]}
        case name:
            return _TYPES[name]


def delta_field(column: Column | Field) -> dict[str, object]:
    """Return one field of a Delta schema's JSON; the contract holds what may be null, not the table."""
    return {"name": column.name, "type": delta_type(column.type), "nullable": True, "metadata": {}}


def _item(given: DataType) -> DataType:
    return given.item or DataType("string")
