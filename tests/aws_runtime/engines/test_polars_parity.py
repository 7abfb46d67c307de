"""Polars against DuckDB: the same values, types, verdicts, reasons and counts, from text and from Parquet."""

from __future__ import annotations

import csv as python_csv
import json
import random
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aws_runtime.contract import Column, Contract, DataType, Rule, Severity
from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import TransformError
from aws_runtime.partitions import HIVE_NULL
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan, PartitionPlan
from aws_runtime.step import run_step
from ingestion_assets.arrow import arrow_schema

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
KINDS = (
    *(DataType(name) for name in (*INTEGERS, "float32", "float64", "string", "boolean", "date", "binary")),
    DataType("decimal", precision=10, scale=2),
    DataType("decimal", precision=38, scale=0),
    DataType("decimal", precision=5, scale=5),
    DataType("timestamp"),
    DataType("timestamp", timezone="Europe/Paris"),
)
#: DuckDB prints a decimal without whole digits as `.5`, and makes true a 1 that it cannot hold.
PRINTED = tuple(kind for kind in KINDS if kind.scale != 5)
TEXTS = (
    "0", "1", "7", "-0", "-1", "+5", "007", "42", "127", "128", "255", "256", "9223372036854775807", "9223372036854775808",
    "18446744073709551615", "1.5", "-2.25", "7.", ".5", "1e3", "1E2", "1e999", "-0.0", "0.00001", "123456789.123456789",
    "NaN", "inf", "Infinity", "1_0", "0x10", " 12", "12 ", "1,5", "१", "many", "true", "false", "TRUE", "t", "yes", "null",
    "2025-01-17", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "0000-01-01", "2025-1-7", "20250117", "17/01/2025",
    "2025-01-17T10:15:02", "2025-01-17 10:15:02.5", "2025-01-17T23:59:59.123456", "1969-12-31T23:59:59.999999", "2025-01-17T10:15",
    "2025-01-17T10:15:02Z", "2025-01-17T10:15:02+05:30", "2025-01-17 10:15:02.500-14:00", "2025-01-17T25:00:00", "2025-02-30T00:00:00",
    "Zoë", "O'Neil", 'say "hi"', "back\\slash", "two\nlines", "tab\there", "naïve 🙂", "a" * 150, "%_`;--", "12345678901234567890123",
    "99999999.99", "100000000.00", "0.12345", "1.123", "12345678901234567890123456789012345678", "2025-01-17T10:15:02.1234560000",
)  # fmt: skip
NUMBERS = ("0", "1", "7", "42", "100")


def same(frame: Any) -> Any:
    """The transform that changes nothing."""
    return frame


def run(
    engine: str, form: str, path: Path, source: Contract, output: Contract, folder: Path, by: Any = ()
) -> Any:
    given_ = InputPlan("frame", FormatPlan(form), source)
    plan = AssetPlan("p", "a", f"{same.__module__}:same", (given_,), OutputPlan(output, tuple(by)), engine)
    result = run_step(
        plan,
        {"frame": [InputFile(str(path), "s3://b/k")]},
        destination=str(folder / engine / "out"),
        quarantine=str(folder / engine / "bad"),
        stem="stem",
        limits=Limits(2**29, 2, str(folder / engine / "spill")),
    )
    rows, schemas, bad = [], set(), []
    for file in result.files:
        table = pq.ParquetFile(file.path).read()
        schemas.add(str([(f.name, str(f.type).replace("large_", "")) for f in table.schema]))
        assert table.num_rows == file.rows
        rows += [repr((sorted(file.partition.items()), list(row.values()))) for row in table.to_pylist()]
    for file in result.quarantine:
        table = pq.ParquetFile(file.path).read()
        assert table.num_rows == file.rows
        bad += [
            repr(
                (r["stage"], r["source_uri"], r["source_row"], sorted(r["reasons"]), json.loads(r["record"]))
            )
            for r in table.to_pylist()
        ]
    counts = (dict(result.records_in), result.rows_in, result.rows_out, result.rows_quarantined)
    return {
        "rows": sorted(rows),
        "schemas": schemas,
        "bad": sorted(bad),
        "counts": counts,
        "violations": dict(sorted(result.violations.items())),
        "places": sorted(
            {Path(f.path).relative_to(folder / engine / "out").parent.as_posix() for f in result.files}
        ),
    }


def assert_same(polars: dict[str, Any], duckdb: dict[str, Any]) -> None:
    for name, wanted in duckdb.items():
        found = polars[name]
        if isinstance(wanted, list):
            assert [x for x in found if x not in wanted][:4] == [x for x in wanted if x not in found][:4], (
                name
            )
        assert found == wanted, name


