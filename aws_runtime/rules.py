"""Contract -> SQL: types to read, expressions that coerce, predicates that find bad rows.

In: a neutral contract, a dialect and the types of the frame at hand. Out: SQL text that an engine
puts into its own queries. An engine selects `projection` from its frame, and evaluates `violations`
over the result: no predicate is ever NULL, so `NOT (p OR q …)` is the filter of the good rows, and
reasons need be computed for the bad ones only.

Lexical forms are checked here, not left to an engine's cast, so that every engine accepts exactly
the same texts; docs/contracts.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_runtime.contract import Column, Contract, DataType, Field, Rule, Severity

#: Prefix of the columns that keep a converted column's value as it was read.
RAW_PREFIX = "__raw_"
#: Longest part of an offending value that a reason quotes, in characters.
QUOTED = 100

TEXT = DataType("string")
_UNSIGNED = {"uint8": 2**8 - 1, "uint16": 2**16 - 1, "uint32": 2**32 - 1, "uint64": 2**64 - 1}
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", *_UNSIGNED})
_NUMBERS = _INTEGERS | {"float32", "float64", "decimal"}

Frame = Mapping[str, DataType]


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""What one engine's SQL calls things; every member takes and returns SQL text.

    Args:
        name: For messages.
        quote: Name -> quoted identifier.
        text: Value -> string literal.
        type_name: DataType -> SQL type (unsigned integers as the wider signed ones).
        try_cast: (expression, SQL type) -> cast that gives NULL where it fails.
        matches: (expression, regex) -> whether the regex is found; anchors are `\A` and `\z`.
        finite: Float expression -> whether it is neither NaN nor infinite.
        is_nan: Float expression -> whether it is NaN.
        member: (struct expression, field name) -> the field.
        struct: [(field name, expression)] -> a struct.
        each: (list expression, variable, index variable, body) -> list of the bodies.
        index: Index variable -> integer expression, counting from 0.
        exists: (list expression, variable, body) -> whether the body is true for any item.
        first: List-of-text expression -> its first item that is not NULL.
        length: List expression -> its number of items.
        encode: Text expression -> its UTF-8 bytes.
        counted: (list expression, variable, body) -> number of items whose body is not NULL; None
            where `exists` with a second conversion is as fast.
        from_text: (expression, DataType) -> the engine's own, faster way to turn text into a leaf
            type with exactly the lexical forms of `lexical`, or None to use `lexical`.
    """

    name: str
    quote: Callable[[str], str]
    text: Callable[[str], str]
    type_name: Callable[[DataType], str]
    try_cast: Callable[[str, str], str]
    matches: Callable[[str, str], str]
    finite: Callable[[str], str]
    is_nan: Callable[[str], str]
    member: Callable[[str, str], str]
    struct: Callable[[Sequence[tuple[str, str]]], str]
    each: Callable[[str, str, str, str], str]
    index: Callable[[str], str]
    exists: Callable[[str, str, str], str]
    first: Callable[[str], str]
    length: Callable[[str], str]
    encode: Callable[[str], str]
    counted: Callable[[str, str, str], str] | None = None
    from_text: Callable[[str, DataType], str | None] = lambda _expression, _type: None


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


# --- reading and coercing ---------------------------------------------------------------------


def text_type(data_type: DataType) -> DataType:
    """The type to read `data_type` as: every leaf text, structs and lists kept."""
    if data_type.item is not None:
        return DataType("list", item=text_type(data_type.item))
    if data_type.name == "struct":
        return DataType("struct", fields=tuple(Field(f.name, text_type(f.type)) for f in data_type.fields))
    return TEXT


def read_type(data_type: DataType, dialect: Dialect) -> str:
    """`text_type` in SQL."""
    return dialect.type_name(text_type(data_type))


def raw_name(column: str) -> str:
    """Name under which `projection` keeps a converted column as it was read."""
    return RAW_PREFIX + column


def raw_columns(contract: Contract, dialect: Dialect, frame: Frame) -> dict[str, str]:
    """Column -> name of its value as it was read, in the frame that `projection` makes.

    Columns that the frame lacks are left out: they have no value to show.
    """
    return {
        c.name: raw_name(c.name) if _converts(c, dialect, frame) else c.name
        for c in contract.columns
        if c.name in frame
    }


