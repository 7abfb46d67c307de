"""Lowered rules reject exactly the rows that Pandera rejects, over random models and frames."""

from __future__ import annotations

import datetime as dt
import math
import struct
from decimal import Decimal
from typing import Any

import duckdb
import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrorReason, SchemaErrors

from aws_runtime.contract import Contract, DataType
from aws_runtime.engines.duckdb_dialect import DUCKDB, data_type
from aws_runtime.rules import coerced, projection, violations
from ingestion_assets.contract import lower_contract
from ingestion_assets.errors import Where

HERE = Where(__file__, 1)
UTC = dt.UTC
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rejected_by_rules(contract: Contract, frame: pl.DataFrame) -> dict[str, set[int]]:
    """Rule id -> rows, as DuckDB finds them."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        table = frame.with_row_index("source_row").to_arrow()
        connection.register("given", table)
        given_frame = connection.sql("SELECT * FROM given")
        types = {n: data_type(t) for n, t in zip(given_frame.columns, given_frame.types, strict=True)}
        del types["source_row"]
        named = ", ".join(f"{sql} AS {DUCKDB.quote(n)}" for n, sql in projection(contract, DUCKDB, types))
        found = {}
        for broken in violations(contract, DUCKDB, types):
            rows = connection.execute(
                f"SELECT source_row, {broken.predicate}, CASE WHEN {broken.predicate} THEN {broken.reason} END "
                f"FROM (SELECT source_row, {named} FROM given)"
            ).fetchall()
            assert all(verdict is not None for _, verdict, _ in rows), broken
            # A reason is there exactly where a rule is broken, and starts with the column.
            assert all((reason is not None) == verdict for _, verdict, reason in rows), broken
            if hit := {row for row, verdict, _ in rows if verdict}:
                found[broken.id] = hit
        return found


def rejected_by_pandera(model: Any, frame: pl.DataFrame) -> dict[str, set[int]]:
    """Rule id -> rows, as Pandera's eager Polars backend reports them."""
    found: dict[str, set[int]] = {}
    try:
        model.validate(frame, lazy=True)
    except SchemaErrors as errors:
        for error in errors.schema_errors:
            assert error.reason_code is not SchemaErrorReason.CHECK_ERROR, error
            assert error.reason_code is not SchemaErrorReason.WRONG_DATATYPE, error
            if error.reason_code is SchemaErrorReason.DUPLICATES:
                rule, output = f"({','.join(model.to_schema().unique)}).unique", "check_output"
            else:
                name = error.check if isinstance(error.check, str) else error.check.name
                name = {"not_nullable": "not_null", "field_uniqueness": "unique"}.get(name, name)
                rule, output = f"{error.schema.name}.{name}", "check_output"
            kept = error.check_output.get_column(output).to_list()
            if hit := {row for row, good in enumerate(kept) if not good}:
                found.setdefault(rule, set()).update(hit)
    return found


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


INTEGERS = {
    **{getattr(pl, f"Int{n}"): (-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 16, 32, 64)},
    **{getattr(pl, f"UInt{n}"): (0, 2**n - 1) for n in (8, 16, 32, 64)},
}
TEXTS = [
    "",
    "a",
    "ab",
    "abc",
    "A",
    " a",
    "é",
    "e\u0301",
    "😀",
    "日本",
    "a\nb",
    "'",
    "%",
    "_",
    "null",
    "٣",
    "a.b",
]
EDGES = [0.0, -0.0, 0.1, 0.5, 1.0, -1.5, 1e10, 5e-324]