argument = {
    "string": st.sampled_from(["7", "Zoë", "O'Neil", "true", "x"]),
    "float": st.sampled_from([0.0, 1.5, -2.25, 7.0]),
    "int": st.sampled_from([0, 1, 42, -1, 128, 10**18]),
    # DuckDB fails where decimal(38,0) meets a literal with a fraction.
    "decimal": st.sampled_from(["0", "1", "7", "42"]),
    "date": st.sampled_from(["2025-01-17", "2024-02-29", "0001-01-01"]),
    "timestamp": st.sampled_from(["2025-01-17T10:15:02", "1969-12-31T23:59:59.999999"]),
}


def arguments(kind: DataType) -> st.SearchStrategy[Any] | None:
    name = "int" if kind.name in INTEGERS else kind.name.rstrip("3246")
    values = argument.get(name)
    return values.map(lambda v: f"{v}+00:00") if kind.timezone and values is not None else values


@st.composite
def rules(draw: Any, column: str, kind: DataType) -> tuple[Rule, ...]:
    values = arguments(kind)
    if values is None:
        return ()
    checks = {
        "equal_to": {"value": draw(values)},
        "not_equal_to": {"value": draw(values)},
        "greater_than": {"min_value": draw(values)},
        "greater_than_or_equal_to": {"min_value": draw(values)},
        "less_than": {"max_value": draw(values)},
        "less_than_or_equal_to": {"max_value": draw(values)},
        "in_range": {
            "min_value": draw(values),
            "max_value": draw(values),
            "include_min": draw(st.booleans()),
        },
        "isin": {"allowed_values": draw(st.lists(values, max_size=4))},
        "notin": {"forbidden_values": draw(st.lists(values, max_size=3))},
        "unique_values_eq": {"values": draw(st.lists(values, min_size=1, max_size=2, unique=True))},
    }
    if kind.name == "string":
        checks |= {
            "str_matches": {"portable": draw(st.sampled_from([r"\A[0-9]+", r"\A(?:.{3})", "[^\n]é"]))},
            "str_contains": {"portable": draw(st.sampled_from(["1", r"[0-9]\z", "'"]))},
            "str_startswith": {"string": draw(st.sampled_from(["2025", "", "é", "-"]))},
            "str_endswith": {"string": draw(st.sampled_from(["0", "", "🙂", "lines"]))},
            "str_length": {"min_value": draw(st.integers(0, 3)), "max_value": draw(st.integers(3, 12))},
        }
    names = draw(st.lists(st.sampled_from(sorted(checks)), max_size=2, unique=True))
    severity = st.sampled_from(list(Severity))
    return tuple(
        Rule(f"{column}.{name}", name, checks[name], draw(severity), draw(st.booleans())) for name in names
    )


