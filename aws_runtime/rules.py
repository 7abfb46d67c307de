"""Contract -> SQL: typed columns, and predicates that find bad rows.

In: a neutral contract, a dialect and the types of the frame at hand. Out: SQL text that an engine
puts into its own queries. An engine selects `projection` from its frame, and evaluates `violations`
over the result: no predicate is ever NULL, so `NOT (p OR q …)` is the filter of the good rows, and
reasons need be computed for the bad ones only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aws_runtime.checks import CHECKS
from aws_runtime.coercion import (
    QUOTED,
    TEXT,
    as_text,
    can_fail,
    coerce_reason,
    coerced,
    converts,
    lexical,
    lexical_form,
    literal,
    lost,
    read_type,
    text_type,
)
from aws_runtime.contract import Column, Contract, DataType, Rule, Severity
from aws_runtime.dialect import Dialect

__all__ = [
    "QUOTED",
    "RAW_PREFIX",
    "TEXT",
    "Dialect",
    "Frame",
    "Violation",
    "coerced",
    "describe",
    "lexical",
    "lexical_form",
    "literal",
    "projection",
    "raw_columns",
    "raw_name",
    "read_type",
    "text_type",
    "violations",
]

#: Prefix of the columns that keep a converted column's value as it was read.
RAW_PREFIX = "__raw_"

#: Column -> its type in the frame at hand.
Frame = Mapping[str, DataType]


@dataclass(frozen=True, slots=True)
class Violation:
    """How rows break one rule, over the frame that `projection` makes.

    Args:
        id: The rule's id.
        severity: ERROR quarantines the row, WARN only counts it.
        predicate: SQL that is true where the rule is broken; never NULL.
        reason: SQL text for a person; meaningful only where `predicate` is true.
        window: Whether `predicate` holds a window function, which no WHERE clause accepts.
        keys: Of a uniqueness rule, its columns, for engines with a cheaper way to find duplicates.
    """

    id: str
    severity: Severity
    predicate: str
    reason: str
    window: bool = False
    keys: tuple[str, ...] = ()


def raw_name(column: str) -> str:
    """Name under which `projection` keeps a converted column as it was read."""
    return RAW_PREFIX + column


def raw_columns(contract: Contract, dialect: Dialect, frame: Frame) -> dict[str, str]:
    """Column -> name of its value as it was read, in the frame that `projection` makes.

    Columns that the frame lacks are left out: they have no value to show.
    """
    return {
        c.name: raw_name(c.name) if converts(c, dialect, frame.get(c.name)) else c.name
        for c in contract.columns
        if c.name in frame
    }


def projection(contract: Contract, dialect: Dialect, frame: Frame) -> tuple[tuple[str, str], ...]:
    """(name, SQL) of every contract column, typed, then of the values as read where they differ."""
    typed = [(c.name, coerced(c, dialect, frame.get(c.name))) for c in contract.columns]
    raw = [
        (raw_name(c.name), dialect.quote(c.name))
        for c in contract.columns
        if c.name in frame and converts(c, dialect, frame.get(c.name))
    ]
    return (*typed, *raw)


def violations(
    contract: Contract, dialect: Dialect, frame: Frame, unread: str | None = None
) -> tuple[Violation, ...]:
    """Every way in which a row can break the contract, in the contract's order.

    Args:
        contract: What the rows must keep.
        dialect: The engine's SQL.
        frame: The columns at hand.
        unread: SQL, never NULL, of the rows that are broken records: they have no values, so they break
            no rule, and their nulls repeat nothing.
    """
    apart = [] if unread is None else [f"({unread})"]
    found: list[Violation] = []
    for column in contract.columns:
        if column.name in frame or column.required:
            found.extend(_of_column(column, contract, dialect, frame, apart))
    found.extend(
        _repeated(f"({','.join(keys)}).unique", keys, contract, dialect, frame, apart)
        for keys in contract.unique
    )
    return tuple(
        replace(v, predicate="(" + " AND ".join([*(f"NOT {one}" for one in apart), v.predicate]) + ")")
        if apart
        else v
        for v in found
    )


def _of_column(
    column: Column, contract: Contract, dialect: Dialect, frame: Frame, apart: Sequence[str]
) -> Iterator[Violation]:
    if (broken := _not_coerced(column, dialect, frame)) is not None:
        yield broken
    if not column.nullable:
        yield _null(column, dialect, frame)
    if column.unique:
        yield _repeated(f"{column.name}.unique", (column.name,), contract, dialect, frame, apart)
    for rule in column.rules:
        yield _rule(column, rule, dialect)


def _not_coerced(column: Column, dialect: Dialect, frame: Frame) -> Violation | None:
    actual = frame.get(column.name)
    if actual is None or not converts(column, dialect, actual) or not can_fail(actual, column.type, dialect):
        return None
    raw, typed = dialect.quote(raw_name(column.name)), dialect.quote(column.name)
    predicate = " OR ".join(lost(raw, typed, actual, column.type, dialect))
    path = dialect.text(column.name)
    return Violation(
        f"{column.name}.coerce",
        Severity.ERROR,
        f"({predicate})",
        coerce_reason(raw, path, actual, column.type, dialect, 0) or "NULL",
    )


def _null(column: Column, dialect: Dialect, frame: Frame) -> Violation:
    typed = dialect.quote(column.name)
    missing = f"{typed} IS NULL"
    if _not_coerced(column, dialect, frame) is not None:
        # A value that was there but could not be converted has its own reason.
        missing = f"({missing} AND {dialect.quote(raw_name(column.name))} IS NULL)"
    if column.type.name in ("float32", "float64"):
        # As in Pandera, NaN counts as missing.
        missing = f"({missing} OR COALESCE({dialect.is_nan(typed)}, FALSE))"
    return Violation(
        f"{column.name}.not_null",
        Severity.ERROR,
        f"({missing})",
        dialect.text(f"{column.name}: is null"),
    )


def _repeated(  # noqa: PLR0917 - what a rule of several columns is made of
    rule: str,
    keys: tuple[str, ...],
    contract: Contract,
    dialect: Dialect,
    frame: Frame,
    apart: Sequence[str],
) -> Violation:
    """Every row that shares its key with another, null keys included, as Pandera reports it."""
    by_name = {c.name: c for c in contract.columns}
    failed = [
        broken.predicate for key in keys if (broken := _not_coerced(by_name[key], dialect, frame)) is not None
    ]
    # A value that could not be converted is NULL here, but is no duplicate of a real null.
    partition = ", ".join([*(dialect.quote(key) for key in keys), *failed, *apart])
    predicate = f"COUNT(*) OVER (PARTITION BY {partition}) > 1"
    shown = ", ', ', ".join(
        f"COALESCE(SUBSTR({as_text(dialect.quote(key), dialect, by_name[key].type)}, 1, {QUOTED}), 'null')"
        for key in keys
    )
    subject = keys[0] if len(keys) == 1 else f"({', '.join(keys)})"
    said = f"CONCAT({dialect.text(subject + ': ')}, {shown}, ' appears more than once')"
    return Violation(
        rule,
        Severity.ERROR,
        "(" + " AND ".join([predicate, *(f"NOT {f}" for f in failed)]) + ")",
        said,
        window=True,
        keys=keys,
    )


def _rule(column: Column, rule: Rule, dialect: Dialect) -> Violation:
    value = dialect.quote(column.name)
    if rule.check == "unique_values_eq":
        return _whole_set(column, rule, value, dialect)
    kept = CHECKS[rule.check](value, rule.args, column.type, dialect)
    shown = f"COALESCE(SUBSTR({as_text(value, dialect, column.type)}, 1, {QUOTED}), 'null')"
    quote = dialect.text("'" if column.type.name == "string" else "")
    said = (
        f"CONCAT({dialect.text(column.name + ': ')}, {quote}, {shown}, {quote}, "
        f"{dialect.text(' breaks ' + describe(rule))})"
    )
    return Violation(
        rule.id,
        rule.severity,
        f"COALESCE(NOT ({kept}), {'FALSE' if rule.ignore_na else 'TRUE'})",
        said,
    )


def _whole_set(column: Column, rule: Rule, value: str, dialect: Dialect) -> Violation:
    """A rule on the set of values breaks, for every row, when a value is missing or foreign."""
    allowed = [literal(v, column.type, dialect) for v in rule.args["values"]]
    foreign = f"{value} NOT IN ({', '.join(allowed)})" if allowed else f"{value} IS NOT NULL"
    broken = [f"MAX(CASE WHEN {foreign} THEN 1 ELSE 0 END) OVER () = 1"]
    broken += [f"MAX(CASE WHEN {value} = {v} THEN 1 ELSE 0 END) OVER () = 0" for v in allowed]
    return Violation(
        rule.id,
        rule.severity,
        "(" + " OR ".join(broken) + ")",
        dialect.text(f"{column.name}: breaks {describe(rule)}"),
        window=True,
    )


def describe(rule: Rule) -> str:
    """`greater_than(min_value=0)`: a rule as its author wrote it."""
    shown = (f"{k}={v!r}" for k, v in rule.args.items() if k != "portable" and v is not None)
    return f"{rule.check}({', '.join(shown)})"
