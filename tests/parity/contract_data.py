"""Data for any contract: texts and values, good and bad, drawn from a seed by the types alone.

In: a contract. Out: NDJSON lines, or typed rows for an upstream asset's Parquet. A new pipeline is
covered without a word of its own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aws_runtime.contract import Contract, DataType

STRINGS = (
    *(f"{name}@example.com" for name in "abcdefgh"),     "a@example.com", "P-0001", "", " ", "x", "Zoë", "O'Neil", 'say "hi"', "back\\slash", "$5 ${x} \\u0041",
    "two\nlines", "tab\there", "naïve 🙂", "null", "NaN", "12", "-", "a" * 150, "%_`;--", "{}", "[1]",
)  # fmt: skip
#: JSON texts (not values), because most differences between readers are in the text.
INTEGERS = ("0", "1", "7", "42", "-1", "9223372036854775807", '"12"', '"+5"', '"007"')
BAD_INTEGERS = (
    "9223372036854775808", "-9223372036854775809", "1.5", "1.0", "1e2", '"many"', '" 12"', '"1_0"', '"0x10"',
    '"१"', '""', "true", '"12.0"', '"1e3"', "12345678901234567890123",
)  # fmt: skip
FLOATS = ("0", "1.5", "-2.25", "1e3", "19.990", '"7"', '"7."', '".5"', '"1E2"', "-0.0", "123456789.123456789")
BAD_FLOATS = (
    '"NaN"',
    '"Infinity"',
    '"inf"',
    '"a lot"',
    '"1,5"',
    '"0x1p3"',
    '"1d"',
    '" 1"',
    '""',
    "false",
    "1e999",
    '"1e999"',
)
DATES = ('"2025-01-17"', '"2024-02-29"', '"0001-01-01"', '"9999-12-31"', '"2025-01-16"')
BAD_DATES = (
    '"17/01/2025"', '"2025-02-30"', '"2025-1-7"', '"20250117"', '"2025-01-17T00:00:00"', '"today"', '"epoch"',
    '"0000-01-01"', '"infinity"', "20250117", '"2023-02-29"', '""', '" 2025-01-17"',
)  # fmt: skip
TIMES = (
    "2025-01-17T10:15:02", "2025-01-17 10:15", "2025-01-17T10:15:02.5", "2025-01-17T23:59:59.123456",
    "1969-12-31T23:59:59.999999",
)  # fmt: skip
BAD_TIMES = ("2025-01-17", "10:15", "2025-01-17T25:00:00", "2025-01-17T10:15:60", "now", "1737108902", "")
BOOLEANS, BAD_BOOLEANS = ("true", "false", '"true"', '"false"'), ('"TRUE"', '"yes"', "1", "0", '"t"', '""')


def line(rng: random.Random, contract: Contract, badness: float) -> bytes:
    """One line of NDJSON for `contract`; about `badness` of its leaves are bad, some lines are broken."""
    members = [(c.name, text(rng, c.type, badness)) for c in contract.columns]
    if rng.random() < 0.3:
        rng.shuffle(members)
    if rng.random() < badness:
        members = members[1:]
    joined = ", ".join(f"{json.dumps(name)}: {value}" for name, value in members)
    whole = f"{{{joined}}}"
    if rng.random() >= badness:
        return whole.encode()
    first = json.dumps(contract.columns[0].name)
    broken = (
        whole[: len(whole) // 2].encode(),
        whole.encode()[:-1] + b"\xff}",
        b'{"bad": "\xc3\x28"}',
        f"{whole} {whole}".encode(),
        f"{{{first}: 1, {joined}}}".encode(),
        b"[1, 2]",
        b"17",
        b"null",
        b'"text"',
        b"{'single': 1}",
        f"{{{first}: {'[' * 300}{']' * 300}}}".encode(),
        f"{{{joined}, {first}x: 1}}".encode(),
        b"",
        b"   ",
        b"{}",
        whole.encode() + b"\r",
        b"\t" + whole.encode() + b"  ",
        whole.replace(":", ": \t", 1).encode(),
    )
    return rng.choice(broken)


def text(rng: random.Random, kind: DataType, badness: float) -> str:
    """JSON text of one value of `kind`."""
    if rng.random() < badness / 2:
        return "null"
    if kind.item is not None:
        if rng.random() < badness / 2:
            return rng.choice(("[]", "[null]", '"a list"', "{}", "3"))
        return f"[{', '.join(text(rng, kind.item, badness / 2) for _ in range(rng.randrange(1, 4)))}]"
    if kind.name == "struct":
        if rng.random() < badness / 2:
            return rng.choice(("{}", '"an object"', "[]", "[{}]", "false"))
        members = [f"{json.dumps(f.name)}: {text(rng, f.type, badness)}" for f in kind.fields]
        if rng.random() < badness:
            members.append('"not_in_the_contract": {"deep": [1]}')
        return f"{{{', '.join(members)}}}"
    good, bad = texts(kind)
    return rng.choice(bad) if bad and rng.random() < badness else rng.choice(good)


def texts(kind: DataType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Good and bad JSON texts of a leaf type."""
    match kind.name:
        case "string" | "binary":
            return tuple(json.dumps(s, ensure_ascii=i % 2 == 0) for i, s in enumerate(STRINGS)), (
                "12",
                "true",
                "1.5",
                "1.50",
                "-0",
                "1e2",
                "1E400",
                "12345678901234567890123",
                "NaN",
                '{"b": [1, 2.50, "é\\"", null, {"c": true}]}',
                "[]",
                '[ "x" , -1 ]',
            )
        case "boolean":
            return BOOLEANS, BAD_BOOLEANS
        case "float32" | "float64":
            return FLOATS, BAD_FLOATS
        case "decimal":
            return ("0", "1", '"1.0"', "7"), (
                *BAD_FLOATS,
                '"1e2"',
                "12345678901234567890123456789012345678901",
            )
        case "date":
            return DATES, BAD_DATES
        case "timestamp":
            zone = "Z" if kind.timezone else ""
            wrong = "" if kind.timezone else "Z"
            good = tuple(json.dumps(t + zone) for t in TIMES)
            return good, (*(json.dumps(t + zone) for t in BAD_TIMES), json.dumps(TIMES[0] + wrong))
        case _:
            return ("1", "7", "42", '"12"') if kind.name.endswith("8") else INTEGERS, BAD_INTEGERS