@st.composite
def contracts(draw: Any, ruled: bool = True) -> Contract:
    """Columns of any types and rules."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    columns = tuple(
        Column(
            f'c{i} "{kind.name}"',
            kind,
            nullable=draw(st.booleans()),
            unique=draw(st.integers(0, 9)) == 0,
            coerce=True,
            rules=draw(rules(f"c{i}", kind)) if ruled else (),
            default=draw(st.sampled_from([None, None, "7"])) if kind.name == "string" else None,
        )
        for i, kind in enumerate(kinds)
    )
    unique = (
        (tuple(c.name for c in columns[:2]),) if len(columns) > 1 and draw(st.integers(0, 4)) == 0 else ()
    )
    return Contract("Random", columns, unique)


def loose(contract: Contract) -> Contract:
    """The same columns, with no rule but their types."""
    return Contract(
        "Loose", tuple(Column(c.name, c.type, nullable=True, coerce=True) for c in contract.columns)
    )


def fitting(kind: DataType) -> tuple[str, ...]:
    """Texts of which most become `kind`."""
    pattern = {
        "date": r"\d{4}-\d\d-\d\d",
        "timestamp": r"\d{4}-\d\d-\d\d[T ].*" + ("(Z|:\\d\\d)" if kind.timezone else r":\d\d(\.\d+)?"),
        "boolean": "true|false",
        "string": ".*",
        "binary": ".*",
    }.get(kind.name, r"-?\d+" if "int" in kind.name else r"-?\d*\.?\d+")
    return tuple(text for text in TEXTS if re.fullmatch(pattern, text, re.DOTALL))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contract=contracts(), seed=st.integers(0, 10**6), badness=st.sampled_from([0.0, 0.05, 0.5]))
def test_text_of_any_contract(contract: Contract, seed: int, badness: float, tmp_path: Path) -> None:
    rng = random.Random(seed)
    names = [c.name for c in contract.columns]
    rows = [
        [
            None if rng.random() < 0.1 else rng.choice(TEXTS if rng.random() < badness else fitting(c.type))
            for c in contract.columns
        ]
        for _ in range(rng.choice((1, 5, 40)))
    ]
    text, lines = tmp_path / "rows.csv", tmp_path / "rows.json"
    with text.open("w", newline="") as file:
        writer = python_csv.writer(file, quoting=python_csv.QUOTE_ALL)
        writer.writerows([names, *rows])
    lines.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
    assert_same(
        run("polars", "csv", text, contract, loose(contract), tmp_path),
        run("duckdb", "json", lines, contract, loose(contract), tmp_path),
    )


def value(rng: random.Random, kind: DataType) -> Any:
    """A typed value that Parquet of `kind` holds."""
    match kind.name:
        case "string":
            return rng.choice(TEXTS)
        case "binary":
            return rng.choice((b"", b"plain", b"\xff\x00\"'\\", "é".encode()))
        case "boolean":
            return rng.random() < 0.5
        case "float32" | "float64":
            return rng.choice((0.0, -0.0, 1.5, -2.25, 7.0, 1e15, float("nan"), float("inf"), 2.0**70))
        case "decimal":
            return Decimal(rng.randrange(100)).scaleb(-(kind.scale or 0))
        case "date":
            return rng.choice((date(2025, 1, 17), date(1969, 12, 31), date(2024, 2, 29)))
        case "timestamp":
            moments = (
                datetime(2025, 1, 17, 10, 15, 2, 500, UTC),
                datetime(1969, 12, 31, tzinfo=UTC),
                datetime(2024, 2, 29, 1, tzinfo=UTC),
            )
            return rng.choice(moments).replace(tzinfo=UTC if kind.timezone else None)
        case _:
            return rng.choice((0, 1, 7, 42, 100))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contract=contracts(), seed=st.integers(0, 10**6))
def test_parquet_of_any_contract(contract: Contract, seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    rows = [
        {c.name: None if rng.random() < 0.1 else value(rng, c.type) for c in contract.columns}
        for _ in range(rng.choice((1, 5, 40)))
    ]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(loose(contract))), path)
    assert_same(
        run("polars", "parquet", path, loose(contract), contract, tmp_path),
        run("duckdb", "parquet", path, loose(contract), contract, tmp_path),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.tuples(st.sampled_from(PRINTED), st.sampled_from(PRINTED)), seed=st.integers(0, 10**6))
def test_one_type_to_another(kinds: tuple[DataType, DataType], seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    have = Contract("Have", (Column("c", kinds[0], nullable=True),))
    want = Contract("Want", (Column("c", kinds[1], nullable=True, coerce=True),))
    path = tmp_path / "rows.parquet"
    rows = [{"c": value(rng, kinds[0])} for _ in range(20)]
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(have)), path)
    assert_same(
        run("polars", "parquet", path, have, want, tmp_path),
        run("duckdb", "parquet", path, have, want, tmp_path),
    )


@pytest.mark.parametrize(
    ("transform", "kind"),
    [
        ("identity", DataType("string")), ("identity", DataType("date")), ("identity", DataType("boolean")),
        ("identity", DataType("int64")), ("identity", DataType("timestamp", timezone="UTC")), ("day", DataType("date")),
        ("month", DataType("date")), ("year", DataType("timestamp")), ("hour", DataType("timestamp", timezone="UTC")),
        ("month_of_year", DataType("date")), ("day_of_month", DataType("timestamp")),
    ],
)  # fmt: skip
def test_every_partition(transform: str, kind: DataType, tmp_path: Path) -> None:
    rng = random.Random(6)
    contract = Contract("Parts", (Column("p", kind, nullable=True), Column("n", DataType("int64"))))
    rows = [{"p": None if n % 7 == 0 else value(rng, kind), "n": n} for n in range(60)]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(contract)), path)
    by = (PartitionPlan("part", "p", transform), PartitionPlan("n", "n"))
    polars = run("polars", "parquet", path, contract, contract, tmp_path, by)
    assert len(polars["places"]) > 2
    assert_same(polars, run("duckdb", "parquet", path, contract, contract, tmp_path, by))


def test_hundreds_of_partitions(tmp_path: Path) -> None:
    text = DataType("string")
    contract = Contract("Parts", (Column("p", text, nullable=True), Column("n", DataType("int64"))))
    odd = (None, HIVE_NULL, "a/b", "50%", "x=y", "Zürich", "a b")
    rows = [{"p": odd[n] if n < len(odd) else f"day-{n % 300}", "n": n} for n in range(1_000)]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(contract)), path)
    by = (PartitionPlan("p", "p"),)
    polars = run("polars", "parquet", path, contract, contract, tmp_path, by)
    assert len(polars["places"]) == 306
    assert_same(polars, run("duckdb", "parquet", path, contract, contract, tmp_path, by))


def test_nested_columns_pass_through_and_are_not_converted(tmp_path: Path) -> None:
    numbers, wide = DataType("list", item=DataType("int64")), DataType("list", item=DataType("float64"))
    contract = Contract("Nested", (Column("l", numbers, nullable=True),))
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([{"l": [1, None]}, {"l": None}], schema=arrow_schema(contract)), path)
    polars = run("polars", "parquet", path, contract, contract, tmp_path)
    assert polars["rows"] == run("duckdb", "parquet", path, contract, contract, tmp_path)["rows"]
    other = Contract("Nested", (Column("l", wide, nullable=True),))
    with pytest.raises(TransformError, match="cast them in the transform"):
        run("polars", "parquet", path, contract, other, tmp_path)
