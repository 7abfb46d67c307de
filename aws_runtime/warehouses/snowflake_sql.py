"""`Load` -> Snowflake's SQL, in the three parts that it runs in.

`preparation` makes the tables; `staging` fills a temporary table from an external stage; `transaction` moves its
rows to the table, once. Statements that make tables end a transaction in Snowflake, so none lies within it.
https://docs.snowflake.com/en/sql-reference/transactions
"""

from __future__ import annotations

from collections.abc import Iterator

from aws_runtime.contract import Column, DataType
from aws_runtime.warehouses import load as common
from aws_runtime.warehouses.load import (
    COPIED,
    FILE,
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

#: Of one COPY that names its files.
#: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
COPY_FILES = 1_000
#: https://docs.snowflake.com/en/sql-reference/intro-summary-data-types
_TYPES = {
    "boolean": "BOOLEAN",
    "int8": "NUMBER(3,0)",
    "int16": "NUMBER(5,0)",
    "int32": "NUMBER(10,0)",
    "int64": "NUMBER(19,0)",
    "uint8": "NUMBER(3,0)",
    "uint16": "NUMBER(5,0)",
    "uint32": "NUMBER(10,0)",
    "uint64": "NUMBER(20,0)",
    "float32": "FLOAT",
    "float64": "FLOAT",
    "string": "VARCHAR",
    "date": "DATE",
    "binary": "BINARY",
    "list": "ARRAY",
    "struct": "OBJECT",
}


def sql_type(given: DataType) -> str:
    """Return Snowflake's type of a column."""
    if given.name == "decimal":
        return f"NUMBER({given.precision},{given.scale})"
    if given.name == "timestamp":
        return "TIMESTAMP_TZ(6)" if given.timezone else "TIMESTAMP_NTZ(6)"
    return _TYPES[given.name]


def folded(name: str) -> str:
    """Quote a name in upper case, so that whoever writes it without quotes means it."""
    return quoted(name.upper())


DIALECT = Dialect(folded, sql_type, "CURRENT_TIMESTAMP()", "VARCHAR")


def preparation(load: Load) -> list[str]:
    """Return the statements that make the tables, and the ledger's row that loads of the table wait for."""
    ledger = common.ledger(load, DIALECT)
    table = literal(load.table)
    return [
        *common.tables(load, DIALECT),
        (
            f"INSERT INTO {ledger} (table_name, job_id, partition_name, run_at, loaded_at) "
            f"SELECT {table}, '', '', '', {DIALECT.now} FROM (SELECT 1 AS one) AS once "
            f"WHERE NOT EXISTS (SELECT 1 FROM {ledger} WHERE table_name = {table} AND job_id = '')"
        ),
    ]


def staging(load: Load, stage: str, root: str) -> Iterator[str]:
    """Yield the statements that fill the session's staging table; no lock is held meanwhile.

    Columns go by name. A file's folder names the columns that it leaves out, so rows keep the name of their
    file until they meet them. FORCE, because the ledger knows what is in, and not Snowflake's own memory.

    Args:
        load: What is loaded.
        stage: The external stage's name.
        root: URI that the stage stands for, ending in `/`.
    """
    yield common.staging(load, DIALECT)
    into = STAGING
    if load.partitioned:
        into = COPIED
        columns = DIALECT.declared(load.in_files, nullable=True)
        yield f"CREATE TEMPORARY TABLE {COPIED} ({columns}, {FILE} VARCHAR)"
    files = [file for group in load.groups().values() for file in group]
    for start in range(0, len(files), COPY_FILES):
        chunk = files[start : start + COPY_FILES]
        named = ", ".join(literal(below(file.uri, root)) for file in chunk)
        options = [
            f"FILES = ({named})",
            "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)",
            "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE",
        ]
        if load.partitioned:
            options.append(f"INCLUDE_METADATA = ({FILE} = METADATA$FILENAME)")
        options += ["ON_ERROR = ABORT_STATEMENT", "FORCE = TRUE"]
        yield f"COPY INTO {into} FROM @{stage_name(stage)} {' '.join(options)}"
        if load.partitioned:
            yield _filled(load, chunk)


def _filled(load: Load, files: list[LoadFile]) -> str:
    """Move the rows of some files to the staging table, with the columns of their folders.

    METADATA$FILENAME is the file's path in the bucket.
    https://docs.snowflake.com/en/user-guide/querying-metadata
    """
    columns = load.in_path
    places = [f"column{number}" for number in range(3, 3 + len(columns))]
    rows = ", ".join(f"({_row(columns, file)})" for file in files)
    named = [
        f"CAST(f.{place} AS {sql_type(column.type)})" for place, column in zip(places, columns, strict=True)
    ]
    taken = [*(f"c.{folded(column.name)}" for column in load.in_files), *named]
    return (
        f"INSERT INTO {STAGING} ({DIALECT.listed((*load.in_files, *columns))}, {PARTITION}) "
        f"SELECT {', '.join(taken)}, f.column2 FROM {COPIED} AS c "
        f"JOIN (SELECT * FROM VALUES {rows}) AS f ON c.{FILE} = f.column1"
    )


def _row(columns: tuple[Column, ...], file: LoadFile) -> str:
    key = file.uri.partition("://")[2].partition("/")[2]
    named = (folder_value(file.partition[column.name]) for column in columns)
    return ", ".join((value(key), value(file.folder), *named))


def transaction(load: Load) -> list[str]:
    """Return the statements of the transaction, in order, without its BEGIN and COMMIT.

    The update locks the ledger until the end, and each statement sees what was committed before it began.
    """
    lock = (
        f"UPDATE {common.ledger(load, DIALECT)} SET loaded_at = {DIALECT.now} "
        f"WHERE table_name = {literal(load.table)} AND job_id = ''"
    )
    return [lock, *common.transaction(load, DIALECT)]


def stage_name(stage: str) -> str:
    """Quote a stage's name, part by part."""
    return ".".join(folded(part) for part in stage.split("."))


def below(uri: str, root: str) -> str:
    """Return a file's path below the stage.

    Raises:
        ValueError: It lies elsewhere.
    """
    if not uri.startswith(root):
        raise ValueError(f"{uri} does not lie below {root}")
    return uri.removeprefix(root)
