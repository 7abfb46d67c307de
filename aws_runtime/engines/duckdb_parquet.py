"""Parquet files on DuckDB -> SQL of their typed rows with the hidden columns and those of their folders.

In: the files of one input. Out: one query, its columns united by name; a file that cannot be read, or
whose rows contradict the folder that it lies in, is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from aws_runtime.contract import Contract
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI, InputFile
from aws_runtime.engines.duckdb_dialect import quote, text
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import parquet
from aws_runtime.formats.parquet_pages import verify_pages
from aws_runtime.partitions import HIVE_NULL


def read_files(connection: Any, files: Sequence[InputFile], contract: Contract) -> list[tuple[str, str]]:
    """Return each file's URI and the query of its rows: the columns that the contract names, and hidden ones.

    Raises:
        RejectedFile: EmptyFile, EncryptedFile, NotParquet, CorruptFile; PartitionContradicted where a
            file's column says something else than its folder; TypesDiffer where the files of one unit
            have types of one column that no type holds.
    """
    found = [(file.uri, _file(connection, file, contract)) for file in files]
    if len(files) > 1:
        try:
            connection.execute(f"DESCRIBE {together(found)}")
        except duckdb.Error as error:
            raise RejectedFile("TypesDiffer", str(error).splitlines()[0], files[0].uri) from error
    return found


def together(queries: Sequence[tuple[str, str]]) -> str:
    """Return the query of the rows of all files, their columns united by name."""
    return " UNION ALL BY NAME ".join(query for _, query in queries)


@contextmanager
def broken_pages_told(connection: Any, queries: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Tell a file whose pages cannot be read from a fault of a query: read each file by itself.

    Raises:
        RejectedFile: CorruptFile, of the first file that cannot be read; else what was raised.
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.Error, UnicodeDecodeError):  # a message may quote half a character
        for uri, query in queries:
            _read_through(connection, uri, query)
        raise


def _read_through(connection: Any, uri: str, query: str) -> None:
    try:
        connection.execute(f"SELECT bit_xor(hash(each_row)) FROM ({query}) AS each_row").fetchall()
    except duckdb.OutOfMemoryException:
        return
    except (duckdb.Error, UnicodeDecodeError) as error:
        said = re.sub(r'^.*Failed to read file "[^"]*": ', "", str(error).splitlines()[0])
        raise RejectedFile("CorruptFile", f"a page cannot be read: {said}", uri) from error


def column_names(connection: Any, file: InputFile) -> list[str]:
    """Return the names of a file's columns.

    Raises:
        RejectedFile: EmptyFile, EncryptedFile, NotParquet, CorruptFile.
    """
    parquet.verify(file.path, file.uri)
    source = f"read_parquet({text(file.path)}, hive_partitioning=false)"
    try:
        return [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    except duckdb.Error as error:
        raise RejectedFile("CorruptFile", str(error).splitlines()[0], file.uri) from error


def _file(connection: Any, file: InputFile, contract: Contract) -> str:
    parquet.verify(file.path, file.uri)
    names = [column.name for column in contract.columns]
    verify_pages(file.path, file.uri, names)
    source = f"read_parquet({text(file.path)}, file_row_number=true, hive_partitioning=false)"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        raise RejectedFile("CorruptFile", str(error).splitlines()[0], file.uri) from error
    types = {row[0]: row[1] for row in described}
    _check_folder(connection, source, file, types)
    folders = [
        f"{_value(value)}::VARCHAR AS {quote(name)}"
        for name, value in file.partition.items()
        if name not in types
    ]
    # What else the file holds is not read: types that differ there are nobody's fault.
    columns = [*(quote(name) for name in names if name in types), *folders]
    hidden = f"{text(file.uri)} AS {SOURCE_URI}, file_row_number + 1 AS {SOURCE_ROW}"
    return f"SELECT {', '.join(columns)}, {hidden} FROM {source}"


def _check_folder(connection: Any, source: str, file: InputFile, types: Mapping[str, str]) -> None:
    for name, value in file.partition.items():
        if name not in types:
            continue
        said = f"TRY_CAST({_value(value)} AS {types[name]})"
        other = f"{quote(name)} IS DISTINCT FROM {said}"
        if value != HIVE_NULL:
            other += f" OR {said} IS NULL"
        try:
            count = connection.execute(f"SELECT count(*) FROM {source} WHERE {other}").fetchone()[0]
        except duckdb.Error as error:
            raise RejectedFile("CorruptFile", str(error).splitlines()[0], file.uri) from error
        if count:
            raise RejectedFile(
                "PartitionContradicted",
                f"{count} rows have another {name} than its folder, {value}",
                file.uri,
            )


def _value(value: str) -> str:
    return "NULL" if value == HIVE_NULL else text(value)
