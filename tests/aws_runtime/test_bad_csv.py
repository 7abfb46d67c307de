"""Bad CSV of every kind gets a clear answer and loses nothing: quarantined or rejected, and counted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from aws_runtime.contract import Drift
from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.plan import FormatPlan
from aws_runtime.step import StepResult, run_step
from ingestion_assets.pipelines.csv_to_parquet.pipeline import pipeline, sales
from ingestion_assets.plan import asset_plan

PLAN = replace(asset_plan(pipeline, sales), engine="polars")
URI = "s3://pre/sales/file.csv"
HEADER = "Order ID;Order Date;Sold At;Branch;Country;Product;Units;Unit Price;Discount %;Remarks"
ROW = "S-{:07d};17.01.2025;17.01.2025 10:15:02;Köln;DE;Lamp;2;1.249,50;10,0;{}"


def sale(number: int = 1, remark: str = "gift") -> str:
    return ROW.format(number, remark)


def file(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *lines, ""]).encode()


@dataclass
class Outcome:
    """What one run gave: rows, quarantine and the ledger."""

    result: StepResult
    rows: list[dict[str, Any]]
    bad: list[dict[str, Any]]

    @property
    def told(self) -> list[tuple[str, int, list[str]]]:
        return [(row["stage"], row["source_row"], row["reasons"]) for row in self.bad]


Ingest = Callable[..., Outcome]


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    def run(data: bytes, *, drift: Drift | None = None, **options: Any) -> Outcome:
        source = tmp_path / "sales file.csv"
        source.write_bytes(data)
        given = PLAN.inputs[0]
        contract = replace(given.contract, drift=drift) if drift else given.contract
        form = FormatPlan("csv", {**given.format.options, **options})
        result = run_step(
            replace(PLAN, inputs=(replace(given, format=form, contract=contract),)),
            {given.name: [InputFile(str(source), URI)]},
            destination=str(tmp_path / "out"),
            quarantine=str(tmp_path / "bad"),
            stem="20250117T000000Z-0",
            limits=Limits(2**29, 2, str(tmp_path / "spill")),
        )
        rows = [
            row
            for f in result.files
            for row in pl.read_parquet(f.path, hive_partitioning=False).rows(named=True)
        ]
        bad = [row for f in result.quarantine for row in pl.read_parquet(f.path).rows(named=True)]
        assert result.rows_in == result.rows_out + result.rows_quarantined
        assert (result.rows_out, result.rows_quarantined) == (len(rows), len(bad))
        assert all(row["reasons"] and row["source_uri"] == URI for row in bad)
        assert list((tmp_path / "spill").iterdir()) == []
        assert not list(tmp_path.rglob(".staging*"))
        return Outcome(result, rows, bad)

    return run


def rejected(ingest: Ingest, data: bytes, **options: Any) -> RejectedFile:
    with pytest.raises(RejectedFile) as caught:
        ingest(data, **options)
    assert caught.value.uri == URI
    return caught.value


def test_a_good_file_as_people_write_it(ingest: Ingest) -> None:
    found = ingest(file(sale(), sale(2, '"two\nlines; ""quoted"""'), sale(3, "-")))
    assert found.bad == []
    assert found.rows[0] == {
        "order_id": "S-0000001", "order_date": date(2025, 1, 17), "sold_at": datetime(2025, 1, 17, 10, 15, 2),  # noqa: DTZ001 - tills have no zone
        "branch": "Köln", "country": "DE", "product": "Lamp", "units": 2, "unit_price": 1249.5, "discount_share": 0.1,
        "list_total": 2499.0, "line_total": 2249.1, "remarks": "gift",
    }  # fmt: skip
    assert [row["remarks"] for row in found.rows[1:]] == ['two\nlines; "quoted"', None]
    assert [Path(f.path).relative_to(Path(f.path).parents[1]).as_posix() for f in found.result.files] == [
        "month=2025-01/part-20250117T000000Z-0.zstd.parquet"
    ]


VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "CR": lambda data: data.replace(b"\n", b"\r"),
    "no last line end": lambda data: data[:-1],
    "blank lines": lambda data: b"\n\r\n" + data.replace(b"\n", b"\n\n"),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-32": lambda data: data.decode().encode("utf-32"),
    "Windows-1252": lambda data: data.decode().encode("windows-1252"),
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "gzip of UTF-16": lambda data: gzip.compress(data.decode().encode("utf-16")),
    "comma": lambda data: (
        data.replace(b",", b"#").replace(b";", b",").replace(b"249#50", b"249").replace(b"10#0", b"10")
    ),
    "tab": lambda data: data.replace(b";", b"\t"),
    "pipe": lambda data: data.replace(b";", b"|"),
    "sep=": lambda data: b"sep=;\r\n" + data,
    "spaces in the header": lambda data: data.replace(b"Branch", b"  Branch "),
    "quotes": lambda data: b"\n".join(b'"' + line.replace(b";", b'";"') + b'"' for line in data.splitlines()),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_rows_however_they_are_written(variant: str, ingest: Ingest) -> None:
    found = ingest(VARIANTS[variant](file(sale(1), sale(2), sale(3))))
    assert found.bad == []
    assert [row["order_id"] for row in found.rows] == ["S-0000001", "S-0000002", "S-0000003"]
    assert {row["branch"] for row in found.rows} == {"Köln"}


