"""Lexical forms, nested coercion, reasons and flags of the rules, run on DuckDB."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.contract import Column, Contract, DataType, Field, Rule, Severity
from aws_runtime.engines.duckdb_dialect import DUCKDB, data_type
from aws_runtime.rules import coerced, lexical, projection, raw_columns, read_type, violations

TEXT = DataType("string")
INT64 = DataType("int64")
DATE = DataType("date")
LOCAL = DataType("timestamp")
INSTANT = DataType("timestamp", timezone="Europe/Paris")
MONEY = DataType("decimal", precision=5, scale=2)


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def coerce(db: Any, text: str, kind: DataType) -> Any:
    sql = coerced(Column("x", kind), DUCKDB, TEXT)
    return db.execute(f"SELECT {sql} FROM (SELECT ?::VARCHAR AS x)", [text]).fetchone()[0]


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (INT64, "9223372036854775807", 2**63 - 1),
        (INT64, "9223372036854775808", None),
        (INT64, "-9223372036854775808", -(2**63)),
        (INT64, "+007", 7),
        (INT64, "2.0", None),
        (INT64, "1e3", None),
        (INT64, "0x10", None),
        (INT64, "1_000", None),
        (INT64, " 1", None),
        (INT64, "1\n", None),
        (INT64, "٣", None),
        (DataType("uint8"), "255", 255),
        (DataType("uint8"), "256", None),
        (DataType("uint8"), "-1", None),
        (DataType("uint64"), "18446744073709551615", 2**64 - 1),
        (DataType("uint64"), "18446744073709551616", None),
        (DataType("float64"), "1e5", 1e5),
        (DataType("float64"), "NaN", None),
        (DataType("float64"), "-Infinity", None),
        (DataType("float64"), "1e400", None),
        (DataType("float32"), "3.5e38", None),
        (DataType("float64"), "1 ", None),
        (DataType("boolean"), "true", True),
        (DataType("boolean"), "True", None),
        (DataType("boolean"), "1", None),
        (MONEY, "999.99", Decimal("999.99")),
        (MONEY, "1.230", Decimal("1.23")),
        (MONEY, ".5", Decimal("0.50")),
        (MONEY, "1.234", None),
        (MONEY, "1000", None),
        (MONEY, "1e2", None),
        (DATE, "2025-01-17", dt.date(2025, 1, 17)),
        (DATE, "2024-02-29", dt.date(2024, 2, 29)),
        (DATE, "2025-02-29", None),
        (DATE, "2025-1-17", None),
        (DATE, "2025-01-1 ", None),
        (DATE, "17/01/2025", None),
        (DATE, "0000-01-01", None),
        (DATE, "infinity", None),
        (DATE, "12025-01-01", None),
        (DATE, "2025-01-17T00:00:00", None),
        (LOCAL, "2025-01-17T10:15:02", dt.datetime(2025, 1, 17, 10, 15, 2)),  # noqa: DTZ001 - without zone
        (LOCAL, "2025-01-17 10:15:00", dt.datetime(2025, 1, 17, 10, 15)),  # noqa: DTZ001
        (LOCAL, "2025-01-17 10:15", None),
        (INSTANT, "2025-01-17T10:15-05:30", None),
        (LOCAL, "2025-01-17T10:15:02.5000000", dt.datetime(2025, 1, 17, 10, 15, 2, 500000)),  # noqa: DTZ001
        (LOCAL, "2025-01-17T10:15:02.1234567", None),
        (LOCAL, "2025-01-17T10:15:02Z", None),
        (LOCAL, "2025-01-17", None),
        (LOCAL, "2025-01-17T24:00:00", None),
        (INSTANT, "2025-01-17T10:15:02Z", utc(2025, 1, 17, 10, 15, 2)),
        (INSTANT, "2025-01-17T10:15:02+02:00", utc(2025, 1, 17, 8, 15, 2)),
        (INSTANT, "2025-01-17T10:15:02", None),
        (INSTANT, "2025-01-17T10:15:02+0200", None),
        (DataType("binary"), "é", "é".encode()),
        (TEXT, "", ""),
    ],
)
def test_lexical_forms(db: Any, kind: DataType, text: str, value: Any) -> None:
    assert coerce(db, text, kind) == value


FAST = [DataType(n) for n in ("int8", "int64", "uint16", "float32", "float64", "date")]
NEAR = st.text("0123456789+-._eE /T:xnaif\t\n", max_size=11) | st.dates().map(str) | st.floats().map(repr)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FAST), st.lists(NEAR | st.text(max_size=4), min_size=20, max_size=100))
def test_duckdbs_faster_form_accepts_exactly_the_lexical_form(kind: DataType, texts: list[str]) -> None:
    fast, slow = coerced(Column("x", kind), DUCKDB, TEXT), lexical('"x"', kind, DUCKDB)
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT x, {fast}, {slow} FROM (SELECT unnest(?::VARCHAR[]) AS x)",
            [[t for t in texts if "\0" not in t]],
        ).fetchall()
    assert [(x, a) for x, a, _ in rows] == [(x, b) for x, _, b in rows]


# --- nested -----------------------------------------------------------------------------------

ITEM = DataType("struct", fields=(Field("name", TEXT), Field("quantity", INT64)))
TAGS = DataType("list", item=DataType("list", item=INT64))
NESTED = Contract(
    "Nested",
    (
        Column(
            "customer", DataType("struct", fields=(Field("id", INT64), Field("born", DATE))), nullable=True
        ),
        Column("items", DataType("list", item=ITEM), nullable=True),
        Column("tags", TAGS, nullable=True),
    ),
)


def judged(db: Any, contract: Contract, path: Path, records: list[Any]) -> list[dict[str, str]]:
    """For each record, rule id -> reason; read as engines read, every leaf as text."""
    path.write_text("\n".join(map(json.dumps, records)))
    columns = ", ".join(f"{DUCKDB.quote(c.name)}: '{read_type(c.type, DUCKDB)}'" for c in contract.columns)
    db.execute(
        "CREATE OR REPLACE TABLE given AS SELECT row_number() OVER () AS row_at, * FROM "
        f"read_json('{path}', format = 'newline_delimited', columns = {{{columns}}})"
    )
    relation = db.sql("SELECT * EXCLUDE (row_at) FROM given")
    frame = {n: data_type(t) for n, t in zip(relation.columns, relation.types, strict=True)}
    named = ", ".join(f"{sql} AS {DUCKDB.quote(name)}" for name, sql in projection(contract, DUCKDB, frame))
    db.execute(f"CREATE OR REPLACE TABLE typed AS SELECT row_at, {named} FROM given")
    out: list[dict[str, str]] = [{} for _ in records]
    for broken in violations(contract, DUCKDB, frame):
        query = f"SELECT row_at, {broken.predicate} AS bad, {broken.reason} AS why FROM typed ORDER BY row_at"
        for n, bad, why in db.execute(query).fetchall():
            if bad:
                out[n - 1][broken.id] = why
    return out


def test_nested_values_are_coerced_and_reasons_name_the_path(db: Any, tmp_path: Path) -> None:
    records = [
        {
            "customer": {"id": "1", "born": "2000-01-01"},
            "items": [{"name": "a", "quantity": 2}],
            "tags": [["1"], []],
        },
        {"customer": None, "items": None, "tags": None},
        {"customer": {"id": None}, "items": [None, {"name": "a"}], "tags": [None, [None]]},
        {"items": [{"quantity": 1}, {"quantity": "many"}]},
        {"customer": {"id": 1.5, "born": "yesterday"}, "tags": [[1], [2, "three"]]},
    ]
    assert judged(db, NESTED, tmp_path / "nested.ndjson", records) == [
        {},
        {},
        {},
        {"items.coerce": "items[1].quantity: 'many' is not int64"},
        {
            "customer.coerce": "customer.id: '1.5' is not int64",
            "tags.coerce": "tags[1][1]: 'three' is not int64",
        },
    ]
    typed = db.execute("SELECT customer, items, tags FROM typed ORDER BY row_at").fetchall()
    assert typed[0] == ({"id": 1, "born": dt.date(2000, 1, 1)}, [{"name": "a", "quantity": 2}], [[1], []])
    assert typed[1] == (None, None, None)
    assert typed[2] == ({"id": None, "born": None}, [None, {"name": "a", "quantity": None}], [None, [None]])


def test_a_failed_value_is_neither_null_nor_a_duplicate_of_null(db: Any, tmp_path: Path) -> None:
    contract = Contract("Keys", (Column("id", INT64, unique=True, nullable=True),), unique=(("id",),))
    found = judged(
        db, contract, tmp_path / "k.ndjson", [{"id": "x"}, {"id": "y"}, {"id": None}, {"id": 1}, {"id": 1}]
    )
    twice = {"id.unique": "id: 1 appears more than once", "(id).unique": "id: 1 appears more than once"}
    assert found == [
        {"id.coerce": "id: 'x' is not int64"},
        {"id.coerce": "id: 'y' is not int64"},
        {},
        twice,
        twice,
    ]

    contract = Contract("Keys", (Column("id", INT64),))
    assert judged(db, contract, tmp_path / "k.ndjson", [{"id": "x"}, {"id": None}]) == [
        {"id.coerce": "id: 'x' is not int64"},
        {"id.not_null": "id: is null"},
    ]


def test_reasons_quote_values_and_name_the_rule(db: Any, tmp_path: Path) -> None:
    name = Rule("name.isin", "isin", {"allowed_values": ["a", "it's"]})
    price = Rule("price.less_than", "less_than", {"max_value": 5.0}, ignore_na=False)
    contract = Contract(
        "Quotes",
        (
            Column("name", TEXT, rules=(name,)),
            Column("price", DataType("float64"), nullable=True, rules=(price,)),
        ),
    )
    assert judged(db, contract, tmp_path / "q.ndjson", [{"name": "it's", "price": 1}, {"name": "b'"}]) == [
        {},
        {
            "name.isin": """name: 'b'' breaks isin(allowed_values=['a', "it's"])""",
            "price.less_than": "price: null breaks less_than(max_value=5.0)",
        },
    ]


