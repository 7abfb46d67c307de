"""The CSV format by itself: records, headers, encodings and spellings."""

from __future__ import annotations

import csv as python_csv
import io
import random
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.coercion import lexical_form
from aws_runtime.contract import Column, Contract, DataType, Drift
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import csv
from aws_runtime.formats.csv_records import Record, Shape, plain_line, quoted_part, records
from aws_runtime.formats.csv_values import Habits, spelling

ABC = Contract("Abc", tuple(Column(n, DataType("string"), nullable=True) for n in "abc"), drift=Drift.EVOLVE)
URI = "s3://landing/file.csv"


def read(data: bytes, **shape: Any) -> list[Record]:
    return list(records(io.BytesIO(data), Shape(",", **{"fields": 3, **shape})))


def said(found: list[Record]) -> list[Any]:
    return [record.reason or record.values for record in found]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b'1,"a,b",3', [("1", "a,b", "3")]),
        (b'"a\r\nb","c""d",""\r\n', [("a\r\nb", 'c"d', "")]),
        (b'4,5"6,7\n', [("4", '5"6', "7")]),
        (b'1, "b",3\n', [("1", ' "b"', "3")]),
        (b"\n1,2,3\r\n\r\n\n", [("1", "2", "3")]),
        (b"1,2\n", ["record: 2 fields, the header has 3 (line 1)"]),
        (b"\n1,2,3,4\n", ["record: 4 fields, the header has 3 (line 2)"]),
        (b'"x"y,2,3\n', ["record: text after the closing quote of field 1 (line 1)"]),
        (b"1,\0,3\n", ["record: NUL at character 3 (line 1)"]),
        (b"1,\xff,3\n", ["record: invalid UTF-8 at byte 3 (line 1)"]),
        (b'1,"a\nb"\n', ["record: 2 fields over 2 lines, the header has 3 (line 1)", "record: 1 field, the header has 3 (line 2)"]),
        (b'1,2,"open', ["record: the quote that opens field 3 does not close (line 1)"]),
    ],
)  # fmt: skip
def test_what_a_line_is(data: bytes, wanted: list[Any]) -> None:
    assert said(read(data)) == wanted


def test_a_quote_that_never_closes_costs_its_line_only() -> None:
    lines = [b"%d,x,y" % number for number in range(1_000)]
    lines[10] = b'10,"x,y'
    found = read(b"\n".join(lines))
    assert [record.number for record in found if record.reason] == [11]
    assert len(found) == 1_000
    assert found[-1].values == ("999", "x", "y")


def test_lines_that_open_a_quote_again_and_again_are_read_in_linear_time() -> None:
    # Each is right by itself until its last field, which swallows the next line's first.
    found = read(b'x","\n' * 20_000)
    assert len(found) == 20_000
    assert all(record.reason for record in found)


