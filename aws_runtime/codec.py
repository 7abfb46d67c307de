"""Frozen dataclasses to JSON values and back, strictly.

Fields that hold their default are left out; an unknown or missing key and a value of the
wrong type are `ValueError`s that name the path, as in `columns[3].type.name`.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Return `value` as JSON values: dataclasses as objects, tuples as lists, enums by value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(member)
            for field in dataclasses.fields(value)
            if (member := getattr(value, field.name)) != _default(field)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(member) for member in value]
    return value


def decode(cls: type[T], data: Any, path: str = "") -> T:
    """Build a `cls` from what `encode` wrote."""
    return _decode(cls, data, path)  # type: ignore[no-any-return]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return dataclasses.MISSING


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _decode(hint: Any, data: Any, path: str) -> Any:  # noqa: PLR0911 - one case a kind of hint
    if hint is Any:
        return data
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if data is None:
            return None
        return _decode(next(a for a in get_args(hint) if a is not types.NoneType), data, path)
    if origin is tuple:
        _expect(data, list, path)
        return tuple(_decode(get_args(hint)[0], item, f"{path}[{i}]") for i, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        _expect(data, dict, path)
        value_hint = get_args(hint)[1]
        return {key: _decode(value_hint, item, f"{path}.{key}") for key, item in data.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(data)
        except ValueError:
            known = ", ".join(str(member.value) for member in hint)
            raise ValueError(f"{path}: {data!r} is none of {known}") from None
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, data, path)
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    _expect(data, hint, path)
    return data


def _decode_dataclass(cls: Any, data: Any, path: str) -> Any:
    _expect(data, dict, path)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise ValueError(f"{path or cls.__name__}: unknown key {unknown[0]!r}")
    missing = [n for n, f in fields.items() if n not in data and _default(f) is dataclasses.MISSING]
    if missing:
        raise ValueError(f"{path or cls.__name__}: missing key {missing[0]!r}")
    hints = _hints(cls)
    return cls(**{k: _decode(hints[k], v, f"{path}.{k}" if path else k) for k, v in data.items()})


def _expect(data: Any, kind: type, path: str) -> None:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise ValueError(f"{path or 'document'}: expected {kind.__name__}, got {type(data).__name__}")
