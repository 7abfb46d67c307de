"""CSV in Polars gives what the reference reader gives, for any bytes, on the fast and on the exact way."""

from __future__ import annotations

import csv as python_csv
import io
import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aws_runtime.contract import Column, Contract, DataType, Drift
from aws_runtime.engines import InputFile, Limits, polars_csv
from aws_runtime.engines.polars import open_engine
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import csv
from aws_runtime.plan import FormatPlan

TEXT = DataType("string")
CONTRACT = Contract("Abc", tuple(Column(n, TEXT, nullable=True) for n in "abc"), drift=Drift.EVOLVE)
URI = "s3://landing/file.csv"

few = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: Path, folder: Path, options: dict[str, Any], contract: Contract = CONTRACT) -> Any:
    """Good and broken records by position, through the engine; or the code of a rejection."""
    with open_engine(Limits(2**29, 2, str(folder / "spill"))) as engine:
        try:
            frame = engine.read([InputFile(str(path), URI)], FormatPlan("csv", options), contract)
            written = engine.write(
                checked={"rows": engine.check(frame, contract, "rows")},
                output_stage="rows",
                contract=Contract("Rows", (*contract.columns, Column("source_row", DataType("int64")))),
                partition_by=(),
                compression="zstd",
                destination=str(folder / "out"),
                quarantine=str(folder / "bad"),
                stem="stem",
            )
        except RejectedFile as error:
            return error.code
    good = {row[-1]: row[:-1] for file in written.files for row in pl.read_parquet(file.path).rows()}
    bad = {
        row["source_row"]: (row["reasons"], row["record"])
        for file in written.quarantine
        for row in pl.read_parquet(file.path).rows(named=True)
    }
    assert written.rows_in["rows"] == len(good) + len(bad)
    assert written.violations.get("rows.record.malformed", 0) == len(bad)
    return good, bad


def reference(path: Path, folder: Path, options: dict[str, Any], contract: Contract = CONTRACT) -> Any:
    """The same by `csv_records` alone."""
    work = folder / "reference"
    work.mkdir(exist_ok=True)
    chosen = csv.Options(**options)
    try:
        source = csv.open_file(str(path), URI, chosen, contract, work)
    except RejectedFile as error:
        return error.code
    at = {name: i for i, name in enumerate(source.header.names)}
    good, bad = {}, {}
    for record in csv.read_records(source, chosen):
        if record.reason is not None:
            bad[record.number] = ([record.reason], record.text)
        else:
            values = (record.values[at[c.name]] if c.name in at else "" for c in contract.columns)
            good[record.number] = tuple(csv.nulled(value, chosen) for value in values)
    return "MalformedCsv" if bad and not good else (good, bad)


def same(path: Path, folder: Path, options: dict[str, Any], contract: Contract = CONTRACT) -> Any:
    wanted = reference(path, folder, options, contract)
    assert read(path, folder, options, contract) == wanted
    return wanted


piece = st.sampled_from(
    [
        b",",
        b",",
        b'"',
        b'"',
        b'""',
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"x",
        b" ",
        b"7",
        b"\xc3\xa9",
        b"\xe9",
        b"\0",
        b"\x01",
        b";",
        b"'",
    ]
)
line = st.sampled_from(
    [b"1,2,3\n", b'"1","2","3"\r\n', b'"a\nb",2,3\n', b"4,5\n", b'"x,5,6\n', b"\n", b"a,b,\n", b",,\n", b'""",1,2\n', b'5"6,7,8\n']
)  # fmt: skip


@few
@given(
    parts=st.lists(st.one_of(piece, line, line), max_size=30),
    encoding=st.sampled_from(["auto", "utf-8", "latin-1"]),
)
def test_any_bytes_are_read_as_the_reference_reads_them(
    parts: list[bytes], encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b,c\n" + b"".join(parts))
    same(path, tmp_path, {"encoding": encoding, "delimiter": ","})


@few
@given(parts=st.lists(st.one_of(piece, line), max_size=12))
def test_the_same_where_odd_lines_are_rare(parts: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    plain = [b"%d,x,y\n" % number for number in range(300)]
    rng = random.Random(len(parts))
    for part in parts:
        plain.insert(rng.randrange(300), part)
    path.write_bytes(b"a,b,c\n" + b"".join(plain))
    good, bad = same(path, tmp_path, {"delimiter": ","})
    assert sorted([*good, *bad]) == list(range(1, len(good) + len(bad) + 1))


@few
@given(parts=st.lists(st.one_of(piece, line), max_size=15), delimiter=st.sampled_from(",;\t|"))
def test_without_a_quote_or_with_another(parts: list[bytes], delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    content = b"".join(parts).replace(b",", delimiter.encode())
    path.write_bytes(delimiter.join("abc").encode() + b"\n" + content)
    same(path, tmp_path, {"quote": "'", "null_values": ["7", "x"]})
    if b"\r" not in content.replace(b"\r\n", b""):
        same(path, tmp_path, {"quote": ""})


@few
@given(
    rows=st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=6)] * 3), max_size=8),
    delimiter=st.sampled_from(",;\t|:"),
    quote=st.sampled_from("\"'"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([python_csv.QUOTE_MINIMAL, python_csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)  # fmt: skip
def test_what_python_writes_comes_back(
    rows, delimiter, quote, end, quoting, encoding, tmp_path: Path
) -> None:
    made = io.StringIO()
    writer = python_csv.writer(
        made, delimiter=delimiter, quotechar=quote, lineterminator=end, quoting=quoting
    )
    writer.writerow("abc")
    writer.writerows(rows)
    path = tmp_path / "file.csv"
    path.write_bytes(made.getvalue().encode(encoding))
    good, bad = same(path, tmp_path, {"delimiter": delimiter, "quote": quote})
    assert bad == {}
    assert list(good.values()) == [tuple(value or None for value in row) for row in rows]


def test_many_broken_records_are_spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polars_csv, "_SPOOL_BYTES", 10_000)
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b,c\n" + b"1,2,3\n4,5\n" * 5_000)
    good, bad = same(path, tmp_path, {})
    assert (len(good), len(bad)) == (5_000, 5_000)
    assert bad[10_000] == (["record: 2 fields, the header has 3 (line 10001)"], "4,5")


def test_one_column(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b'a\nx\n\n""\n"y\nz"\n"\n1,2\n')
    one = Contract("One", CONTRACT.columns[:1])
    good, bad = same(path, tmp_path, {}, one)
    assert good == {1: ("x",), 2: (None,), 3: ("y\nz",)}
    assert list(bad) == [4, 5]


def test_ten_thousand_columns(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(10_000)]
    wide = Contract("Wide", tuple(Column(n, DataType("int64"), nullable=True) for n in names))
    path = tmp_path / "file.csv"
    rows = [",".join(map(str, range(10_000))), ",".join(["x"] + ["1"] * 9_999), "1,2"]
    path.write_text(",".join(names) + "\n" + "\n".join(rows) + "\n")
    with open_engine(Limits(2**29, 2, str(tmp_path / "spill"))) as engine:
        frame = engine.read([InputFile(str(path), URI)], FormatPlan("csv"), wide)
        checked = engine.check(frame, wide, "rows")
        assert checked.valid.select("c9999").collect().rows() == [(9_999,)]
        (row,) = checked.quarantined.collect().rows(named=True)
    assert row["reasons"] == ["c0: 'x' is not int64"]
    assert json.loads(row["record"])["c9999"] == "1"