def test_long_records_are_cut_and_never_held() -> None:
    found = read(b"1,2,3\n" + b"x" * 5_000 + b',2,3\n"' + b"y\n" * 3_000 + b'",2,3\n4,5,6', max_bytes=1_000)
    assert found[1].reason == "record: longer than 1000 bytes (line 2)"
    assert len(found[1].text) <= 1_002
    assert found[2].reason == "record: a quoted field does not close, or text follows where it does (line 3)"
    assert found[-1].values == ("4", "5", "6")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    rows=st.lists(st.lists(texts, min_size=3, max_size=3), max_size=6),
    delimiter=st.sampled_from(",;\t|€"),
    quote=st.sampled_from("\"'«"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_python_writes_comes_back(rows: list[list[str]], delimiter: str, quote: str, end: str) -> None:
    made = io.StringIO()
    python_csv.writer(
        made, delimiter=delimiter, quotechar=quote, lineterminator=end, quoting=python_csv.QUOTE_ALL
    ).writerows(rows)
    found = list(records(io.BytesIO(made.getvalue().encode()), Shape(delimiter, quote, 3)))
    assert [list(record.values) for record in found] == rows
    assert [record.number for record in found] == list(range(1, len(rows) + 1))


@given(
    st.lists(st.sampled_from(['"', '""', ",", "x", " ", "\r", "\0", "é"]), min_size=1, max_size=10).map(
        "".join
    )
)
def test_plain_lines_are_records_by_themselves(line: str) -> None:
    shape = Shape(",", '"', None)
    (first, *more) = list(records(io.BytesIO(line.encode() + b"\n"), shape)) or [None]
    assert not more
    if first is not None and re.fullmatch(plain_line(shape), line):
        assert first.reason is None
        assert len(first.values) == re.sub(quoted_part(shape), "", line).count(",") + 1


# --- files ------------------------------------------------------------------------------------


def opened(data: bytes, folder: Path, contract: Contract = ABC, **options: Any) -> list[Any]:
    path = folder / "file.csv"
    path.write_bytes(data)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    chosen = csv.Options(**options)
    source = csv.open_file(str(path), URI, chosen, contract, work)
    return [source.header.names, *said(list(csv.read_records(source, chosen)))]


ROWS = "a,b,c\r\n1,Zoë,x\r\n2,Łódź,y\r\n"
WANTED = [("a", "b", "c"), ("1", "Zoë", "x"), ("2", "Łódź", "y")]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_unicode_is_told_by_its_bytes(encoding: str, end: str, tmp_path: Path) -> None:
    assert opened(ROWS.replace("\r\n", end).encode(encoding), tmp_path) == WANTED


@pytest.mark.parametrize(
    ("data", "options", "wanted"),
    [
        ("Zoë".encode("latin-1"), {}, "Zoë"),
        (b"\x80 5 \x81", {}, "€ 5 \x81"),
        ("Łódź".encode("iso-8859-2"), {"fallback_encoding": "iso-8859-2"}, "Łódź"),
        ("Łódź".encode("iso-8859-2"), {"encoding": "iso-8859-2"}, "Łódź"),
        ("日本".encode("shift-jis"), {"encoding": "shift-jis"}, "日本"),
        ("Zoë".encode("utf-16-be"), {}, None),
    ],
)
def test_other_encodings(data: bytes, options: dict[str, str], wanted: str | None, tmp_path: Path) -> None:
    found = opened(b"a,b,c\n1," + data + b",3\n", tmp_path, **options)
    assert found[1] == (("1", wanted, "3") if wanted else "record: NUL at character 3 (line 2)")


def test_a_line_of_another_encoding_late_in_a_large_file_leaves_the_others_alone(tmp_path: Path) -> None:
    lines = ["a,b,c", *[f"{number},Łódź,{'x' * 90}" for number in range(30_000)]]
    found = opened("\n".join(lines).encode() + b"\n30000,Zo\xeb,y\n30001,Zo\xc3\xab,z\n", tmp_path)
    assert len(found) == 30_003
    assert found[30_000][1] == "Łódź"
    assert [row[1] for row in found[-2:]] == ["Zoë", "Zoë"]


def test_declared_utf_8_that_is_none_breaks_records_one_by_one(tmp_path: Path) -> None:
    found = opened(b"a,b,c\n1,\xeb,3\n4,5,6\n", tmp_path, encoding="utf-8")
    assert found[1:] == ["record: invalid UTF-8 at byte 3 (line 2)", ("4", "5", "6")]


def test_a_quoted_pair_and_a_cr_across_two_blocks_are_seen(tmp_path: Path) -> None:
    block = 1024 * 1024
    for tail in (b'""', b"\rx"):
        start = b"a,b,c\n"
        data = start + (b"1,2,3\n" * block)[: block - len(start) - 1] + tail
        path = tmp_path / "file.csv"
        path.write_bytes(data)
        seen = csv.prepare(str(path), URI, csv.Options(), tmp_path)
        assert data[block - 1 : block + 1] == tail
        assert (seen.doubled, seen.controls) == (tail == b'""', tail == b"\rx")


@pytest.mark.parametrize(
    ("header", "options", "names"),
    [
        ("a;b;c", {}, ("a", "b", "c")),
        ("a\tb\tc", {}, ("a", "b", "c")),
        ('"a"|"b"|"c"', {}, ("a", "b", "c")),
        (" a , b,c ", {}, ("a", "b", "c")),
        ("a;b;c;x,y,z,w,v", {}, ("a", "b", "c", "x,y,z,w,v")),
        ("sep=;\na;b;c", {}, ("a", "b", "c")),
        ("note\n\na,b,c", {"skip_lines": 1}, ("a", "b", "c")),
        ('a,"b",c,"x\ny"', {}, ("a", "b", "c", "x\ny")),
        ("a,b,c,", {}, ("a", "b", "c", "column_4")),
        ("a#b#c", {"delimiter": "#"}, ("a", "b", "c")),
    ],
)
def test_headers(header: str, options: dict[str, Any], names: tuple[str, ...], tmp_path: Path) -> None:
    assert opened(header.encode() + b"\n", tmp_path, **options) == [names]


def test_without_a_header_fields_are_the_contracts_columns_in_order(tmp_path: Path) -> None:
    assert opened(b"1;2;3\n4;5;6", tmp_path, header=False)[:2] == [("a", "b", "c"), ("1", "2", "3")]
    assert opened(b"1,2,3,4\n", tmp_path, header=False)[0] == ("a", "b", "c", "column_4")
    with pytest.raises(RejectedFile, match=r"MissingColumns.*no c"):
        opened(b"1,2\n", tmp_path, header=False)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EmptyFile"), (b"\n\r\n\n", "EmptyFile"), (b"\xef\xbb\xbf", "EmptyFile"), (b"PK\x03\x04rest", "NotCsv"),
        (b"PAR1", "NotCsv"), (b"\x1f\x8b\x08", "CorruptFile"), (b"\x28\xb5\x2f\xfdxxxx", "CorruptFile"),
        (b'a,"b,c\n1,2,3\n', "MalformedHeader"), (b'a,"b"x,c\n', "MalformedHeader"), (b"a,a,b,c\n", "DuplicateColumns"),
        (b"a,b\n", "MissingColumns"), ("a,b,c".encode("utf-16")[:-1], "WrongEncoding"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read(data: bytes, code: str, tmp_path: Path) -> None:
    with pytest.raises(RejectedFile) as caught:
        opened(data, tmp_path)
    assert (caught.value.code, caught.value.uri) == (code, URI)


#: Header -> the policies that accept it.
ACCEPTED = {
    "a,b,c": set(Drift),
    "c,a,b": set(Drift) - {Drift.STRICT},
    "a,x,b,c": {Drift.EVOLVE, Drift.PERMISSIVE},
    "x,x,a,b,c": {Drift.EVOLVE, Drift.PERMISSIVE},
    "a,b": {Drift.PERMISSIVE},
    "b,c": set(),
    "A,b,c": set(),
}


@pytest.mark.parametrize("drift", list(Drift))
@pytest.mark.parametrize("header", ACCEPTED)
def test_drift(header: str, drift: Drift, tmp_path: Path) -> None:
    columns = (Column("a", DataType("string")), *ABC.columns[1:])
    contract = Contract("Abc", columns, drift=drift)
    if drift in ACCEPTED[header]:
        assert opened(header.encode(), tmp_path, contract) == [tuple(header.split(","))]
    else:
        with pytest.raises(RejectedFile, match="Columns"):
            opened(header.encode(), tmp_path, contract)


# --- spellings --------------------------------------------------------------------------------


def canonical(text: str, habits: Habits, kind: DataType) -> str | None:
    """The text that is converted in the end; None where it is no value."""
    written = spelling(habits, kind)
    if written is not None:
        if not re.fullmatch(written.form, text):
            return None
        for pattern, target in written.steps:
            text = re.sub(pattern, re.sub(r"\$(\d)", r"\\\1", target), text)
    return text if re.fullmatch(lexical_form(kind) or ".*", text) else None


REAL, WHOLE, EXACT = DataType("float64"), DataType("int64"), DataType("decimal", precision=10, scale=2)
GERMAN, SWISS = Habits(",", "."), Habits(".", "'")


@pytest.mark.parametrize(
    ("text", "habits", "kind", "wanted"),
    [
        ("1.234.567,89", GERMAN, REAL, "1234567.89"),
        ("1234567,89", GERMAN, EXACT, "1234567.89"),
        (",5", GERMAN, REAL, ".5"),
        ("1,5e3", GERMAN, REAL, "1.5e3"),
        ("-1.234", GERMAN, WHOLE, "-1234"),
        ("1.5", GERMAN, REAL, None),
        ("1.23.456", GERMAN, WHOLE, None),
        ("1.234", Habits(","), REAL, None),
        ("1 234,5", Habits(",", " "), REAL, "1234.5"),
        ("1\u202f234\u00a0567", Habits(",", " "), WHOLE, "1234567"),
        ("1'234\u2019567.5", SWISS, REAL, "1234567.5"),
        ("1,234.5", Habits(".", ","), EXACT, "1234.5"),
        ("1e3", GERMAN, EXACT, None),
        ("12,5", GERMAN, DataType("string"), "12,5"),
    ],
)
def test_numbers(text: str, habits: Habits, kind: DataType, wanted: str | None) -> None:
    assert canonical(text, habits, kind) == wanted


@settings(max_examples=60)
@given(
    st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 12, 31)),  # noqa: DTZ001 - files have none
    st.sampled_from(["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%Y年%m月%d日", "%d-%m-%Y", "(%d) [%m] %Y?"]),
)
def test_dates(moment: datetime, pattern: str) -> None:
    day = DataType("date")
    assert canonical(moment.strftime(pattern), Habits(date_format=pattern), day) == moment.date().isoformat()
    both = f"{pattern} %H.%M.%S"
    wanted = moment.replace(microsecond=0).isoformat(" ")
    assert canonical(moment.strftime(both), Habits(timestamp_format=both), DataType("timestamp")) == wanted