def projection(contract: Contract, dialect: Dialect, frame: Frame) -> tuple[tuple[str, str], ...]:
    """(name, SQL) of every contract column, typed, then of the values as read where they differ."""
    typed = [(c.name, coerced(c, dialect, frame.get(c.name))) for c in contract.columns]
    raw = [
        (raw_name(c.name), dialect.quote(c.name))
        for c in contract.columns
        if c.name in frame and _converts(c, dialect, frame)
    ]
    return (*typed, *raw)


def coerced(column: Column, dialect: Dialect, actual: DataType | None) -> str:
    """SQL that turns the column as read into its contract type, NULL where impossible.

    Args:
        column: The contract's column.
        dialect: The engine's SQL.
        actual: Its type in the frame; None where the frame lacks it.
    """
    wanted = dialect.type_name(column.type)
    default = None if column.default is None else literal(column.default, column.type, dialect)
    if actual is None:
        return default or f"CAST(NULL AS {wanted})"
    source = dialect.quote(column.name)
    value = _convert(source, actual, column.type, dialect, 0)
    if default is None:
        return value
    missing = f"{source} IS NULL"
    if actual.name in ("float32", "float64"):
        missing = f"({missing} OR {dialect.is_nan(source)})"
    return f"CASE WHEN {missing} THEN {default} ELSE {value} END"


def _converts(column: Column, dialect: Dialect, frame: Frame) -> bool:
    actual = frame.get(column.name)
    return actual is not None and (
        dialect.type_name(actual) != dialect.type_name(column.type)
        or column.type.name in _UNSIGNED
        or column.default is not None
    )


def _convert(source: str, actual: DataType, wanted: DataType, dialect: Dialect, depth: int) -> str:
    if dialect.type_name(actual) == dialect.type_name(wanted) and not _holds_unsigned(wanted):
        return source
    if wanted.item is not None:
        if actual.item is None:
            return f"CAST(NULL AS {dialect.type_name(wanted)})"
        variable = f"x{depth}"
        body = _convert(variable, actual.item, wanted.item, dialect, depth + 1)
        return dialect.each(source, variable, "", body)
    if wanted.name == "struct":
        have = {f.name: f.type for f in actual.fields}
        if not have:
            return f"CAST(NULL AS {dialect.type_name(wanted)})"
        fields = [
            (
                f.name,
                _convert(dialect.member(source, f.name), have[f.name], f.type, dialect, depth)
                if f.name in have
                else f"CAST(NULL AS {dialect.type_name(f.type)})",
            )
            for f in wanted.fields
        ]
        return f"CASE WHEN {source} IS NOT NULL THEN {dialect.struct(fields)} END"
    if actual.name == "string":
        return dialect.from_text(source, wanted) or lexical(source, wanted, dialect)
    return _retyped(source, actual, wanted, dialect)


def _retyped(source: str, actual: DataType, wanted: DataType, dialect: Dialect) -> str:
    """One typed leaf to another, only where the value survives unchanged."""
    target = dialect.type_name(wanted)
    cast = dialect.try_cast(source, target)
    checks = []
    if actual.name in _NUMBERS and wanted.name in _NUMBERS and wanted.name not in ("float32", "float64"):
        checks.append(f"{dialect.try_cast(cast, dialect.type_name(actual))} = {source}")
    if actual.name == "timestamp" and wanted.name == "date":
        checks.append(f"{dialect.try_cast(cast, dialect.type_name(actual))} = {source}")
    if wanted.name in _UNSIGNED:
        checks.append(f"{cast} BETWEEN 0 AND {_UNSIGNED[wanted.name]}")
    return f"CASE WHEN {' AND '.join(checks)} THEN {cast} END" if checks else cast


def _holds_unsigned(data_type: DataType) -> bool:
    inner = [f.type for f in data_type.fields] + ([data_type.item] if data_type.item else [])
    return data_type.name in _UNSIGNED or any(_holds_unsigned(t) for t in inner)


_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DATE = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,6}0*)?)?"
_OFFSET = "(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
_FLOAT = "[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?"


