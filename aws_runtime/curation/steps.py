"""Built-in steps of a configuration -> one function of lazy frames, the same on every engine.

In: the configuration's `steps`. Out: a function from a Narwhals LazyFrame to one; it runs before the
asset's own transform. A step that names a column that is not there is a `ConfigError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import narwhals as nw

from aws_runtime.curation.config import ConfigError, Step
from aws_runtime.curation.expressions import TYPES, ExpressionError, columns, expression

Frame = nw.LazyFrame[Any]
#: The hidden columns that a source's rows carry; no step names or loses them.
_HIDDEN = ("source_uri", "source_row")
_RANK, _LAST = "__rank", "__last"


def check(steps: Sequence[Step]) -> None:
    """Check what can be checked without data.

    Raises:
        ConfigError: An expression or a type that is none, with the step's key.
    """
    for position, step in enumerate(steps):
        for problem in _problems(step):
            raise ConfigError(f"steps[{position}].{problem}")


def _problems(step: Step) -> Iterator[str]:
    for name, text in step.derive.items():
        yield from _expression_problem(f"derive.{name}", text)
    if step.filter:
        yield from _expression_problem("filter", step.filter)
    for name, kind in step.cast.items():
        if kind not in TYPES:
            yield f"cast.{name}: {kind!r} is no type; there are {', '.join(TYPES)}"
    targets = list(step.rename.values())
    if len(set(targets)) < len(targets):
        yield "rename: two columns get one name"


def _expression_problem(name: str, text: str) -> Iterator[str]:
    try:
        expression(text)
    except ExpressionError as error:
        yield f"{name}: {error}"


def apply(steps: Sequence[Step], frame: Frame) -> Frame:
    """Run the steps in order.

    Args:
        steps: Checked by `check`.
        frame: The rows.

    Raises:
        ConfigError: A step names a column that is not there.
    """
    for position, step in enumerate(steps):
        names = frame.collect_schema().names()
        missing = [name for name in _read(step) if name not in names]
        if missing:
            there = ", ".join(name for name in names if name not in _HIDDEN)
            raise ConfigError(f"steps[{position}]: there is no column {missing[0]!r}; there are {there}")
        frame = _applied(step, frame, names)
    return frame


def _read(step: Step) -> Iterable[str]:
    yield from step.rename
    yield from step.drop
    yield from step.cast
    yield from step.deduplicate
    yield from step.by
    for text in (*step.derive.values(), *([step.filter] if step.filter else [])):
        yield from sorted(columns(text))


def _applied(step: Step, frame: Frame, names: Sequence[str]) -> Frame:
    if step.rename:
        return frame.rename(dict(step.rename))
    if step.drop:
        return frame.drop(*step.drop)
    if step.cast:
        return frame.with_columns(*(nw.col(name).cast(TYPES[kind]) for name, kind in step.cast.items()))
    if step.derive:
        return frame.with_columns(*(expression(text).alias(name) for name, text in step.derive.items()))
    if step.filter:
        return frame.filter(expression(step.filter))
    return _deduplicated(step, frame, names)


def _deduplicated(step: Step, frame: Frame, names: Sequence[str]) -> Frame:
    """Keep one row a key: the last by `by`, and among equals the last by the row's position."""
    order = [*step.by, *(name for name in _HIDDEN if name in names)]
    if not order:
        order = [name for name in names if name not in step.deduplicate] or list(step.deduplicate)
    keys = list(step.deduplicate)
    one = frame.with_columns(nw.lit(1).alias(_RANK))
    ranked = one.with_columns(nw.col(_RANK).cum_sum().over(*keys, order_by=order))
    counted = ranked.with_columns(nw.col(_RANK).max().over(*keys).alias(_LAST))
    return counted.filter(nw.col(_RANK) == nw.col(_LAST)).drop(_RANK, _LAST)
