"""Declarations -> column lineage: which source columns each output column is computed from.

In: an asset's transform and the contracts of its inputs. Out: for each output column, the input
columns (with their path inside structs and lists) that its value derives from; nothing is
annotated by hand. The transform runs once over empty tables of the input types, which yields
its own SQL text, and the SQL is followed from each output column down to the inputs.

Value lineage only: columns that merely filter, join or group are not counted as sources.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import duckdb
import narwhals as nw
from sqlframe.duckdb import DuckDBSession
from sqlglot import exp, parse_one
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from aws_runtime.contract import Contract, DataType
from aws_runtime.step import Before
from ingestion_assets.asset import IngestionAsset, S3Source
from ingestion_assets.contract import lower_contract
from ingestion_assets.pipeline import Pipeline

# SQLFrame keeps one session a process.
_SESSION = threading.Lock()

_SQL_TYPES = {
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "duration": "INTERVAL",
    "binary": "BLOB",
}


@dataclass(frozen=True, slots=True, order=True)
class SourceColumn:
    """A column that a value derives from.

    Args:
        input: Name of the source or asset.
        path: The column, and the fields below it: `("products", "price")`.
    """

    input: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        """`orders.products.price`."""
        return ".".join((self.input, *self.path))


@dataclass(frozen=True, slots=True)
class ColumnLineage:
    """Lineage of one asset.

    Args:
        columns: For each output column, in the contract's order, its sources, sorted; empty for
            a column that derives from none, as a constant or a count does.
        sql: The transform as Spark SQL.
    """

    columns: Mapping[str, tuple[SourceColumn, ...]]
    sql: str


class LineageUnavailableError(Exception):
    """The transform has no SQL form (a native function, or one that SQLFrame lacks)."""


def column_lineage(pipeline: Pipeline, asset: IngestionAsset, before: Before | None = None) -> ColumnLineage:
    """Follow each output column of `asset` to the columns of its inputs.

    Args:
        pipeline: The pipeline; of one with SQL of its own, that is followed.
        asset: One of its assets.
        before: Done to the rows of the only input before the transform, as a run's configuration says.

    Raises:
        LineageUnavailableError: Naming the asset and why its transform has no SQL form.
        CompileError: Whatever the contracts raise.
    """
    nodes: dict[str, S3Source | IngestionAsset] = {source.name: source for source in pipeline.sources}
    nodes |= {upstream.name: upstream for upstream in pipeline.assets}
    contracts = {
        parameter: lower_contract(nodes[name].contract, nodes[name].where)
        for parameter, name in asset.inputs.items()
    }
    output = lower_contract(asset.contract, asset.where)
    try:
        sql = _text(pipeline, asset, contracts, before)
        sources = _sources(sql, contracts, {column.name.lower() for column in output.columns})
    except Exception as error:  # any fault of SQLFrame's or sqlglot's leaves the data unharmed
        raise LineageUnavailableError(
            f"{pipeline.name}/{asset.name}: {type(error).__name__}: {error}"
        ) from error
    declared = {parameter.lower(): parameter for parameter in contracts}
    columns = {
        column.name: tuple(
            sorted(
                {
                    SourceColumn(
                        asset.inputs[declared[table]], _as_declared(contracts[declared[table]], path)
                    )
                    for table, path in sources.get(column.name.lower(), ())
                }
            )
        )
        for column in output.columns
    }
    return ColumnLineage(columns=columns, sql=sql)


def _text(
    pipeline: Pipeline, asset: IngestionAsset, contracts: Mapping[str, Contract], before: Before | None
) -> str:
    """Return the transform as Spark SQL: the user's, or generated."""
    if pipeline.curation is None or pipeline.curation.sql is None:
        return transform_sql(asset, contracts, before)
    if before is not None:
        raise ValueError("built-in steps before SQL of one's own are not followed")
    from ingestion_assets.sql import written_sql  # noqa: PLC0415 - it generates SQL by this module

    return written_sql(pipeline.curation.sql, contracts, asset.where)


def sql_type(of: DataType) -> str:
    """Spell a type in DuckDB's SQL: `STRUCT("price" DOUBLE)[]`."""
    match of.name:
        case "decimal":
            return f"DECIMAL({of.precision},{of.scale})"
        case "timestamp":
            return "TIMESTAMPTZ" if of.timezone else "TIMESTAMP"
        case "list" if of.item is not None:
            return f"{sql_type(of.item)}[]"
        case "struct":
            return "STRUCT(" + ", ".join(f"{_quote(f.name)} {sql_type(f.type)}" for f in of.fields) + ")"
        case name:
            return _SQL_TYPES[name]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def table_columns(contract: Contract) -> dict[str, str]:
    """Column -> type in DuckDB's SQL of an input as a transform sees it, hidden columns included."""
    hidden = {"source_row": "BIGINT", "source_uri": "VARCHAR"}
    return {column.name: sql_type(column.type) for column in contract.columns} | hidden