def value(rng: random.Random, kind: DataType, badness: float) -> Any:
    """A typed value of `kind`, or None."""
    if rng.random() < badness:
        return None
    if kind.item is not None:
        return [value(rng, kind.item, badness) for _ in range(rng.randrange(3))]
    if kind.name == "struct":
        return {f.name: value(rng, f.type, badness) for f in kind.fields}
    makers: dict[str, Callable[[], Any]] = {
        "string": lambda: rng.choice(STRINGS),
        "binary": lambda: rng.choice(STRINGS).encode(),
        "boolean": lambda: rng.random() < 0.5,
        "float32": lambda: rng.choice((0.0, 1.5, -2.25, 2.0**90)),
        "float64": lambda: rng.choice((0.0, 1.5, -2.25, 1e300)),
        "decimal": lambda: Decimal(rng.randrange(10)).scaleb(-(kind.scale or 0)),
        "date": lambda: rng.choice((date(2025, 1, 17), date(1969, 12, 31), date(2024, 2, 29))),
        "timestamp": lambda: datetime(2025, 1, 17, 10, 15, 2, 500, tzinfo=UTC if kind.timezone else None),
    }
    return makers.get(kind.name, lambda: rng.randrange(100))()


def same(frame: Any) -> Any:
    """The transform that changes nothing."""
    return frame