def test_days_without_zeros_and_other_texts() -> None:
    habits, day = Habits(date_format="%d/%m/%Y"), DataType("date")
    assert canonical("7/1/2025", habits, day) == date(2025, 1, 7).isoformat()
    assert canonical("2025-01-07", habits, day) is None
    assert canonical("7/1/25", habits, day) is None
    hours = Habits(timestamp_format="%m/%d/%Y %H:%M:%S")
    assert canonical("1/7/2025 9:05:01.25", hours, DataType("timestamp")) == "2025-01-07 09:05:01.25"
    assert spelling(hours, DataType("timestamp", timezone="UTC")) is None


@pytest.mark.parametrize(
    "options",
    [{"decimal": ",", "thousands": ","}, {"date_format": "%d.%m.%y"}, {"date_format": "%d.%m"}, {"timestamp_format": "%d.%m.%Y"}],
)  # fmt: skip
def test_options_that_contradict_themselves(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"decimal|format"):
        csv.Options(**options).habits  # noqa: B018 - it is asked for to raise


def test_random_garbage_never_raises_and_loses_no_line(tmp_path: Path) -> None:
    rng = random.Random(7)
    for _ in range(300):
        data = bytes(rng.choice(b'"",,\n\r;x\0\xe9 ') for _ in range(rng.randrange(60)))
        found = read(data)
        assert [record.number for record in found] == list(range(1, len(found) + 1))
        # Empty lines are no records, but may lie within one.
        written = [line for line in data.split(b"\n") if line not in (b"", b"\r")]
        assert len(written) <= sum(record.lines for record in found) <= data.count(b"\n") + 1
