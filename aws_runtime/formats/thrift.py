"""Thrift's compact protocol, as far as Parquet's footers and page headers need it.

In: bytes and where a struct begins. Out: its fields by id, nested as they are, and where it ends. Bytes
that are no such struct are a `ThriftError`; nothing is allocated by a length that the bytes merely claim.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

#: Structs within structs; Parquet's own nest half as deep.
DEPTH = 24
_TRUE, _FALSE, _STOP = 1, 2, 0

#: Bytes, or what gives bytes at an index as they do.
Buffer = bytes | memoryview


class ThriftError(ValueError):
    """The bytes are no struct of the compact protocol."""


def read_struct(data: Buffer, at: int = 0) -> tuple[dict[int, Any], int]:
    """Return the fields of the struct that begins at `at`, and the position after it.

    Raises:
        ThriftError: There is none.
    """
    try:
        return _struct(data, at, 0)
    except (IndexError, struct.error) as error:
        raise ThriftError(f"cut short or not Thrift, from byte {at:,}") from error


def list_length(data: Buffer, field: int) -> int:
    """Return the claimed length of a list among the first fields of a struct, without reading the list.

    Raises:
        ThriftError: The struct has no such list there.
    """
    try:
        at, number = 0, 0
        while data[at] != _STOP:
            number, kind, at = _field(data, at, number)
            if number == field:
                return _list_head(data, at)[1]
            _, at = _value(data, at, kind, 0)
    except (IndexError, struct.error) as error:
        raise ThriftError("cut short or not Thrift") from error
    raise ThriftError(f"there is no field {field}")


def _varint(data: Buffer, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ThriftError("an integer of more than 64 bits")


def _zigzag(data: Buffer, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _field(data: Buffer, at: int, last: int) -> tuple[int, int, int]:
    """Return the number and the kind of the field that begins at `at`, and where its value begins."""
    head = data[at]
    delta, kind = head >> 4, head & 0x0F
    if delta:
        return last + delta, kind, at + 1
    number, at = _zigzag(data, at + 1)
    return number, kind, at


def _struct(data: Buffer, at: int, depth: int) -> tuple[dict[int, Any], int]:
    if depth > DEPTH:
        raise ThriftError(f"structs nest more than {DEPTH} deep")
    fields: dict[int, Any] = {}
    number = 0
    while data[at] != _STOP:
        number, kind, at = _field(data, at, number)
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        else:
            fields[number], at = _value(data, at, kind, depth)
    return fields, at + 1


def _binary(data: Buffer, at: int) -> tuple[bytes, int]:
    length, at = _varint(data, at)
    if at + length > len(data):
        raise ThriftError(f"{length:,} bytes are claimed where {len(data) - at:,} are left")
    return bytes(data[at : at + length]), at + length


def _double(data: Buffer, at: int) -> tuple[float, int]:
    return struct.unpack_from("<d", data, at)[0], at + 8


def _byte(data: Buffer, at: int) -> tuple[int, int]:
    return data[at], at + 1


def _list_head(data: Buffer, at: int) -> tuple[int, int, int]:
    """Return the kind of a list's members, how many are claimed, and where the first begins."""
    head = data[at]
    size, kind, at = head >> 4, head & 0x0F, at + 1
    if size == 15:
        size, at = _varint(data, at)
    return kind, size, at


_PLAIN: dict[int, Callable[[Buffer, int], tuple[Any, int]]] = {
    _TRUE: _byte,
    _FALSE: _byte,
    3: _byte,
    4: _zigzag,
    5: _zigzag,
    6: _zigzag,
    7: _double,
    8: _binary,
}


def _value(data: Buffer, at: int, kind: int, depth: int) -> tuple[Any, int]:
    read = _PLAIN.get(kind)
    if read is not None:
        return read(data, at)
    if kind == 12:
        return _struct(data, at, depth + 1)
    if kind in (9, 10):
        inner, size, at = _list_head(data, at)
        if size > len(data) - at:  # each member takes a byte at least
            raise ThriftError(f"{size:,} members are claimed where {len(data) - at:,} bytes are left")
        members = []
        for _ in range(size):
            member, at = _value(data, at, inner, depth + 1)
            members.append(member)
        return members, at
    raise ThriftError(f"there is no kind {kind}")
