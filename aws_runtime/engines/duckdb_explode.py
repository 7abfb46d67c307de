"""Narwhals' `explode` on DuckDB, in one scan: the same rows, at half the cost.

Narwhals 2.28 unites the rows that have items with the rows that have none, and each half reads the
whole input. A row without items is a row with one null item, which needs no second half. The place
that is replaced is private to Narwhals, so its absence is an error, and a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import narwhals as nw
from narwhals._duckdb.dataframe import DuckDBLazyFrame

from aws_runtime.engines.duckdb_dialect import quote

_PLAIN = DuckDBLazyFrame.explode


def _explode(self: Any, columns: Sequence[str]) -> Any:
    if len(columns) != 1 or not isinstance(self.collect_schema().get(columns[0]), nw.List):
        return _PLAIN(self, columns)
    items = quote(columns[0])
    unnested = duckdb.SQLExpression(f"unnest(CASE WHEN len({items}) > 0 THEN {items} ELSE [NULL] END)")
    return self._with_native(
        self.native.select(
            *(
                unnested.alias(name) if name == columns[0] else duckdb.ColumnExpression(name)
                for name in self.columns
            )
        )
    )


@contextmanager
def one_scan() -> Iterator[None]:
    """Use the faster `explode` meanwhile."""
    DuckDBLazyFrame.explode = _explode  # type: ignore[method-assign]  # undone below
    try:
        yield
    finally:
        DuckDBLazyFrame.explode = _PLAIN  # type: ignore[method-assign]  # as it was