def transform_sql(
    asset: IngestionAsset, contracts: Mapping[str, Contract], before: Before | None = None
) -> str:
    """Run the transform over empty tables, `before` first, and return its text in Spark's dialect."""
    with _SESSION, duckdb.connect() as connection:
        session = DuckDBSession(conn=connection)
        try:
            frames = {}
            for parameter, contract in contracts.items():
                columns = ", ".join(
                    f"{_quote(name)} {kind}" for name, kind in table_columns(contract).items()
                )
                table = parameter.lower()  # SQLFrame finds no columns of a table in mixed case
                connection.execute(f"CREATE TABLE {_quote(table)} ({columns})")
                frame = nw.from_native(session.table(table)).lazy()
                frames[parameter] = before(frame) if before is not None else frame
            native: Any = nw.to_native(asset.transform(**frames))
            text: str = native.sql(dialect="spark", optimize=False)
            return text
        finally:
            session.stop()


def _as_declared(contract: Contract, path: tuple[str, ...]) -> tuple[str, ...]:
    """Spell a path as the contract does: Spark's dialect ignores case, and sqlglot lowers names."""
    spelled = []
    within = {column.name.lower(): (column.name, column.type) for column in contract.columns}
    for part in path:
        name, kind = within.get(part.lower(), (part, None))
        spelled.append(name)
        while kind is not None and kind.item is not None:
            kind = kind.item
        within = {field.name.lower(): (field.name, field.type) for field in kind.fields} if kind else {}
    return tuple(spelled)


Origin = tuple[str, tuple[str, ...]]
Known = dict[tuple[int, str, tuple[str, ...]], frozenset[Origin]]


def _sources(sql: str, contracts: Mapping[str, Contract], wanted: set[str]) -> dict[str, frozenset[Origin]]:
    """Map each output column to (input table, path) pairs, all names in lower case but those of paths."""
    schema = {table.lower(): table_columns(contract) for table, contract in contracts.items()}
    typed: dict[str, object] = {
        table: {
            name: exp.DataType.build(kind, dialect="duckdb").sql("spark") for name, kind in columns.items()
        }
        for table, columns in schema.items()
    }
    tree = qualify(parse_one(sql, dialect="spark"), schema=typed, dialect="spark")
    scope = build_scope(tree)
    if scope is None:
        raise ValueError("the transform is not a query")
    known: Known = {}
    return {
        name.lower(): _resolve(scope, name, (), known)
        for name in _query(scope).named_selects
        if name.lower() in wanted
    }


def _resolve(scope: Scope, column: str, path: tuple[str, ...], known: Known) -> frozenset[Origin]:
    """Follow `column`, then the fields of `path` below it, through one query to the tables it reads.

    A path survives a column that is only renamed or unnested; any other expression computes a
    new value, whose own column references count instead. `known` keeps what was resolved: both
    branches of an explode read the same query, so that without it each explode doubles the work.
    """
    key = (id(scope), column, path)
    if key not in known:
        known[key] = frozenset(_resolve_once(scope, column, path, known))
    return known[key]


def _resolve_once(scope: Scope, column: str, path: tuple[str, ...], known: Known) -> Iterator[Origin]:
    selected = _query(scope).named_selects
    if scope.set_operation_scopes:
        # The branches of a union agree by position, not by name.
        position = selected.index(column)
        for branch in scope.set_operation_scopes:
            yield from _resolve(branch, _query(branch).named_selects[position], path, known)
        return
    for reference, below, whole in _references(_query(scope).selects[selected.index(column)].unalias()):
        yield from _follow(scope, reference, below + path if whole else below, known)


def _query(scope: Scope) -> exp.Query:
    return cast("exp.Query", scope.expression)


def _follow(scope: Scope, reference: exp.Column, path: tuple[str, ...], known: Known) -> Iterator[Origin]:
    origin = scope.sources.get(reference.table)
    if isinstance(origin, exp.Table):
        yield origin.name.lower(), (reference.name, *path)
    elif isinstance(origin, Scope) and isinstance(origin.expression, exp.Query):
        yield from _resolve(origin, reference.name, path, known)
    elif isinstance(origin, Scope):  # a lateral view: its columns derive from what it unnests
        for unnested, below, _ in _references(origin.expression):
            yield from _follow(scope, unnested, below + path, known)


def _references(expression: exp.Expr) -> Iterator[tuple[exp.Column, tuple[str, ...], bool]]:
    """Yield each column that `expression` reads, its own field path, and whether it is the whole value."""
    for column in expression.find_all(exp.Column):
        path, node = _field_path(column)
        while node is not expression and isinstance(node.parent, exp.Paren | exp.Explode | exp.Unnest):
            node = node.parent
        yield column, path, node is expression


def _field_path(column: exp.Column) -> tuple[tuple[str, ...], exp.Expr]:
    """Collect the struct fields taken from `column`; a list's index adds nothing to the path."""
    path: list[str] = []
    node: exp.Expr = column
    while (parent := node.parent) is not None and parent.this is node:
        if isinstance(parent, exp.Bracket):
            key = parent.expressions[0]
            if isinstance(key, exp.Literal) and key.is_string:
                path.append(key.name)
        elif isinstance(parent, exp.Dot):
            path.append(parent.expression.name)
        elif not isinstance(parent, exp.Paren | exp.Explode | exp.Unnest):
            break
        node = parent
    return tuple(path), node
