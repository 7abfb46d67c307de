"""Parquet files on DuckDB -> SQL of their typed rows with the hidden columns and those of their folders.

In: the files of one input. Out: one query, its columns united by name; a file that cannot be read, or
whose rows contradict the folder that it lies in, is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from aws_runtime.contract import Contract, DataType
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI, InputFile
from aws_runtime.engines.duckdb_dialect import data_type, quote, text
from aws_runtime.engines.mixed_types import at_risk, check_greatest
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import parquet
from aws_runtime.formats.parquet_pages import verify_pages
from aws_runtime.partitions import HIVE_NULL

_UNSIGNED = {"UTINYINT": "uint8", "USMALLINT": "uint16", "UINTEGER": "uint32", "UBIGINT": "uint64"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose footer was read: its columns, all of them, with DuckDB's types."""

    file: InputFile
    types: Mapping[str, str]


def open_files(connection: Any, files: Sequence[InputFile], contract: Contract) -> list[Opened]:
    """Look at files before their rows are read.

    Raises:
        RejectedFile: EmptyFile, EncryptedFile, NotParquet, CorruptFile; PartitionContradicted where a
            file's column says something else than its folder; TypesDiffer where the files of one unit
            have types of one column that no type holds; InexactNumbers where it holds other numbers.
    """
    found = [_open(connection, file, contract) for file in files]
    if len(found) > 1:
        _check_mixed(connection, found, contract)
        try:
            connection.execute(f"DESCRIBE {rows_of(found, contract)}")
        except duckdb.Error as error:
            raise RejectedFile("TypesDiffer", str(error).splitlines()[0], files[0].uri) from error
    return found


def rows_of(opened: Sequence[Opened], contract: Contract) -> str:
    """Return the query of the rows of files: the columns that the contract names, united by name, and hidden ones.

    Files of the same columns are read by one scan, since DuckDB takes the time of all others for each part
    of a union.
    """
    alike: dict[tuple[Any, ...], list[InputFile]] = {}
    for one in opened:
        apart = one.file.path if "file_index" in one.types else ""  # it hides DuckDB's own
        key = (tuple(one.types.items()), tuple(one.file.partition), apart)
        alike.setdefault(key, []).append(one.file)
    scans = (_scan(dict(types), files, contract) for (types, *_), files in alike.items())
    return " UNION ALL BY NAME ".join(scans)


def _scan(types: Mapping[str, str], files: Sequence[InputFile], contract: Contract) -> str:
    folders = [
        f"{_told([_value(file.partition[name]) for file in files])}::VARCHAR AS {quote(name)}"
        for name in files[0].partition
        if name not in types
    ]
    # What else the files hold is not read: types that differ there are nobody's fault.
    columns = [*(quote(column.name) for column in contract.columns if column.name in types), *folders]
    hidden = (
        f"{_told([text(file.uri) for file in files])} AS {SOURCE_URI}, file_row_number + 1 AS {SOURCE_ROW}"
    )
    return f"SELECT {', '.join([*columns, hidden])} FROM {_source(files)}"


def _source(files: Sequence[InputFile]) -> str:
    paths = ", ".join(text(file.path) for file in files)
    return f"read_parquet([{paths}], file_row_number=true, hive_partitioning=false)"


def _told(values: Sequence[str]) -> str:
    """Return what is known of each file, of those of one scan, as a value of its rows."""
    if len(set(values)) == 1:
        return values[0]
    return f"list_extract([{', '.join(values)}], file_index::BIGINT + 1)"


def _check_mixed(connection: Any, opened: Sequence[Opened], contract: Contract) -> None:
    """Refuse numbers that would change where their column is a float in other files."""
    for column in contract.columns:
        if len({one.types.get(column.name) for one in opened}) == 1:
            continue
        kinds = [_kind(one.types.get(column.name)) for one in opened]
        for position, most in at_risk(kinds).items():
            one, kind = opened[position], kinds[position]
            query = f"SELECT max(abs({quote(column.name)}::HUGEINT)) FROM {_source([one.file])}"
            if kind is not None and kind.name == "decimal":
                query = query.replace("::HUGEINT", "")
            greatest = connection.execute(query).fetchone()[0]
            check_greatest(column.name, kind or DataType(""), greatest, most, one.file.uri)


def _kind(given: str | None) -> DataType | None:
    if given is None:
        return None
    # Contracts store unsigned integers as wider signed ones, so types of frames have no name for them.
    return DataType(_UNSIGNED[given]) if given in _UNSIGNED else data_type(duckdb.sqltype(given))


@contextmanager
def broken_pages_told(connection: Any, given: Sequence[tuple[Sequence[Opened], Contract]]) -> Iterator[None]:
    """Tell a file whose pages cannot be read from a fault of a query: read each file by itself.

    Raises:
        RejectedFile: CorruptFile, of the first file that cannot be read; else what was raised.
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.Error, UnicodeDecodeError):  # a message may quote half a character
        for opened, contract in given:
            for one in opened:
                _read_through(connection, one.file.uri, rows_of([one], contract))
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


def _open(connection: Any, file: InputFile, contract: Contract) -> Opened:
    parquet.verify(file.path, file.uri)
    verify_pages(file.path, file.uri, [column.name for column in contract.columns])
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {_source([file])}").fetchall()
    except duckdb.Error as error:
        raise RejectedFile("CorruptFile", str(error).splitlines()[0], file.uri) from error
    types = {row[0]: row[1] for row in described if row[0] != "file_row_number"}
    _check_folder(connection, _source([file]), file, types)
    return Opened(file, types)


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