BROKEN = {
    "too few": ("S-0000002;17.01.2025", "record: 2 fields, the header has 10 (line 3)"),
    "too many": (sale(2) + ";more", "record: 11 fields, the header has 10 (line 3)"),
    "text after a quote": (sale(2, '"a"b'), "record: text after the closing quote of field 10 (line 3)"),
    "open quote": (
        sale(2, '"a'),
        "record: a quoted field does not close, or text follows where it does (line 3)",
    ),
    "NUL": (sale(2, "a\0b"), "record: NUL at character 72 (line 3)"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_record_is_quarantined_alone(case: str, ingest: Ingest) -> None:
    line, reason = BROKEN[case]
    found = ingest(file(sale(1), line, sale(3), sale(4, '"fine"')))
    assert found.told == [("sales_exports", 2, [reason])]
    assert found.bad[0]["record"] == line
    assert [row["order_id"] for row in found.rows] == ["S-0000001", "S-0000003", "S-0000004"]
    assert found.result.violations == {"sales_exports.record.malformed": 1}


VALUES = {
    "2025-01-17": ("17.01.2025;", "2025-01-17;", "Order Date: '2025-01-17' is not date"),
    "30 February": ("17.01.2025;", "30.02.2025;", "Order Date: '30.02.2025' is not date"),
    "a point for a comma": ("1.249,50", "1249.50", "Unit Price: '1249.50' is not float64"),
    "wrong groups": ("1.249,50", "12.49,50", "Unit Price: '12.49,50' is not float64"),
    "words": (";2;", ";two;", "Units: 'two' is not int64"),
    "a fraction": (";2;", ";2,5;", "Units: '2,5' is not int64"),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_of_another_spelling_is_quarantined_as_it_was_sent(case: str, ingest: Ingest) -> None:
    old, new, reason = VALUES[case]
    found = ingest(file(sale(1), sale(2).replace(old, new, 1)))
    assert found.told == [("sales_exports", 2, [reason])]
    assert json.loads(found.bad[0]["record"])["Order ID"] == "S-0000002"
    assert json.loads(found.bad[0]["record"])["Discount %"] == "10,0"
    assert len(found.rows) == 1


def test_repeated_keys_and_broken_rules_are_told_by_the_sale(ingest: Ingest) -> None:
    found = ingest(file(sale(1), sale(1, "again"), sale(2).replace("DE", "XX"), sale(3)))
    assert [(stage, row) for stage, row, _ in found.told] == [("sales", 1), ("sales", 2), ("sales", 3)]
    assert found.told[0][2] == ["order_id: S-0000001 appears more than once"]
    assert found.told[2][2][0].startswith("country: 'XX' breaks isin")
    assert [row["order_id"] for row in found.rows] == ["S-0000003"]


REJECTED = {
    "nothing": (b"", "EmptyFile"),
    "blank": (b"\n\r\n\n", "EmptyFile"),
    "workbook": (b"PK\x03\x04\x14\x00", "NotCsv"),
    "Parquet": (b"PAR1....PAR1", "NotCsv"),
    "missing column": (file(sale()).replace(b";Units", b""), "MissingColumns"),
    "repeated column": (file(sale() + ";2", header=HEADER + ";Units"), "DuplicateColumns"),
    "another table": (b"id,name\n1,x\n", "MissingColumns"),
    "open quote in the header": (b'"Order ID;Order Date\n1;2\n', "MalformedHeader"),
    "no record at all": (file("a;b", "c", '"'), "MalformedCsv"),
    "gzip cut": (gzip.compress(file(sale()) * 50)[:-9], "CorruptFile"),
    "zstd cut": (zstandard.compress(file(sale()) * 50)[:-9], "CorruptFile"),
    "UTF-16 cut": (file(sale()).decode().encode("utf-16")[:-1], "WrongEncoding"),
    "garbage": (bytes(range(128, 256)) * 40, "MissingColumns"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_file_that_cannot_be_read_is_rejected(case: str, ingest: Ingest) -> None:
    data, code = REJECTED[case]
    error = rejected(ingest, data)
    assert error.code == code
    assert error.reason


def test_a_header_alone_is_a_good_file_without_rows(ingest: Ingest) -> None:
    found = ingest(file())
    assert (found.rows, found.bad, found.result.rows_in, found.result.files) == ([], [], 0, ())


def test_extra_columns_are_recorded_and_dropped(ingest: Ingest) -> None:
    data = file(*(f"x;{sale(n)};y" for n in range(1, 4)), header=f"Till;{HEADER};Clerk")
    found = ingest(data)
    assert len(found.rows) == 3
    assert found.result.violations == {
        "sales_exports.extra_column.Till": 3,
        "sales_exports.extra_column.Clerk": 3,
    }
    assert rejected(ingest, data, drift=Drift.REORDER).code == "UnexpectedColumns"


def test_without_a_header(ingest: Ingest) -> None:
    assert len(ingest("\n".join([sale(1), sale(2)]).encode(), header=False).rows) == 2


def test_a_retry_leaves_nothing_of_the_attempt_before(ingest: Ingest, tmp_path: Path) -> None:
    ingest(file(sale(1), "x"))
    (tmp_path / "out" / "month=2025-01" / "part-20250117T000000Z-0-1.zstd.parquet").write_bytes(
        b"of an earlier attempt"
    )
    assert ingest(file(sale(1))).bad == []
    assert len(list(tmp_path.glob("out/*/*"))) == 1
    assert list(tmp_path.glob("bad/*")) == []
