"""A Snowflake for tests: fakesnow's server, in an environment of its own, with what fakesnow lacks.

In: a folder that holds buckets. Out: a line with the port; the server ends when standard input does.
fakesnow 0.12.1 cannot COPY into a temporary table and does not know INCLUDE_METADATA; both are added here. Where
Snowflake lets a transaction wait for another one, DuckDB refuses it; that is made an error of SQL.
"""

import os
import sys
from typing import Any

import duckdb
import fakesnow
from fakesnow import copy_into
from fakesnow.cursor import FakeSnowflakeCursor
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp

ROOT = f"file://{sys.argv[1]}/"

described, params, inserts = copy_into._describe_table, copy_into._params, copy_into._inserts
executed = FakeSnowflakeCursor.execute


def describe_table(table: exp.Table, connection: Any, *current: str | None) -> list[tuple[str, str]]:
    """Find temporary tables too: DuckDB has them in a catalog of their own."""
    try:
        return described(table, connection, *current)
    except duckdb.CatalogException:
        return [(found[0], found[1]) for found in connection.execute(f"DESCRIBE {table.name}").fetchall()]


def copy_params(given: exp.Copy, *others: Any, **named: Any) -> Any:
    """Take INCLUDE_METADATA = (<column> = METADATA$FILENAME) away, and remember its column."""
    kept = []
    for one in given.args.get("params", []):
        if one.this.name.upper() == "INCLUDE_METADATA":
            pair = one.expression.this
            assert pair.expression.name.upper() == "METADATA$FILENAME", pair
            given.set("file_column", pair.this.name.upper())
        else:
            kept.append(one)
    given.set("params", kept)
    return params(given, *others, **named)


def copy_inserts(given: exp.Copy, asked: Any, urls: list[str], info: Any = None) -> list[exp.Expr]:
    """Give every row the path of its file in the bucket."""
    made = inserts(given, asked, urls, info)
    column = given.args.get("file_column")
    for insert, url in zip(made, urls, strict=True) if column else ():
        key = url.removeprefix(ROOT).partition("/")[2]
        insert.expression.set(
            "expressions",
            [
                exp.alias_(exp.Literal.string(key), column, quoted=True) if one.alias == column else one
                for one in insert.expression.expressions
            ],
        )
    return made


def execute(cursor: FakeSnowflakeCursor, *given: Any, **named: Any) -> FakeSnowflakeCursor:
    """Tell a transaction that DuckDB refuses as Snowflake tells an error of SQL."""
    try:
        return executed(cursor, *given, **named)
    except duckdb.TransactionException as error:
        raise ProgrammingError(msg=str(error), errno=625, sqlstate="57014") from None


FakeSnowflakeCursor.execute = execute
copy_into._describe_table = describe_table
copy_into._params = copy_params
copy_into._inserts = copy_inserts

with fakesnow.server() as place:
    sys.stdout.write(f"{place['port']}\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the server's log; nobody reads on after the port
    sys.stdin.read()
