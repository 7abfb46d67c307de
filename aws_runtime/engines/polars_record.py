"""A quarantined row's values as JSON text, as DuckDB writes them.

In: columns of a frame and their types. Out: an expression of one JSON object a row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from aws_runtime.engines.polars_dialect import as_text


def as_json(columns: Mapping[str, str], schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """JSON of a row; `columns` maps the names shown to those in the frame."""
    if not columns:
        return pl.lit("{}")
    parts: list[pl.Expr] = []
    for shown, name in columns.items():
        before = f"{',' if parts else '{'}{json.dumps(shown, ensure_ascii=False)}:"
        parts += [pl.lit(before), pl.coalesce(_member(pl.col(name), schema[name]), pl.lit("null"))]
    return pl.concat_str([*parts, pl.lit("}")])


def _member(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """JSON of one value; null where it is null."""
    match kind:
        case pl.Float32() | pl.Float64():
            text = value.cast(pl.Float64).cast(pl.String)
            return text.replace({"inf": "Infinity", "-inf": "-Infinity"})
        case pl.Decimal() if kind.scale:
            return value.cast(pl.Float64).cast(pl.String)
        case _ if kind == pl.Boolean or kind.is_integer() or kind.is_decimal():
            return value.cast(pl.String)
        case pl.List() | pl.Struct() | pl.Array():
            return _encoded(value)
        case _:
            return _encoded(as_text(value, kind))


def _encoded(value: pl.Expr) -> pl.Expr:
    """What `{"x":…}` holds."""
    whole = pl.struct(value.alias("x")).struct.json_encode()
    return pl.when(value.is_not_null()).then(whole.str.slice(5).str.head(-1))
