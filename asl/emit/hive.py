"""Contract types -> Hive types, as the Data Catalog, Athena and Spark spell them.

https://docs.aws.amazon.com/athena/latest/ug/data-types.html
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_runtime.contract import DataType
from ingestion_assets.errors import CompileError, Where

#: Unsigned integers are stored as the next wider signed type.
NAMES: Mapping[str, str] = {
    "string": "string",
    "boolean": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "int",
    "uint32": "bigint",
    "uint64": "decimal(20,0)",
    "float32": "float",
    "float64": "double",
    "date": "date",
    "timestamp": "timestamp",
    "binary": "binary",
}


def hive_type(given: DataType, at: str, where: Where) -> str:
    """Return the Hive type of `given`.

    Args:
        given: A contract's type.
        at: `Model.column`, for the error.
        where: The asset.

    Raises:
        CompileError: ASL040, when the catalog has no such type.
    """
    match given.name:
        case "decimal":
            return f"decimal({given.precision},{given.scale})"
        case "list" if given.item is not None:
            return f"array<{hive_type(given.item, at, where)}>"
        case "struct":
            fields = (f"{f.name}:{hive_type(f.type, f'{at}.{f.name}', where)}" for f in given.fields)
            return f"struct<{','.join(fields)}>"
        case name if name in NAMES:
            return NAMES[name]
    raise CompileError(
        "ASL040",
        where,
        f"{at} is a {given.name}, which the Data Catalog has no type for",
        "Convert it in the transform: a time to a string, a duration to a number of seconds",
    )
