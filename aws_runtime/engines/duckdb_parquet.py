"""Parquet files on DuckDB -> SQL of their typed rows with the hidden columns and those of their folders.

In: the files of one input. Out: one query, its columns united by name; a file that cannot be read, or
whose rows contradict the folder that it lies in, is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from aws_runtime.engines import SOURCE_ROW, SOURCE_URI, InputFile
from aws_runtime.engines.duckdb_dialect import quote, text
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import parquet
from aws_runtime.partitions import HIVE_NULL


def read_files(connection: Any, files: Sequence[InputFile]) -> str:
    """Return the query of the rows of `files`, empty for no file.

    Raises:
        RejectedFile: EmptyFile, EncryptedFile, NotParquet, CorruptFile; PartitionContradicted where a
            file's column says something else than its folder; TypesDiffer where the files of one unit
            have types of one column that no type holds.
    """
    sql = " UNION ALL BY NAME ".join(_file(connection, file) for file in files)
    if len(files) > 1:
        try:
            connection.execute(f"DESCRIBE {sql}")
        except duckdb.Error as error:
            raise RejectedFile("TypesDiffer", str(error).splitlines()[0], files[0].uri) from error
    return sql


def _file(connection: Any, file: InputFile) -> str:
    parquet.verify(file.path, file.uri)
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
    columns = ["* EXCLUDE (file_row_number)", *folders]
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
