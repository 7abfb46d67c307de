"""Contract types -> Hive types, as the Data Catalog, Athena and Spark spell them.

In: a `DataType`. Out: its spelling. https://docs.aws.amazon.com/athena/latest/ug/data-types.html
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_runtime.contract import DataType

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


class NoHiveTypeError(ValueError):
    """The catalog has no such type.

    Args:
        at: `Model.column`, or a field of it.
        kind: The type's name.
    """

    def __init__(self, at: str, kind: str) -> None:
        super().__init__(f"{at} is a {kind}, which the Data Catalog has no type for")
        self.at, self.kind = at, kind


def hive_type(given: DataType, at: str) -> str:
    """Return the Hive type of `given`.

    Args:
        given: A contract's type.
        at: `Model.column`, for the error.

    Raises:
        NoHiveTypeError: The catalog has none.
    """
    match given.name:
        case "decimal":
            return f"decimal({given.precision},{given.scale})"
        case "list" if given.item is not None:
            return f"array<{hive_type(given.item, at)}>"
        case "struct":
            fields = (f"{f.name}:{hive_type(f.type, f'{at}.{f.name}')}" for f in given.fields)
            return f"struct<{','.join(fields)}>"
        case name if name in NAMES:
            return NAMES[name]
    raise NoHiveTypeError(at, given.name)
