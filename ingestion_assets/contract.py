"""Pandera model -> neutral `Contract`: the one place that knows Pandera.

In: a `pandera.polars.DataFrameModel`. Out: `aws_runtime.contract.Contract`, plain data that engines
turn into reader schemas, rules and Parquet. What cannot be lowered is a `CompileError` naming the
model, the column and the check; nothing is skipped silently.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl

from aws_runtime.contract import Column, Contract, DataType, Drift, Field, Rule, Severity
from ingestion_assets.errors import CompileError, Where, relative

#: Polars types without parameters, by the neutral name.
PLAIN_TYPES: Mapping[Any, str] = {
    pl.String: "string",
    pl.Boolean: "boolean",
    pl.Int8: "int8",
    pl.Int16: "int16",
    pl.Int32: "int32",
    pl.Int64: "int64",
    pl.UInt8: "uint8",
    pl.UInt16: "uint16",
    pl.UInt32: "uint32",
    pl.UInt64: "uint64",
    pl.Float32: "float32",
    pl.Float64: "float64",
    pl.Date: "date",
    pl.Time: "time",
    pl.Duration: "duration",
    pl.Binary: "binary",
}

#: Pandera's built-in checks that judge a value; their arguments are kept under Pandera's names.
VALUE_CHECKS = frozenset(
    {
        "equal_to",
        "not_equal_to",
        "greater_than",
        "greater_than_or_equal_to",
        "less_than",
        "less_than_or_equal_to",
        "in_range",
        "isin",
        "notin",
        "str_matches",
        "str_contains",
        "str_startswith",
        "str_endswith",
        "str_length",
    }
)


def lower_contract(model: type[Any], where: Where) -> Contract:
    """Lower a Pandera model.

    Args:
        model: A `pandera.polars.DataFrameModel`.
        where: The declaration that uses it, for errors; the model's own file and line win when known.

    Raises:
        CompileError: ASL010 to ASL016, for what has no neutral form.
    """
    return _lower(model, _model_where(model, where))


@cache
def _lower(model: type[Any], where: Where) -> Contract:
    schema = model.to_schema()
    if schema.checks or getattr(schema, "parsers", None):
        raise CompileError(
            "ASL010",
            where,
            f"{model.__name__} has a dataframe-wide check or parser, which no engine can run row by row",
            "Express it as checks of single columns, or do it in the transform",
        )
    columns = tuple(_column(model, name, column, schema, where) for name, column in schema.columns.items())
    unique = schema.unique or ()
    groups = (tuple(unique),) if unique and isinstance(next(iter(unique)), str) else tuple(map(tuple, unique))
    return Contract(
        name=model.__name__,
        columns=columns,
        unique=groups,
        drift=_drift(schema),
        description=_own_docstring(model),
    )


def _model_where(model: type[Any], where: Where) -> Where:
    try:
        file = inspect.getsourcefile(model)
        line = inspect.getsourcelines(model)[1]
    except (OSError, TypeError):
        return where
    return Where(relative(file), line, where.pipeline, where.asset) if file else where


def _own_docstring(model: type[Any]) -> str:
    return inspect.cleandoc(model.__doc__) if model.__dict__.get("__doc__") else ""


def _drift(schema: Any) -> Drift:
    if schema.add_missing_columns:
        return Drift.PERMISSIVE
    if schema.strict is True:
        return Drift.STRICT if schema.ordered else Drift.REORDER
    return Drift.EVOLVE


def _column(model: type[Any], name: str, column: Any, schema: Any, where: Where) -> Column:
    at = f"{model.__name__}.{name}"
    if column.regex:
        raise CompileError(
            "ASL011",
            where,
            f"{at} is a pattern of column names, which has no fixed output column",
            "Declare each column by its name",
        )
    if getattr(column, "parsers", None):
        raise CompileError("ASL012", where, f"{at} has a parser, which cannot be lowered", "Do it in the transform")
    return Column(
        name=name,
        type=_data_type(column.dtype.type if column.dtype is not None else None, at, where),
        nullable=column.nullable,
        unique=column.unique,
        required=column.required,
        coerce=bool(column.coerce or schema.coerce),
        rules=tuple(_rule(name, check, at, where) for check in column.checks),
        description=column.description or "",
    )


def _data_type(dtype: Any, at: str, where: Where) -> DataType:
    if isinstance(dtype, pl.Struct):
        return DataType("struct", fields=tuple(Field(f.name, _data_type(f.dtype, at, where)) for f in dtype.fields))
    if isinstance(dtype, pl.List):
        return DataType("list", item=_data_type(dtype.inner, at, where))
    if isinstance(dtype, pl.Decimal):
        return DataType("decimal", precision=dtype.precision or 38, scale=dtype.scale)
    if isinstance(dtype, pl.Datetime) or dtype is pl.Datetime:
        return DataType("timestamp", timezone=getattr(dtype, "time_zone", None))
    base = dtype.base_type() if isinstance(dtype, pl.DataType) else dtype
    if base in PLAIN_TYPES:
        return DataType(PLAIN_TYPES[base])
    raise CompileError(
        "ASL013",
        where,
        f"{at} has the type {dtype}, which has no Arrow form that every engine shares",
        f"Use one of {', '.join(sorted(set(PLAIN_TYPES.values())))}, decimal, timestamp, list, struct",
    )


def _rule(column: str, check: Any, at: str, where: Where) -> Rule:
    if check.name not in VALUE_CHECKS or check.element_wise or not check.ignore_na:
        raise CompileError(
            "ASL014",
            where,
            f"{at} has the check {check.name!r}, which cannot be lowered to a rule of every engine",
            f"Use one of Pandera's built-in checks: {', '.join(sorted(VALUE_CHECKS))}",
        )
    return Rule(
        id=f"{column}.{check.name}",
        check=check.name,
        args={k: _json(v) for k, v in sorted(check.statistics.items()) if v is not None},
        severity=Severity.WARN if check.raise_warning else Severity.ERROR,
    )


def _json(value: Any) -> Any:
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted((_json(v) for v in value), key=str)
    if isinstance(value, (list, tuple)):
        return [_json(v) for v in value]
    if hasattr(value, "pattern"):
        return value.pattern
    return value