def values_of(dtype: Any) -> st.SearchStrategy[Any]:
    """Finite values that a check's argument may take too; few, so that frames repeat them."""
    if dtype in INTEGERS:
        low, high = INTEGERS[dtype]
        return st.sampled_from([low, low + 1, 0, 1, 5, high - 1, high]) | st.integers(low, high)
    if dtype == pl.Float64:
        return st.sampled_from(EDGES) | st.floats(allow_nan=False, allow_infinity=False)
    if dtype == pl.Float32:
        return st.sampled_from([float32(v) for v in EDGES]) | st.floats(
            allow_nan=False, allow_infinity=False, width=32
        )
    if dtype == pl.String:
        return st.sampled_from(TEXTS) | st.text(
            st.characters(codec="utf-8", exclude_characters="\0"), max_size=4
        )
    if dtype == pl.Boolean:
        return st.booleans()
    if dtype == pl.Date:
        return st.dates(dt.date(2019, 12, 30), dt.date(2020, 1, 3)) | st.dates(dt.date(1, 1, 1))
    if isinstance(dtype, pl.Datetime):
        zone = UTC if dtype.time_zone else None
        moments = st.datetimes(
            dt.datetime(2019, 12, 31),  # noqa: DTZ001 - Hypothesis wants naive bounds
            dt.datetime(2020, 1, 1),  # noqa: DTZ001
            timezones=st.just(zone),
        )
        if dtype.time_unit == "ms":
            return moments.map(lambda m: m.replace(microsecond=m.microsecond // 1000 * 1000))
        return moments
    assert isinstance(dtype, pl.Decimal)
    return st.decimals(-99999999, 99999999, places=2) | st.sampled_from([Decimal("0.00"), Decimal("1.50")])


def cells_of(dtype: Any) -> st.SearchStrategy[Any]:
    """What a frame may hold: also nulls, NaN and infinities."""
    odd = [None]
    if dtype in (pl.Float32, pl.Float64):
        odd += [math.nan, math.inf, -math.inf]
    return values_of(dtype) | st.sampled_from(odd)


DTYPES = [
    *INTEGERS,
    pl.Float32,
    pl.Float64,
    pl.String,
    pl.Boolean,
    pl.Date,
    pl.Datetime("us"),
    pl.Datetime("ms"),
    pl.Datetime("us", "UTC"),
    pl.Decimal(10, 2),
]
PATTERNS = ["a", "^a", "a|b", "[a-c]+$", r"\d", r"\w+", r"^\S*$", ".", "^$", "(?:a|é){1,2}", r"\.", "[^a]"]


@st.composite
def checks_of(draw: Any, dtype: Any) -> dict[str, Any]:
    value = values_of(dtype)
    options: dict[str, Any] = {"eq": value, "ne": value, "isin": st.lists(value, max_size=4)}
    options["notin"] = st.lists(value, max_size=4)
    if dtype != pl.Boolean:
        options |= dict.fromkeys(("gt", "ge", "lt", "le"), value)
        options["in_range"] = st.tuples(value, value, st.booleans(), st.booleans()).map(
            lambda t: (
                {"min_value": min(t[:2]), "max_value": max(t[:2])}
                | ({"include_min": t[2], "include_max": t[3]} if t[0] != t[1] else {})
            )  # not an empty range
        )
    if dtype == pl.String:
        options |= {"str_matches": st.sampled_from(PATTERNS), "str_contains": st.sampled_from(PATTERNS)}
        options |= {"str_startswith": value, "str_endswith": value}
        options["str_length"] = st.integers(0, 3) | st.sampled_from(
            [{"min_value": 1}, {"max_value": 2}, {"min_value": 1, "max_value": 2}]
        )
    names = draw(st.lists(st.sampled_from(sorted(options)), max_size=3, unique=True))
    return {name: draw(options[name]) for name in names}


@st.composite
def models_and_frames(draw: Any, dtypes: list[Any]) -> tuple[Any, pl.DataFrame]:
    dtypes = draw(st.lists(st.sampled_from(dtypes), min_size=1, max_size=3))
    rows = draw(st.integers(0, 12))
    names = [f"c {i}" if i == 1 else f"c{i}" for i in range(len(dtypes))]
    fields, series = {}, []
    for name, dtype in zip(names, dtypes, strict=True):
        fields[f"f{len(series)}"] = pa.Field(
            alias=name,
            nullable=draw(st.booleans()),
            unique=draw(st.booleans()),
            ignore_na=draw(st.booleans()),
            **draw(checks_of(dtype)),
        )
        cells = draw(st.lists(cells_of(dtype), min_size=rows, max_size=rows))
        series.append(pl.Series(name, cells, dtype=dtype, strict=False))
    config = type("Config", (), {"strict": True})
    if len(names) > 1 and draw(st.booleans()):
        config.unique = names[:2]
    body = {"__annotations__": dict(zip(fields, dtypes, strict=True)), "Config": config, **fields}
    return type("Random", (pa.DataFrameModel,), body), pl.DataFrame(series)


@FEW
@given(models_and_frames(DTYPES))
def test_rules_reject_the_rows_that_pandera_rejects(case: tuple[Any, pl.DataFrame]) -> None:
    model, frame = case
    assert rejected_by_rules(lower_contract(model, HERE), frame) == rejected_by_pandera(model, frame)


@FEW
@given(models_and_frames([pl.String]))
def test_rules_of_text_reject_the_rows_that_pandera_rejects(case: tuple[Any, pl.DataFrame]) -> None:
    model, frame = case
    assert rejected_by_rules(lower_contract(model, HERE), frame) == rejected_by_pandera(model, frame)


TEXT_CHECKS = [
    *({name: text} for name in ("str_startswith", "str_endswith", "eq", "ne", "gt", "le") for text in TEXTS),
    *({name: pattern} for name in ("str_matches", "str_contains") for pattern in PATTERNS),
    *({"str_length": length} for length in (0, 1, 2, 3)),
]


def test_every_check_of_text_agrees_on_every_text() -> None:
    texts = sorted({*TEXTS, *(a + b for a in TEXTS for b in TEXTS)})
    names = [f"c{i}" for i in range(len(TEXT_CHECKS))]
    fields = {n: pa.Field(**check) for n, check in zip(names, TEXT_CHECKS, strict=True)}
    model = type("Texts", (pa.DataFrameModel,), {"__annotations__": dict.fromkeys(names, str), **fields})
    frame = pl.DataFrame(dict.fromkeys(names, texts))
    found = rejected_by_rules(lower_contract(model, HERE), frame)
    assert found == rejected_by_pandera(model, frame)
    assert len(found) >= len(names) - 2


def test_nan_is_missing_unless_null_is_allowed() -> None:
    class Model(pa.DataFrameModel):
        needed: pl.Float64 = pa.Field(gt=0.0)
        spare: pl.Float32 = pa.Field(nullable=True, lt=5.0, unique=True)

    cells = [1.0, math.nan, None, math.inf, -0.0, 0.0, math.nan]
    frame = pl.DataFrame(
        {"needed": cells, "spare": cells}, schema={"needed": pl.Float64, "spare": pl.Float32}
    )
    found = rejected_by_rules(lower_contract(Model, HERE), frame)
    assert found == rejected_by_pandera(Model, frame)
    assert found["needed.not_null"] == {1, 2, 6}
    assert found["spare.less_than"] == {1, 3, 6}
    assert found["spare.unique"] == {1, 4, 5, 6}


@pytest.mark.parametrize("values", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_unique_values_eq_condemns_the_whole_frame(values: list[str]) -> None:
    class Model(pa.DataFrameModel):
        x: str = pa.Field(unique_values_eq=values, nullable=True)

    frame = pl.DataFrame({"x": ["a", "b", None, "a"]})
    agreed = sorted(values) == ["a", "b"]
    try:
        Model.validate(frame, lazy=True)
        assert agreed
    except SchemaErrors:
        assert not agreed
    found = rejected_by_rules(lower_contract(Model, HERE), frame)
    assert found == ({} if agreed else {"x.unique_values_eq": {0, 1, 2, 3}})


@FEW
@given(st.lists(st.sampled_from([None, math.nan, 1.0, 2.0]), max_size=8))
def test_defaults_fill_as_pandera_fills(cells: list[float | None]) -> None:
    class Model(pa.DataFrameModel):
        x: float = pa.Field(default=2.0, lt=2.0)

    frame = pl.DataFrame({"x": pl.Series(cells, dtype=pl.Float64)})
    assert rejected_by_rules(lower_contract(Model, HERE), frame) == rejected_by_pandera(Model, frame)


# --- coercion ---------------------------------------------------------------------------------

NUMERIC = [*INTEGERS, pl.Float32, pl.Float64, pl.Decimal(5, 2), pl.Decimal(38, 10), pl.Decimal(2, 2)]
NUMBER_TEXTS = st.text("0123456789+-.eE_ x", max_size=8) | st.from_regex(
    r"\A[+-]?[0-9]{0,5}([.][0-9]{0,3})?([eE][+-]?[0-9]{1,3})?\Z"
)
SPECIAL = [
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "0x1F",
    "1_000",
    " 1",
    "1\n",
    "٣",
    "",
    "-0",
    "+0",
    "1.",
    ".5",
]
BOUNDS = [str(b + d) for low_high in INTEGERS.values() for b in low_high for d in (-1, 0, 1)]


def strict_cast(text: str, dtype: Any) -> Any:
    try:
        return pl.Series([text], dtype=pl.String).cast(dtype, strict=True)[0]
    except pl.exceptions.PolarsError:
        return None


def differs_on_purpose(text: str, dtype: Any, value: Any) -> bool:
    """The texts that docs/contracts.md lists as read otherwise than Polars' strict cast."""
    if isinstance(dtype, pl.Decimal):
        exponent = "e" in text.lower()
        lossy = len(text.partition(".")[2].rstrip("0")) > dtype.scale
        # A sign before zero whole digits, or more whole digits than fit though they are zeros.
        return exponent or lossy
    if dtype in (pl.Float32, pl.Float64):
        return value is not None and not math.isfinite(value)  # NaN, infinities, overflow
    return dtype.is_unsigned_integer() and text.startswith("-") and text.strip("-0") == ""  # minus zero


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(NUMERIC),
    st.lists(NUMBER_TEXTS | st.sampled_from(SPECIAL) | st.sampled_from(BOUNDS), min_size=1, max_size=30),
)
def test_numbers_are_coerced_as_polars_casts_them(dtype: Any, texts: list[str]) -> None:
    expected = [strict_cast(t, dtype) for t in texts]
    pairs = [(t, v) for t, v in zip(texts, expected, strict=True) if not differs_on_purpose(t, dtype, v)]
    assume(pairs)

    body = {"__annotations__": {"x": dtype}, "x": pa.Field(nullable=True, coerce=True)}
    column = lower_contract(type("Coerced", (pa.DataFrameModel,), body), HERE).columns[0]
    sql = coerced(column, DUCKDB, DataType("string"))
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE given (i BIGINT, x VARCHAR)")
        connection.executemany("INSERT INTO given VALUES (?, ?)", [[i, t] for i, (t, _) in enumerate(pairs)])
        got = [v for (v,) in connection.execute(f"SELECT {sql} FROM given ORDER BY i").fetchall()]
    assert got == [v for _, v in pairs], [t for t, _ in pairs]