def test_long_values_are_cut_in_reasons(db: Any, tmp_path: Path) -> None:
    contract = Contract("Long", (Column("n", INT64),))
    (found,) = judged(db, contract, tmp_path / "l.ndjson", [{"n": "x" * 10_000}])
    assert found == {"n.coerce": f"n: '{'x' * 100}' is not int64"}


def test_a_column_that_the_frame_lacks_is_filled(db: Any) -> None:
    contract = Contract(
        "Missing",
        (
            Column("a", INT64, required=False),
            Column("b", TEXT, required=False, default="none"),
            Column("c", DATE),
        ),
    )
    assert raw_columns(contract, DUCKDB, {}) == {}
    named = ", ".join(f"{sql} AS {DUCKDB.quote(name)}" for name, sql in projection(contract, DUCKDB, {}))
    assert db.execute(f"SELECT {named}").fetchall() == [(None, "none", None)]
    # Only the column that must be there breaks a rule by its absence.
    assert [v.id for v in violations(contract, DUCKDB, {})] == ["c.not_null"]


@pytest.mark.parametrize(
    ("sql", "wanted", "value"),
    [
        ("3::HUGEINT", INT64, 3),
        ("170141183460469231731687303715884105727::HUGEINT", INT64, None),
        ("2.0::DOUBLE", INT64, 2),
        ("2.5::DOUBLE", INT64, None),
        ("7::UTINYINT", DataType("uint8"), 7),
        ("300::INTEGER", DataType("uint8"), None),
        ("1.25::DECIMAL(5,2)", DataType("decimal", precision=5, scale=1), None),
        ("TIMESTAMP '2025-01-17 00:00:00'", DATE, dt.date(2025, 1, 17)),
        ("TIMESTAMP '2025-01-17 10:00:00'", DATE, None),
        ("5::BIGINT", DataType("float64"), 5.0),
        ("'a'::ENUM ('a')", TEXT, "a"),
    ],
)
def test_typed_values_are_converted_only_when_they_survive(
    db: Any, sql: str, wanted: DataType, value: Any
) -> None:
    relation = db.sql(f"SELECT {sql} AS x")
    expression = coerced(Column("x", wanted), DUCKDB, data_type(relation.types[0]))
    assert db.execute(f"SELECT {expression} FROM (SELECT {sql} AS x)").fetchone()[0] == value


def test_warnings_keep_their_severity() -> None:
    rule = Rule("n.greater_than", "greater_than", {"min_value": 0}, severity=Severity.WARN)
    contract = Contract("Soft", (Column("n", INT64, nullable=True, rules=(rule,)),))
    assert [(v.id, v.severity) for v in violations(contract, DUCKDB, {"n": INT64})] == [
        (rule.id, Severity.WARN)
    ]