def lexical_form(data_type: DataType) -> str | None:
    """The regex, without anchors, of the texts that may become a leaf type; None for any text."""
    match data_type.name:
        case name if name in _INTEGERS:
            return "[+-]?[0-9]+"
        case "float32" | "float64":
            return _FLOAT
        case "decimal":
            scale = data_type.scale or 0
            whole = (data_type.precision or 38) - scale
            digits = f"0*[0-9]{{1,{whole}}}" if whole else "0+"
            fraction = f"[.][0-9]{{1,{scale}}}0*" if scale else "[.]0+"
            return f"[+-]?(?:{digits}[.]?|(?:{digits}|0*){fraction})"
        case "boolean":
            return "true|false"
        case "date":
            return _DATE
        case "timestamp":
            return f"{_DATE}[T ]{_CLOCK}" + (_OFFSET if data_type.timezone else "")
        case _:
            return None


def lexical(source: str, data_type: DataType, dialect: Dialect) -> str:
    """Text -> leaf type by its canonical lexical form, NULL where it has none."""
    target = dialect.type_name(data_type)
    if data_type.name == "string":
        return source
    if data_type.name == "binary":
        return dialect.encode(source)
    if data_type.name == "boolean":
        return f"CASE {source} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
    cast = dialect.try_cast(source, target)
    checks = [dialect.matches(source, rf"\A(?:{lexical_form(data_type)})\z")]
    if data_type.name in ("float32", "float64"):
        checks.append(dialect.finite(cast))
    if data_type.name in _UNSIGNED:
        checks.append(f"{cast} BETWEEN 0 AND {_UNSIGNED[data_type.name]}")
    return f"CASE WHEN {' AND '.join(checks)} THEN {cast} END"


def literal(value: Any, data_type: DataType, dialect: Dialect) -> str:
    """A JSON argument of a rule as an SQL literal of the column's type."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if data_type.name == "string":
        return dialect.text(str(value))
    if data_type.name in _INTEGERS:
        # A fractional bound of an integer column is compared as a double, an integer as it is.
        return str(value) if isinstance(value, int) else f"CAST({dialect.text(repr(value))} AS DOUBLE)"
    if data_type.name == "decimal":
        return str(value)
    text = repr(value) if isinstance(value, (int, float)) else str(value)
    return f"CAST({dialect.text(text)} AS {dialect.type_name(data_type)})"


# --- finding bad rows -------------------------------------------------------------------------


def violations(contract: Contract, dialect: Dialect, frame: Frame) -> tuple[Violation, ...]:
    """Every way in which a row can break the contract, in the contract's order."""
    found: list[Violation] = []
    for column in contract.columns:
        if column.name not in frame and not column.required:
            continue
        if (broken := _not_coerced(column, dialect, frame)) is not None:
            found.append(broken)
        if not column.nullable:
            found.append(_null(column, dialect, frame))
        if column.unique:
            found.append(_repeated(f"{column.name}.unique", (column.name,), contract, dialect, frame))
        found.extend(_rule(column, rule, dialect) for rule in column.rules)
    for keys in contract.unique:
        found.append(_repeated(f"({','.join(keys)}).unique", keys, contract, dialect, frame))
    return tuple(found)


def _not_coerced(column: Column, dialect: Dialect, frame: Frame) -> Violation | None:
    actual = frame.get(column.name)
    if actual is None or not _converts(column, dialect, frame) or not _can_fail(actual, column.type, dialect):
        return None
    raw, typed = dialect.quote(raw_name(column.name)), dialect.quote(column.name)
    predicate = " OR ".join(_lost(raw, typed, actual, column.type, dialect))
    path = dialect.text(column.name)
    return Violation(
        f"{column.name}.coerce",
        Severity.ERROR,
        f"({predicate})",
        _coerce_reason(raw, path, actual, column.type, dialect, 0) or "NULL",
    )


def _can_fail(actual: DataType, wanted: DataType, dialect: Dialect) -> bool:
    if wanted.item is not None:
        return actual.item is None or _can_fail(actual.item, wanted.item, dialect)
    if wanted.name == "struct":
        have = {f.name: f.type for f in actual.fields}
        return not have or any(
            f.name in have and _can_fail(have[f.name], f.type, dialect) for f in wanted.fields
        )
    if actual.name == "string" and wanted.name in ("string", "binary"):
        return False
    return dialect.type_name(actual) != dialect.type_name(wanted) or wanted.name in _UNSIGNED


