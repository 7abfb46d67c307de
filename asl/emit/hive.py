"""Contract types -> Hive types of the catalog's tables; a type that it lacks is the declaration's mistake."""

from __future__ import annotations

from aws_runtime import hive
from aws_runtime.contract import DataType
from ingestion_assets.errors import CompileError, Where


def hive_type(given: DataType, at: str, where: Where) -> str:
    """Return the Hive type of `given`.

    Args:
        given: A contract's type.
        at: `Model.column`, for the error.
        where: The asset.

    Raises:
        CompileError: ASL040, when the catalog has no such type.
    """
    try:
        return hive.hive_type(given, at)
    except hive.NoHiveTypeError as error:
        raise CompileError(
            "ASL040",
            where,
            str(error),
            "Convert it in the transform: a time to a string, a duration to a number of seconds",
        ) from None
