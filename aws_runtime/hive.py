"""Contract -> Data Catalog columns: the Hive type names that Glue, Athena and Spark read.

In: a contract. Out: `Columns` of a Glue table (https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html).
"""

from __future__ import annotations

from aws_runtime.contract import Contract, DataType

_TYPES = {
    "string": "string",
    "boolean": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    # Stored as the next wider signed type: Hive has no unsigned ones.
    "uint8": "smallint",
    "uint16": "int",
    "uint32": "bigint",
    "uint64": "decimal(20,0)",
    "float32": "float",
    "float64": "double",
    "date": "date",
    "binary": "binary",
    # An instant in UTC and a local time are both `timestamp` to Athena.
    "timestamp": "timestamp",
}


def hive_type(given: DataType) -> str:
    """Return the Hive name of a type: `array<struct<price:double>>`; names are lowered as Glue does."""
    if given.item is not None:
        return f"array<{hive_type(given.item)}>"
    if given.name == "struct":
        return "struct<" + ",".join(f"{f.name.lower()}:{hive_type(f.type)}" for f in given.fields) + ">"
    if given.name == "decimal":
        return f"decimal({given.precision},{given.scale})"
    return _TYPES[given.name]


def glue_columns(contract: Contract) -> list[dict[str, str]]:
    """Return the `Columns` of the contract's Glue table: Name, Type and, where there is one, Comment.

    Glue keeps at most 255 bytes of a comment.
    """
    columns = []
    for column in contract.columns:
        comment = column.description.encode()[:255].decode(errors="ignore")
        made = {"Name": column.name.lower(), "Type": hive_type(column.type)}
        columns.append(made | ({"Comment": comment} if comment else {}))
    return columns
