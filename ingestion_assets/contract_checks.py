"""Pandera checks of one column -> neutral rules.

In: the checks of a Pandera column and its neutral type. Out: `Rule`s with JSON arguments. A check
that is no built-in, or cannot judge the column's type, is refused with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pandera.api.function_dispatch import Dispatcher

from aws_runtime.contract import DataType, Rule, Severity
from ingestion_assets.contract_types import LoweringError, json_value
from ingestion_assets.portable_regex import PortabilityError, portable

_Arguments = Mapping[str, Any]
_ORDERED = frozenset(
    {
        *("string", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float32", "float64", "decimal", "date", "timestamp"),
    }
)


def _equality(args: _Arguments, kind: DataType) -> dict[str, Any]:
    return {"value": json_value(args["value"], kind)}


def _bounds(args: _Arguments, kind: DataType) -> dict[str, Any]:
    if kind.name not in _ORDERED:
        raise LoweringError(f"an order, which {kind} has none of", "Use isin or equal_to")
    flags = {k: v for k, v in args.items() if k.startswith("include_")}
    return {k: json_value(v, kind) for k, v in args.items() if k not in flags} | flags


def _members(args: _Arguments, kind: DataType) -> dict[str, Any]:
    (name, values), *_ = args.items()
    return {name: sorted((json_value(v, kind) for v in values), key=lambda v: (str(type(v)), v))}


def _regex(prefix: str) -> Callable[[_Arguments, DataType], dict[str, Any]]:
    def lower(args: _Arguments, kind: DataType) -> dict[str, Any]:
        _text_only(kind)
        pattern = args["pattern"]
        if hasattr(pattern, "pattern"):
            if pattern.flags & ~32:  # 32 is re.UNICODE, which every str pattern has
                raise LoweringError(f"the flags of {pattern.pattern!r}", "Write the pattern without flags")
            pattern = pattern.pattern
        anchored = pattern if pattern.startswith(prefix) else prefix + pattern
        try:
            return {"pattern": pattern, "portable": portable(anchored)}
        except PortabilityError as error:
            raise LoweringError(
                f"the pattern {pattern!r} with {error}, which not every engine reads alike",
                "Write it with literals, sets, groups and repeats only",
            ) from None

    return lower


def _affix(args: _Arguments, kind: DataType) -> dict[str, Any]:
    _text_only(kind)
    return {"string": args["string"]}


def _length(args: _Arguments, kind: DataType) -> dict[str, Any]:
    _text_only(kind)
    given = {k: v for k, v in args.items() if v is not None}
    if not given:
        raise LoweringError("no bound", "Give min_value, max_value or exact_value")
    return given


def _text_only(kind: DataType) -> None:
    if kind.name != "string":
        raise LoweringError(f"text, which a column of type {kind} has none of", "Use it on a string column")


#: Pandera's built-in checks -> what makes JSON of their arguments.
_LOWER: Mapping[str, Callable[[_Arguments, DataType], dict[str, Any]]] = {
    "equal_to": _equality,
    "not_equal_to": _equality,
    "greater_than": _bounds,
    "greater_than_or_equal_to": _bounds,
    "less_than": _bounds,
    "less_than_or_equal_to": _bounds,
    "in_range": _bounds,
    "isin": _members,
    "notin": _members,
    "unique_values_eq": _members,
    "str_matches": _regex("^"),
    "str_contains": _regex(""),
    "str_startswith": _affix,
    "str_endswith": _affix,
    "str_length": _length,
}


def lower_check(column: str, check: Any, kind: DataType) -> Rule:
    """Return the rule of one check.

    Raises:
        LoweringError: For a check that is not built in, or an argument that does not fit the column.
    """
    built_in = isinstance(check._check_fn, Dispatcher) and check.name in _LOWER  # noqa: SLF001 - a custom function may carry a built-in's name
    if not built_in or check.element_wise or check.groupby:
        raise LoweringError(
            "a function of its own, which no engine but Python can run",
            f"Use one of {', '.join(sorted(_LOWER))}, or do it in the transform",
        )
    try:
        # The function's own arguments: Pandera has already turned collections into sets there.
        args = _LOWER[check.name](check._check_kwargs, kind)  # noqa: SLF001 - `statistics` keeps the raw ones
    except LoweringError:
        raise
    except TypeError as error:
        raise LoweringError(
            f"arguments that cannot be compared: {error}", "Give values of one type"
        ) from None
    return Rule(
        id=f"{column}.{check.name}",
        check=check.name,
        args=args,
        severity=Severity.WARN if check.raise_warning else Severity.ERROR,
        ignore_na=check.ignore_na,
    )
