"""A transform as SQL: generated from the Narwhals function, or written by the user in a `.sql` file.

In: an asset and the contracts of its inputs; or the user's Spark SQL. Out: one query in Spark's dialect over
tables of the transform's parameters, checked against their columns, and the same in DuckDB's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlglot import exp, parse, transpile
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from aws_runtime.contract import Contract, DataType
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.contract import lower_contract
from ingestion_assets.errors import CompileError, Where, relative
from ingestion_assets.lineage import table_columns, transform_sql

_HINT = "Write one SELECT in Spark SQL over tables named as the transform's parameters"


def generated_sql(asset: IngestionAsset, contracts: Mapping[str, Contract]) -> str:
    """Return the transform's own SQL, the same text each time.

    Args:
        asset: Its transform runs once, over empty tables.
        contracts: Of its inputs, by parameter.

    Raises:
        CompileError: ASL050, when the transform has no SQL form, or a name has capitals; ASL051, when its
            text does not find a column of the inputs.
    """
    if (name := _with_capitals(asset, contracts)) is not None:
        # SQLFrame makes one case of all names, and Spark keeps them apart here.
        raise CompileError(
            "ASL050",
            asset.where,
            f"{name!r} has capital letters, which generated SQL does not keep",
            "Use another processor than glue_sql, or write the transform in a .sql file",
        )
    try:
        text = transform_sql(asset, contracts)
    except Exception as error:  # whatever SQLFrame lacks shows as an error of its own
        said = " ".join(str(error).split())
        raise CompileError(
            "ASL050",
            asset.where,
            f"transform {asset.transform.__name__} has no SQL form: {type(error).__name__}: {said}",
            "Use another processor than glue_sql, or write the transform in a .sql file",
        ) from error
    stable = _named_in_order(text)
    _check_columns(stable, contracts, asset.where)
    return stable


def _with_capitals(asset: IngestionAsset, contracts: Mapping[str, Contract]) -> str | None:
    """Return a name of the inputs or the output that is not all lower case, if there is one."""

    def names(kind: DataType) -> Iterator[str]:
        for member in kind.fields:
            yield member.name
            yield from names(member.type)
        if kind.item is not None:
            yield from names(kind.item)

    yielded = [*contracts]
    for contract in (*contracts.values(), lower_contract(asset.contract, asset.where)):
        for column in contract.columns:
            yielded += [column.name, *names(column.type)]
    return next((name for name in yielded if name != name.lower()), None)


def written_sql(given: str | Path, contracts: Mapping[str, Contract], where: Where) -> str:
    """Return the user's query, checked.

    Args:
        given: The query's text, or the path of the `.sql` file that holds it.
        contracts: Of the inputs, by the names of their tables.
        where: The declaration, for errors of a text.

    Raises:
        CompileError: ASL051, at the file's line: no such file, no Spark SQL, not one SELECT, or a table
            or column that is not there.
    """
    text = given if isinstance(given, str) else _read(given, where)
    at = where if isinstance(given, str) else Where(relative(str(given)), 1, where.pipeline, where.asset)
    text = text.strip().rstrip(";").rstrip()
    _check_columns(text, contracts, at, offset=_offset(given))
    return text


def for_duckdb(sql: str) -> str:
    """Return a query of Spark's dialect in DuckDB's."""
    return transpile(sql, read="spark", write="duckdb")[0]


def _read(path: Path, where: Where) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CompileError("ASL051", where, f"{path.name} cannot be read: {error}", _HINT) from error


def _offset(given: str | Path) -> int | None:
    """Return the lines that precede the stripped text in a file; None where there is no file."""
    if isinstance(given, str):
        return None
    text = given.read_text(encoding="utf-8")
    return text[: len(text) - len(text.lstrip())].count("\n")


def _check_columns(
    sql: str, contracts: Mapping[str, Contract], where: Where, offset: int | None = None
) -> None:
    def wrong(what: str, line: int | None = None) -> CompileError:
        place = where
        if offset is not None and line is not None:
            place = Where(where.file, offset + line, where.pipeline, where.asset)
        return CompileError("ASL051", place, what, _HINT)

    try:
        found = parse(sql, read="spark")
    except SqlglotError as error:
        first = error.errors[0] if getattr(error, "errors", None) else {}  # type: ignore[attr-defined] # ParseError's
        said = first.get("description") or " ".join(str(error).split())
        raise wrong(f"this is no Spark SQL: {said}", first.get("line")) from error
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        raise wrong("a transform is one SELECT", 1)
    tree = found[0]
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.name not in {*ctes, *contracts} or table.db:
            raise wrong(
                f"there is no table {table.sql('spark')}; there are {', '.join(contracts)}",
                _line(table),
            )
    schema: dict[str, object] = {
        name: {
            column: exp.DataType.build(kind, dialect="duckdb").sql("spark")
            for column, kind in table_columns(contract).items()
        }
        for name, contract in contracts.items()
    }
    try:
        qualify(tree.copy(), schema=schema, dialect="spark")
    except SqlglotError as error:
        missing = re.search(r"[Cc]olumn '?\"?(?:Cannot resolve )?`?([^'\"`\s]+)", str(error))
        name = missing.group(1).rpartition(".")[2] if missing else ""
        at = next((_line(c) for c in tree.find_all(exp.Column) if c.name.lower() == name.lower()), None)
        raise wrong(" ".join(str(error).split()), at) from error


def _line(node: exp.Expression) -> int | None:
    for inner in node.find_all(exp.Identifier):
        if (line := inner.meta.get("line")) is not None:
            return int(line)
    return None


def _named_in_order(sql: str) -> str:
    """Name common table expressions by their order: SQLFrame numbers them by hashes of its objects."""
    names = dict.fromkeys(re.findall(r"`(t\d{6,})`", sql))
    for position, name in enumerate(names, start=1):
        sql = sql.replace(f"`{name}`", f"`step_{position}`")
    return sql