def _lost(raw: str, typed: str, actual: DataType, wanted: DataType, dialect: Dialect) -> list[str]:
    """Predicates, never NULL, that compare the converted value with the one read."""
    if wanted.name == "struct" and actual.fields:
        return [
            predicate
            for name, inner, target in _members(actual, wanted, dialect)
            for predicate in _lost(
                dialect.member(raw, name), dialect.member(typed, name), inner, target, dialect
            )
        ]
    if wanted.item is not None and actual.item is not None:
        leaves = _leaves("x0", actual.item, wanted.item, dialect)
        if leaves is None or dialect.counted is None:
            return [f"COALESCE({_fails(raw, actual, wanted, dialect, 0)}, FALSE)"]
        # Values that are there before and gone after: cheaper than to convert each a second time.
        return [
            f"COALESCE({dialect.counted(raw, 'x0', leaf)} <> {dialect.counted(typed, 'x0', leaf)}, FALSE)"
            for leaf in leaves
        ]
    return [f"({raw} IS NOT NULL AND {typed} IS NULL)"]


def _members(actual: DataType, wanted: DataType, dialect: Dialect) -> list[tuple[str, DataType, DataType]]:
    """Fields of a struct whose conversion may fail: name, type as read, type wanted."""
    have = {f.name: f.type for f in actual.fields}
    return [
        (f.name, have[f.name], f.type)
        for f in wanted.fields
        if f.name in have and _can_fail(have[f.name], f.type, dialect)
    ]


def _leaves(item: str, actual: DataType, wanted: DataType, dialect: Dialect) -> list[str] | None:
    """Expressions of the leaves of `item` whose conversion may fail; None where lists nest."""
    if wanted.item is not None:
        return None
    if wanted.name != "struct" or not actual.fields:
        return [item]
    found: list[str] = []
    for name, inner, target in _members(actual, wanted, dialect):
        below = _leaves(dialect.member(item, name), inner, target, dialect)
        if below is None:
            return None
        found += below
    return found


def _fails(raw: str, actual: DataType, wanted: DataType, dialect: Dialect, depth: int) -> str:
    """Whether any leaf of `raw` cannot be converted; NULL where `raw` is NULL."""
    if wanted.item is not None and actual.item is not None:
        variable = f"x{depth}"
        return dialect.exists(raw, variable, _fails(variable, actual.item, wanted.item, dialect, depth + 1))
    if wanted.name == "struct" and actual.fields:
        parts = [
            f"COALESCE({_fails(dialect.member(raw, name), inner, target, dialect, depth)}, FALSE)"
            for name, inner, target in _members(actual, wanted, dialect)
        ]
        return "(" + " OR ".join(parts or ["FALSE"]) + ")"
    return f"({raw} IS NOT NULL AND {_convert(raw, actual, wanted, dialect, depth)} IS NULL)"


def _coerce_reason(
    raw: str, path: str, actual: DataType, wanted: DataType, dialect: Dialect, depth: int
) -> str | None:
    """Text that names the first leaf of `raw` that cannot be converted; `path` is SQL text."""
    if not _can_fail(actual, wanted, dialect):
        return None
    if wanted.item is not None and actual.item is not None:
        variable, index = f"x{depth}", f"i{depth}"
        place = f"CONCAT({path}, '[', {_text(dialect.index(index), dialect)}, ']')"
        body = _coerce_reason(variable, place, actual.item, wanted.item, dialect, depth + 1)
        return None if body is None else dialect.first(dialect.each(raw, variable, index, body))
    if wanted.name == "struct" and actual.fields:
        reasons = []
        for name, inner, target in _members(actual, wanted, dialect):
            place = f"CONCAT({path}, {dialect.text('.' + name)})"
            reason = _coerce_reason(dialect.member(raw, name), place, inner, target, dialect, depth)
            reasons += [reason] if reason is not None else []
        return f"COALESCE({', '.join(reasons)}, NULL)" if reasons else None
    shown = f"SUBSTR({_text(raw, dialect)}, 1, {QUOTED})"
    before, after = dialect.text(": '"), dialect.text(f"' is not {wanted}")
    said = f"CONCAT({path}, {before}, {shown}, {after})"
    return f"CASE WHEN {_fails(raw, actual, wanted, dialect, depth)} THEN {said} END"


