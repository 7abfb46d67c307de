"""Footers of Parquet files, taken apart and put together again with a fault in them.

A struct of Thrift's compact protocol is a list of `[field, kind, value]`; lists are `(kind, members)`.
Written apart from the reader under test, and proved by putting together what was taken apart.
"""

from __future__ import annotations

from typing import Any

Struct = list[list[Any]]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        value = shift = 0
        while (byte := self.byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def struct(self) -> Struct:
        fields: Struct = []
        last = 0
        while head := self.byte():
            kind = head & 15
            if head >> 4:
                last += head >> 4
            else:
                zigzag = self.number()
                last = (zigzag >> 1) ^ -(zigzag & 1)
            fields.append([last, kind, self.value(kind)])
        return fields

    def value(self, kind: int) -> Any:
        match kind:
            case 1 | 2:
                return kind == 1
            case 3:
                return self.byte()
            case 4 | 5 | 6:
                zigzag = self.number()
                return (zigzag >> 1) ^ -(zigzag & 1)
            case 7:
                self.at += 8
                return self.data[self.at - 8 : self.at]
            case 8:
                length = self.number()
                self.at += length
                return self.data[self.at - length : self.at]
            case 9 | 10:
                head = self.byte()
                size = head >> 4 if head >> 4 < 15 else self.number()
                inner = head & 15
                members = [self.byte() if inner in (1, 2) else self.value(inner) for _ in range(size)]
                return (inner, members)
            case 12:
                return self.struct()
        raise AssertionError(kind)


def _number(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _zigzag(value: int) -> bytes:
    return _number(value << 1 if value >= 0 else (-value << 1) - 1)


def _struct(fields: Struct) -> bytes:
    out, last = b"", 0
    for field, kind, value in fields:
        told = (1 if value else 2) if kind in (1, 2) else kind
        delta = field - last
        out += bytes([delta << 4 | told]) if 0 < delta < 16 else bytes([told]) + _zigzag(field)
        out += b"" if kind in (1, 2) else _value(kind, value)
        last = field
    return out + b"\0"


def _value(kind: int, value: Any) -> bytes:
    match kind:
        case 3:
            return bytes([value])
        case 4 | 5 | 6:
            return _zigzag(value)
        case 7:
            return bytes(value)
        case 8:
            return _number(len(value)) + value
        case 9 | 10:
            inner, members = value
            size = (
                bytes([len(members) << 4 | inner])
                if len(members) < 15
                else bytes([240 | inner]) + _number(len(members))
            )
            return size + b"".join(bytes([m]) if inner in (1, 2) else _value(inner, m) for m in members)
        case 12:
            return _struct(value)
    raise AssertionError(kind)


def footer_of(file: bytes) -> Struct:
    """Take a file's footer apart."""
    length = int.from_bytes(file[-8:-4], "little")
    return _Reader(file[-8 - length : -8]).struct()


def with_footer(file: bytes, footer: Struct) -> bytes:
    """Put a file together with another footer."""
    length = int.from_bytes(file[-8:-4], "little")
    written = _struct(footer)
    return file[: -8 - length] + written + len(written).to_bytes(4, "little") + file[-4:]


def at(struct: Struct, field: int) -> Any:
    """Return a field's value."""
    return next(value for number, _, value in struct if number == field)


def change(struct: Struct, field: int, value: Any) -> None:
    """Give a field another value."""
    next(one for one in struct if one[0] == field)[2] = value


def column_metadata(footer: Struct, column: int = 0, group: int = 0) -> Struct:
    """Return the metadata of one column chunk."""
    chunk = at(at(footer, 4)[1][group], 1)[1][column]
    found: Struct = at(chunk, 3)
    return found


def element(footer: Struct, column: int = 0) -> Struct:
    """Return the schema element of a flat column."""
    found: Struct = at(footer, 2)[1][column + 1]
    return found
