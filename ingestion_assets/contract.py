"""Pandera model -> neutral `Contract`: what a data engineer declares becomes plain data.

In: a `pandera.polars.DataFrameModel`. Out: `aws_runtime.contract.Contract`, which engines turn into
reader types, rules and Parquet. What cannot be lowered is a `CompileError` that names the model, the
column and the check; nothing is skipped silently.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from aws_runtime.contract import Column, Contract, DataType, Drift, Rule
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI
from aws_runtime.rules import RAW_PREFIX
from ingestion_assets.contract_checks import lower_check
from ingestion_assets.contract_types import (
    LoweringError,
    array_width,
    data_type,
    enum_values,
    holds_closed_type,
    json_value,
)
from ingestion_assets.errors import CompileError, Where, relative


@dataclass(frozen=True)
class _Source:
    """A model and where its lines are, for errors that point at the column at fault."""

    model: Any
    schema: Any
    where: Where

    def error(self, code: str, what: str, hint: str, column: str | None = None) -> CompileError:
        at = self.model.__name__ + (f".{column}" if column else "")
        return CompileError(code, _line_of(self.model, column, self.where), f"{at} {what}", hint)


def lower_contract(model: type[Any], where: Where) -> Contract:
    """Lower a Pandera model; the result is cached by model.

    Args:
        model: A `pandera.polars.DataFrameModel`.
        where: The declaration that uses it, for errors; the model's own file and line win where
            they are known.

    Raises:
        CompileError: ASL010 for what is no such model or cannot be built; ASL011 to ASL019 for what
            has no neutral form (docs/contracts.md).
    """
    try:
        import pandera.polars as pa  # noqa: PLC0415 - half a second that no command without a contract pays
    except ImportError as error:  # pragma: no cover - pandera is a dependency
        raise CompileError("ASL010", where, f"pandera is not installed: {error}", "Install it") from error
    if not (isinstance(model, type) and issubclass(model, pa.DataFrameModel)):
        raise CompileError(
            "ASL010",
            where,
            f"contract {getattr(model, '__name__', model)!r} is not a pandera.polars.DataFrameModel",
            "Derive it from pandera.polars.DataFrameModel",
        )
    return _lower(model, where)


@lru_cache(maxsize=4096)
def _lower(model: Any, where: Where) -> Contract:
    try:
        schema = model.to_schema()
    except Exception as error:
        raise CompileError(
            "ASL010",
            _line_of(model, None, where),
            f"{model.__name__} is not a model that Pandera can build: {error}",
            "Mend the model",
        ) from error
    source = _Source(model, schema, where)
    _refuse_config(source)
    columns = tuple(_column(source, name, column) for name, column in schema.columns.items())
    _refuse_names(source, columns)
    return Contract(
        name=model.__name__,
        columns=columns,
        unique=_unique(source, columns),
        drift=_drift(schema),
        description=inspect.cleandoc(schema.description or model.__dict__.get("__doc__") or ""),
    )


def _refuse_config(source: _Source) -> None:
    schema = source.schema
    if schema.checks:
        name = schema.checks[0].name
        raise source.error(
            "ASL014",
            f"has the dataframe check {name!r}, which no engine can run row by row",
            "Express it as checks of single columns or Config.unique, or do it in the transform",
        )
    if schema.parsers:
        raise source.error("ASL012", "has a dataframe parser", "Do it in the transform")
    if schema.dtype is not None:
        raise source.error("ASL017", "has Config.dtype", "Declare each column's own type")
    if schema.drop_invalid_rows:
        raise source.error(
            "ASL017",
            "has Config.drop_invalid_rows, which loses rows",
            "Remove it: rows that break a rule are quarantined with their reasons",
        )
    if schema.ordered and schema.strict is not True:
        raise source.error(
            "ASL017",
            "is ordered but not strict, and an order of columns with strangers between them has no meaning",
            "Set Config.strict = True, or remove Config.ordered",
        )
    if not schema.columns:
        raise source.error("ASL018", "has no columns", "Declare at least one")


def _refuse_names(source: _Source, columns: tuple[Column, ...]) -> None:
    # The Data Catalog lowers names, and DuckDB and Spark compare them without case.
    seen: dict[str, str] = {}
    for column in columns:
        name = column.name
        if not isinstance(name, str) or not name or "\0" in name:
            raise source.error("ASL018", f"has the column name {name!r}", "Use a text that is not empty")
        if name.lower() in (SOURCE_ROW, SOURCE_URI) or name.lower().startswith(RAW_PREFIX):
            raise source.error("ASL018", "has a name that is reserved", "Rename the column", name)
        if (other := seen.get(name.lower())) is not None:
            raise source.error(
                "ASL018",
                f"differs from {other} in case only",
                "The Data Catalog ignores case: rename it",
                name,
            )
        seen[name.lower()] = name
        for path in _doubled_fields(column.type, name):
            raise source.error("ASL018", f"has two fields {path}, but for case", "Rename one", name)


def _doubled_fields(kind: DataType, path: str) -> Iterator[str]:
    counts = Counter(f.name.lower() for f in kind.fields)
    yield from (f"{path}.{name}" for name, count in counts.items() if count > 1)
    for field in kind.fields:
        yield from _doubled_fields(field.type, f"{path}.{field.name}")
    if kind.item is not None:
        yield from _doubled_fields(kind.item, path)


def _unique(source: _Source, columns: tuple[Column, ...]) -> tuple[tuple[str, ...], ...]:
    given = source.schema.unique or []
    keys = [given] if all(isinstance(name, str) for name in given) else given
    known = {column.name for column in columns}
    for key in keys:
        for name in key:
            if name not in known:
                raise source.error("ASL017", f"has Config.unique with the unknown column {name!r}", "Mend it")
    return tuple(tuple(key) for key in keys if key)


def _drift(schema: Any) -> Drift:
    if schema.strict is True:
        return Drift.STRICT if schema.ordered else Drift.REORDER
    return Drift.PERMISSIVE if schema.add_missing_columns else Drift.EVOLVE


def _column(source: _Source, name: str, column: Any) -> Column:
    if column.regex:
        raise source.error(
            "ASL011",
            "is a pattern of column names, which has no fixed output column",
            "Declare each column by its name",
            name,
        )
    if column.parsers:
        raise source.error("ASL012", "has a parser", "Do it in the transform", name)
    if column.dtype is None:
        raise source.error("ASL013", "has no type", "Declare one", name)
    dtype = column.dtype.type
    kind = _data_type(source, name, dtype)
    default = _default(source, name, column, kind)
    fillable = column.nullable or default is not None
    return Column(
        name=name,
        type=kind,
        nullable=column.nullable,
        unique=column.unique,
        required=column.required and not (source.schema.add_missing_columns and fillable),
        coerce=bool(column.coerce or source.schema.coerce),
        rules=tuple(_rules(source, name, column, kind)),
        description=column.description or column.title or "",
        default=default,
    )


def _data_type(source: _Source, name: str, dtype: Any) -> DataType:
    try:
        kind = data_type(dtype)
    except LoweringError as error:
        raise source.error("ASL013", f"has {error.what}", error.hint, name) from None
    if holds_closed_type(dtype):
        raise source.error(
            "ASL013",
            "has an Enum or Array inside another type, where no rule of a column reaches it",
            "Use pl.String or pl.List there",
            name,
        )
    return kind


def _default(source: _Source, name: str, column: Any, kind: DataType) -> Any:
    if column.default is None:
        return None
    try:
        return json_value(column.default, kind)
    except LoweringError as error:
        raise source.error(
            "ASL019", f"has the default {column.default!r}, which is no {kind}", error.hint, name
        ) from None


def _rules(source: _Source, name: str, column: Any, kind: DataType) -> Iterator[Rule]:
    dtype = column.dtype.type
    # Pandera's Category is text with a list of categories; a Polars Enum holds them in its type.
    categories = enum_values(dtype) or getattr(column.dtype, "categories", None)
    rules = []
    if categories is not None:
        rules.append(Rule(f"{name}.isin", "isin", {"allowed_values": sorted(map(str, categories))}))
    if (width := array_width(dtype)) is not None:
        rules.append(Rule(f"{name}.array_width", "array_width", {"value": width}))
    for check in column.checks:
        try:
            rules.append(lower_check(name, check, kind))
        except LoweringError as error:
            raise source.error(
                "ASL014", f"has the check {check.name!r} with {error.what}", error.hint, name
            ) from None
    seen: Counter[str] = Counter()
    for rule in rules:
        seen[rule.id] += 1
        yield rule if seen[rule.id] == 1 else replace(rule, id=f"{rule.id}_{seen[rule.id]}")


def _line_of(model: Any, column: str | None, where: Where) -> Where:
    """The model's own file, and the line of `column` in it; `where` if the source is not at hand."""
    try:
        file = inspect.getsourcefile(model)
        lines, first = inspect.getsourcelines(model)
    except (OSError, TypeError):
        return where
    if file is None:
        return where
    starts = (f"{column}:", f"{column} :")
    offset = next((i for i, line in enumerate(lines) if column and line.strip().startswith(starts)), 0)
    return Where(relative(file), first + offset, where.pipeline, where.asset)