def _text(expression: str, dialect: Dialect) -> str:
    return f"CAST({expression} AS {dialect.type_name(TEXT)})"


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


def _repeated(
    rule: str, keys: tuple[str, ...], contract: Contract, dialect: Dialect, frame: Frame
) -> Violation:
    """Every row that shares its key with another, null keys included, as Pandera reports it."""
    by_name = {c.name: c for c in contract.columns}
    failed = [
        broken.predicate for key in keys if (broken := _not_coerced(by_name[key], dialect, frame)) is not None
    ]
    # A value that could not be converted is NULL here, but is no duplicate of a real null.
    partition = ", ".join([*(dialect.quote(key) for key in keys), *failed])
    predicate = f"COUNT(*) OVER (PARTITION BY {partition}) > 1"
    shown = ", ', ', ".join(
        f"COALESCE(SUBSTR({_text(dialect.quote(key), dialect)}, 1, {QUOTED}), 'null')" for key in keys
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
    shown = f"COALESCE(SUBSTR({_text(value, dialect)}, 1, {QUOTED}), 'null')"
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


_Check = Callable[[str, Mapping[str, Any], DataType, Dialect], str]


def _compare(operator: str, argument: str) -> _Check:
    def check(value: str, args: Mapping[str, Any], kind: DataType, dialect: Dialect) -> str:
        return f"{value} {operator} {literal(args[argument], kind, dialect)}"

    return check


def _in_range(value: str, args: Mapping[str, Any], kind: DataType, dialect: Dialect) -> str:
    low = ">=" if args.get("include_min", True) else ">"
    high = "<=" if args.get("include_max", True) else "<"
    least, most = (literal(args[bound], kind, dialect) for bound in ("min_value", "max_value"))
    return f"{value} {low} {least} AND {value} {high} {most}"


def _among(argument: str, *, inside: bool) -> _Check:
    def check(value: str, args: Mapping[str, Any], kind: DataType, dialect: Dialect) -> str:
        listed = ", ".join(literal(v, kind, dialect) for v in args[argument])
        if not listed:
            return f"({value} IS NULL AND NULL) OR FALSE" if inside else f"{value} IS NOT NULL OR NULL"
        return f"{value} {'IN' if inside else 'NOT IN'} ({listed})"

    return check


def _pattern(value: str, args: Mapping[str, Any], _kind: DataType, dialect: Dialect) -> str:
    return dialect.matches(value, args["portable"])


def _starts(value: str, args: Mapping[str, Any], _kind: DataType, dialect: Dialect) -> str:
    text = args["string"]
    return f"SUBSTR({value}, 1, {len(text)}) = {dialect.text(text)}"


def _ends(value: str, args: Mapping[str, Any], _kind: DataType, dialect: Dialect) -> str:
    text = args["string"]
    return f"RIGHT({value}, {len(text)}) = {dialect.text(text)}"


def _length(value: str, args: Mapping[str, Any], _kind: DataType, _dialect: Dialect) -> str:
    length = f"LENGTH({value})"
    if args.get("exact_value") is not None:
        return f"{length} = {args['exact_value']}"
    bounds = []
    if args.get("min_value") is not None:
        bounds.append(f"{length} >= {args['min_value']}")
    if args.get("max_value") is not None:
        bounds.append(f"{length} <= {args['max_value']}")
    return " AND ".join(bounds)


def _width(value: str, args: Mapping[str, Any], _kind: DataType, dialect: Dialect) -> str:
    return f"{dialect.length(value)} = {args['value']}"


#: Check name -> SQL of the rule being kept; NULL where the value is null.
CHECKS: Mapping[str, _Check] = {
    "equal_to": _compare("=", "value"),
    "not_equal_to": _compare("<>", "value"),
    "greater_than": _compare(">", "min_value"),
    "greater_than_or_equal_to": _compare(">=", "min_value"),
    "less_than": _compare("<", "max_value"),
    "less_than_or_equal_to": _compare("<=", "max_value"),
    "in_range": _in_range,
    "isin": _among("allowed_values", inside=True),
    "notin": _among("forbidden_values", inside=False),
    "str_matches": _pattern,
    "str_contains": _pattern,
    "str_startswith": _starts,
    "str_endswith": _ends,
    "str_length": _length,
    "array_width": _width,
}
