"""Declared values against the vocabulary's annotations, as no type checker has to run before `asl`.

In: a pipeline. Out: nothing, or ASL041 for the first value that is not of its field's type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipeline import Pipeline


def check_types(pipeline: Pipeline) -> None:
    """Check every field of a pipeline, and of all that it holds.

    Raises:
        CompileError: ASL041, at the source or asset that holds the value, or at the pipeline.
    """
    for owner, name, value, hint, where in _mistyped(pipeline, pipeline.where):
        raise CompileError(
            "ASL041",
            replace(where, pipeline=str(pipeline.name)),
            f"{owner}({name}={_short(value)}) is not what the field takes",
            f"Give {_spelled(hint)}",
        )


def _mistyped(holder: Any, where: Where) -> Iterator[tuple[str, str, Any, Any, Where]]:
    declared: type = type(holder)
    hints = _hints(declared)
    for field in fields(holder):
        value, hint = getattr(holder, field.name), hints[field.name]
        if not _fits(value, hint):
            yield type(holder).__name__, field.name, value, hint, where
            return
        for inner in value if isinstance(value, tuple) else (value,):
            if is_dataclass(inner) and not isinstance(inner, type | Where):
                place = getattr(inner, "where", None)
                yield from _mistyped(
                    inner, replace(place, asset=str(getattr(inner, "name", None))) if place else where
                )


@cache
def _hints(declared: type) -> dict[str, Any]:
    return get_type_hints(declared)


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in inner)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(each, inner[0]) for each in value)
    wanted = origin or hint
    if wanted is Any or not isinstance(wanted, type) or getattr(wanted, "_is_protocol", False):
        return True
    return isinstance(value, wanted)


def _short(value: Any) -> str:
    text = type(value).__name__ + "(…)" if is_dataclass(value) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _spelled(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (Union, UnionType):
        return " or ".join(_spelled(one) for one in inner)
    if origin is tuple:
        return f"a tuple of {_spelled(inner[0])}: (x,)"
    if origin is type:
        return "a class"
    return "None" if hint is type(None) else str(getattr(origin or hint, "__name__", hint))
