"""Data for any contract: texts and values, good and bad, drawn from a seed by the types alone.

In: a contract. Out: NDJSON lines, a CSV file, or typed rows for an upstream asset's Parquet. A new pipeline
is covered without a word of its own.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aws_runtime.contract import Column, Contract, DataType, Drift
from aws_runtime.formats.csv import Options

TEXT = DataType("string")
#: Texts that outputs want, by the name of the column.
Wishes = Mapping[str, tuple[str, ...]]
#: Texts of the form that identities have in the pipelines, and codes of countries.
IDS = ("DE", "CH", *(f"S-{number:07}" for number in range(1, 1000)))
NUMBERS = tuple(f"C{number:05}" for number in range(1, 100))

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


def wishes(contract: Contract) -> Wishes:
    """Texts that keep the rules of an output's columns, by name: without them, hardly any row would."""
    found: dict[str, tuple[str, ...]] = {}
    for column in contract.columns:
        texts = IDS if column.unique else (*STRINGS, *IDS, *NUMBERS)
        for rule in column.rules if column.type.name == "string" else ():
            if rule.check == "isin":
                texts = tuple(rule.args["allowed_values"])
            elif rule.check == "str_startswith":
                texts = tuple(rule.args["string"] + text for text in texts)
            elif rule.check == "str_matches":
                texts = tuple(text for text in texts if re.match(rule.args["pattern"], text))
            found[column.name] = texts
    return found


def wished(rng: random.Random, name: str, kind: DataType, wishes: Wishes) -> str | None:
    """A text for the column or field `name`, mostly, where the output has one of about that name."""
    texts = wishes.get(re.sub("[^a-z0-9]+", "_", name.lower()))
    return rng.choice(texts) if texts and kind.name == "string" and rng.random() < 0.8 else None


def line(rng: random.Random, contract: Contract, badness: float, wishes: Wishes | None = None) -> bytes:
    """One line of NDJSON for `contract`; about `badness` of its leaves are bad, some lines are broken."""
    members = [(c.name, text(rng, c.type, badness, c.name, wishes or {})) for c in contract.columns]
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


def text(
    rng: random.Random, kind: DataType, badness: float, name: str = "", wishes: Wishes | None = None
) -> str:
    """JSON text of one value of `kind`."""
    if rng.random() < badness / 2:
        return "null"
    if (wish := wished(rng, name, kind, wishes or {})) is not None:
        return json.dumps(wish)
    if kind.item is not None:
        if rng.random() < badness / 2:
            return rng.choice(("[]", "[null]", '"a list"', "{}", "3"))
        return f"[{', '.join(text(rng, kind.item, badness / 2, name, wishes) for _ in range(rng.randrange(1, 4)))}]"
    if kind.name == "struct":
        if rng.random() < badness / 2:
            return rng.choice(("{}", '"an object"', "[]", "[{}]", "false"))
        members = [f"{json.dumps(f.name)}: {text(rng, f.type, badness, f.name, wishes)}" for f in kind.fields]
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


def csv_file(
    rng: random.Random,
    contract: Contract,
    options: Mapping[str, Any],
    badness: float,
    count: int,
    wishes: Wishes | None = None,
) -> bytes:
    """A CSV file of `count` records as a source's options have them; about `badness` of its fields are bad."""
    habits = Options(**options)
    delimiter = rng.choice(",;\t|") if habits.delimiter == "auto" else habits.delimiter
    columns = list(contract.columns)
    if contract.drift not in (Drift.STRICT, Drift.REORDER) and badness:
        columns.append(Column("not in the contract", TEXT))
    if contract.drift is not Drift.STRICT:
        rng.shuffle(columns)
    rows = [[quoted(rng, c.name, delimiter, habits.quote) for c in columns]] if habits.header else []
    for _ in range(count):
        texts = (field(rng, c, habits, badness, wishes or {}) for c in columns)
        rows.append([quoted(rng, text, delimiter, habits.quote) for text in texts])
    lines = [delimiter.join(row).encode() for row in rows]
    for at in range(1, len(lines)):
        if rng.random() < badness:
            lines[at] = _broken(rng, lines[at], delimiter.encode(), habits.quote.encode())
    return b"".join(line + rng.choice((b"\n", b"\n", b"\r\n")) for line in lines)


def quoted(rng: random.Random, text: str, delimiter: str, quote: str) -> str:
    """A field, in quotes where it must be and sometimes where it need not."""
    if any(mark in text for mark in (delimiter, quote, "\n", "\r")) or rng.random() < 0.1:
        return quote + text.replace(quote, quote * 2) + quote
    return text


def field(rng: random.Random, column: Column, habits: Options, badness: float, wishes: Wishes) -> str:
    """A CSV field of `column`, mostly written as the source's people write it."""
    kind = column.type
    if rng.random() < badness / 2:
        return rng.choice(("", *habits.null_values))
    if (wish := wished(rng, column.name, kind, wishes)) is not None:
        return wish
    good, bad = texts(kind)
    given = rng.choice(bad) if bad and rng.random() < badness else rng.choice(good)
    text = json.loads(given) if given.startswith('"') else given
    if rng.random() < badness / 4:
        return str(text)
    return _local(str(text), kind, habits)


def _local(text: str, kind: DataType, habits: Options) -> str:
    """A canonical text as `habits` have it; any other as it is."""
    pattern = {"date": habits.date_format, "timestamp": habits.timestamp_format}.get(kind.name)
    if pattern and not kind.timezone and (found := re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[T ](.*))?", text)):
        parts = dict(zip(("%Y", "%m", "%d"), found[1].split("-"), strict=True))
        clock = [*(found[2] or "").split(":"), "00", "00"]
        parts |= {"%H": clock[0], "%M": clock[1], "%S": clock[2]}
        return re.sub("%.", lambda directive: parts[directive[0]], pattern)
    if kind.name not in ("string", "binary", "boolean", "date", "timestamp"):
        whole, point, rest = text.partition(".")
        if habits.thousands and re.fullmatch("[0-9]{4,}", whole):
            whole = f"{int(whole):,}".replace(",", habits.thousands)
        return whole + point.replace(".", habits.decimal) + rest
    return text


def _broken(rng: random.Random, line: bytes, delimiter: bytes, quote: bytes) -> bytes:
    return rng.choice(
        (
            line[: len(line) // 2],
            line + delimiter,
            line + delimiter + quote + b"two\nlines" + quote,
            quote + line,
            line + quote,
            line.replace(delimiter, quote + delimiter, 1),
            line.replace(delimiter, b"\0" + delimiter, 1),
            line.replace(delimiter, b"\xe9\x81" + delimiter, 1),
            line.replace(delimiter, b"\r" + delimiter, 1),
            b"",
            b" ",
            delimiter * 3,
            quote,
            b"\r",
        )
    )


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
