"""`Load` -> Redshift's SQL, in the three parts that it runs in.

`preparation` makes the tables; `staging` fills a temporary table from S3; `transaction` moves its rows to the
table, once. In between lies nothing that a load which ends there would leave behind.
"""

from __future__ import annotations

from typing import Any

from aws_runtime.contract import DataType
from aws_runtime.warehouses import load as common
from aws_runtime.warehouses.load import (
    COPIED,
    PARTITION,
    STAGING,
    Dialect,
    Load,
    LoadFile,
    folder_value,
    literal,
    quoted,
    value,
)

#: https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html
_TYPES = {
    "boolean": "BOOLEAN",
    "int8": "SMALLINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "SMALLINT",
    "uint16": "INTEGER",
    "uint32": "BIGINT",
    "uint64": "DECIMAL(20,0)",
    "float32": "REAL",
    "float64": "DOUBLE PRECISION",
    "string": "VARCHAR(65535)",
    "date": "DATE",
    "binary": "VARBYTE(1024000)",
    "list": "SUPER",
    "struct": "SUPER",
}


def sql_type(given: DataType) -> str:
    """Return Redshift's type of a column."""
    if given.name == "decimal":
        return f"DECIMAL({given.precision},{given.scale})"
    if given.name == "timestamp":
        return "TIMESTAMPTZ" if given.timezone else "TIMESTAMP"
    return _TYPES[given.name]


DIALECT = Dialect(quoted, sql_type, "GETDATE()")


def preparation(load: Load) -> list[str]:
    """Return the statements that make the tables; a batch of their own, before the transaction.

    A transaction of Redshift sees the tables as they were at its first statement that reads, writes or creates;
    LOCK is none of these. So nothing may come before the LOCK that `transaction` begins with.
    https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html
    """
    return common.tables(load, DIALECT)


def staging(load: Load, manifests: str, role: str) -> list[str]:
    """Return the statements that fill the session's staging table; no lock is held meanwhile.

    COPY of Parquet goes by position and needs a table of the files' columns. Columns that only the folders name
    follow as literals, so each folder is copied by itself.
    https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html

    Args:
        load: What is loaded.
        manifests: S3 prefix of COPY's manifests (`manifest_uri`).
        role: Role that COPY reads S3 with.
    """
    result = [common.staging(load, DIALECT)]
    into = STAGING
    if load.partitioned:
        into = COPIED
        result.append(f"CREATE TEMPORARY TABLE {COPIED} ({DIALECT.declared(load.in_files)})")
    # https://docs.aws.amazon.com/redshift/latest/dg/ingest-super.html
    nested = any(column.type.name in ("list", "struct") for column in load.in_files)
    iam = "default" if role == "default" else literal(role)
    for number, files in enumerate(load.groups().values()):
        result.append(
            f"COPY {into} FROM {literal(manifest_uri(manifests, number))} IAM_ROLE {iam} "
            f"FORMAT AS PARQUET{' SERIALIZETOJSON' if nested else ''} MANIFEST"
        )
        if load.partitioned:
            result += [_filled(load, files[0]), f"DELETE FROM {COPIED}"]
    return result


def _filled(load: Load, of: LoadFile) -> str:
    """Move what was copied to the staging table, with the columns of its folder."""
    named = ", ".join(
        f"CAST({folder_value(of.partition[column.name])} AS {sql_type(column.type)})"
        for column in load.in_path
    )
    columns = DIALECT.listed((*load.in_files, *load.in_path))
    copied = ", ".join(filter(None, (DIALECT.listed(load.in_files), named)))
    return f"INSERT INTO {STAGING} ({columns}, {PARTITION}) SELECT {copied}, {value(of.folder)} FROM {COPIED}"


def transaction(load: Load) -> list[str]:
    """Return the statements of the transaction, in order."""
    return [
        # Loads wait for each other here; the second one of a run then sees the first one's id.
        f"LOCK TABLE {common.ledger(load, DIALECT)}",
        # Any other count of rows ends the transaction here, by a division by zero.
        f"SELECT 1 / CASE WHEN COUNT(*) = {load.rows} THEN 1 ELSE 0 END AS all_rows_were_copied FROM {STAGING}",
        *common.transaction(load, DIALECT),
    ]


def manifest_uri(prefix: str, number: int) -> str:
    """Return where the manifest of a group of `Load.groups` lies."""
    return f"{prefix}{number:05d}.json"


def manifest(files: list[LoadFile]) -> dict[str, Any]:
    """Return COPY's manifest of Parquet files, which needs their bytes.

    https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html
    """
    return {
        "entries": [
            {"url": file.uri, "mandatory": True, "meta": {"content_length": file.bytes}} for file in files
        ]
    }
