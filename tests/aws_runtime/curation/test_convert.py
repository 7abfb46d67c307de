"""CSV and JSON lines: spelled as documented, and read back the same, in bounded pieces."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from base64 import b64decode
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import curation_world as world
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curation_world import CURATED, opened, put
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime import storage
from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.curation import convert
from aws_runtime.curation.config import OutputFormat
from aws_runtime.curation.convert import encoded
from aws_runtime.curation.files import curated
from aws_runtime.events import S3Object

ITEM = pa.struct([("sku", pa.string()), ("price", pa.decimal128(10, 2))])
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("count", pa.int64()),
        ("share", pa.float64()),
        ("single", pa.float32()),
        ("price", pa.decimal128(38, 10)),
        ("paid", pa.bool_()),
        ("day", pa.date32()),
        ("local", pa.timestamp("us")),
        ("moment", pa.timestamp("us", "Europe/Berlin")),
        ("raw", pa.binary()),
        ("items", pa.list_(ITEM)),
    ]
)
ROW: dict[str, Any] = {
    "text": 'a "b",\n c\\',
    "count": -7,
    "share": 0.1,
    "single": 1.1,
    "price": Decimal("12.5"),
    "paid": True,
    "day": dt.date(2024, 7, 2),
    "local": dt.datetime.fromisoformat("2024-07-02 10:00:00.000005"),
    "moment": dt.datetime(2024, 7, 2, 10, tzinfo=dt.UTC),
    "raw": b"\x00\xff",
    "items": [{"sku": "é", "price": Decimal("0.00")}, None, {"sku": None, "price": None}],
}
EMPTY: dict[str, Any] = dict.fromkeys(ROW) | {"text": "", "share": math.nan, "items": []}


def spelled(rows: list[dict[str, Any]], form: OutputFormat, schema: pa.Schema = SCHEMA) -> str:
    file = pq.ParquetFile(io.BytesIO(world.parquet(pa.Table.from_pylist(rows, schema))))
    return b"".join(encoded(file, schema.names, form)).decode()


def test_json_is_spelled_as_documented() -> None:
    first, second = spelled([ROW, EMPTY], OutputFormat.JSON).splitlines()
    assert first == (
        r'{"text":"a \"b\",\n c\\","count":-7,"share":0.1,"single":1.1,"price":12.5000000000,"paid":true,'
        '"day":"2024-07-02","local":"2024-07-02 10:00:00.000005","moment":"2024-07-02 10:00:00.000000",'
        '"raw":"AP8=","items":[{"sku":"é","price":0.00},null,{"sku":null,"price":null}]}'
    )
    assert second == (
        '{"text":"","count":null,"share":"NaN","single":null,"price":null,"paid":null,"day":null,'
        '"local":null,"moment":null,"raw":null,"items":[]}'
    )


def test_csv_is_spelled_as_documented() -> None:
    assert spelled([ROW, EMPTY], OutputFormat.CSV) == (
        '"text","count","share","single","price","paid","day","local","moment","raw","items"\n'
        '"a ""b"",\n c\\",-7,0.1,1.1,12.5000000000,true,"2024-07-02","2024-07-02 10:00:00.000005",'
        '"2024-07-02 10:00:00.000000","AP8=",'
        '"[{""sku"":""é"",""price"":0.00},null,{""sku"":null,""price"":null}]"\n'
        '"",,NaN,,,,,,,,"[]"\n'
    )


MOMENTS = st.datetimes()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
PRICES = st.decimals(Decimal("-99999999.99"), Decimal("99999999.99"), places=2)
ITEMS = st.none() | st.fixed_dictionaries({"sku": st.none() | TEXTS, "price": st.none() | PRICES})
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | TEXTS,
            "count": st.none() | st.integers(-(2**63), 2**63 - 1),
            "share": st.none() | st.floats(allow_nan=False),
            "single": st.none() | st.floats(width=32, allow_nan=False),
            "price": st.none() | st.decimals(Decimal("-1e27"), Decimal("1e27"), places=10),
            "paid": st.none() | st.booleans(),
            "day": st.none() | st.dates(),
            "local": st.none() | MOMENTS,
            "moment": st.none() | MOMENTS.map(lambda moment: moment.replace(tzinfo=dt.UTC)),
            "raw": st.none() | st.binary(max_size=4),
            "items": st.none() | st.lists(ITEMS, max_size=3),
        }
    ),
    max_size=4,
)


def read(name: str, text: Any, nested: bool = False) -> Any:
    """Read a value as its documentation says, by Python's own parsers."""
    if text is None:
        return None
    match name:
        case "count":
            return int(text)
        case "share" | "single":
            return float(text)
        case "price":
            return Decimal(text)
        case "paid":
            return {"true": True, "false": False}.get(text, text)
        case "day":
            return dt.date.fromisoformat(text)
        case "local" | "moment":
            moment = dt.datetime.fromisoformat(text)
            return moment.replace(tzinfo=dt.UTC) if name == "moment" else moment
        case "raw":
            return b64decode(text)
        case "items":
            return text if nested else json.loads(text, parse_float=Decimal, parse_int=Decimal)
        case _:
            return text


def same(found: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    wanted = pa.Table.from_pylist(rows, SCHEMA)
    got = pa.Table.from_pylist(found, SCHEMA)
    assert got.equals(wanted), (got.to_pylist(), wanted.to_pylist())


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_json_reads_back_the_same(rows: list[dict[str, Any]]) -> None:
    lines = spelled(rows, OutputFormat.JSON).split("\n")
    assert lines.pop() == ""
    found = [json.loads(line, parse_float=Decimal) for line in lines]
    same([{name: read(name, value, nested=True) for name, value in row.items()} for row in found], rows)


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_csv_reads_back_the_same(rows: list[dict[str, Any]]) -> None:
    header, *found = records(spelled(rows, OutputFormat.CSV))
    assert [name for name, _ in header] == SCHEMA.names
    typed = []
    for row in found:
        values = {
            name: None if text == "" and not quoted else text
            for name, (text, quoted) in zip(SCHEMA.names, row, strict=True)
        }
        typed.append({name: read(name, text) for name, text in values.items()})
    same(typed, rows)


def records(text: str) -> Iterator[list[tuple[str, bool]]]:
    """Read RFC 4180, telling quoted fields from bare ones, which Python's module does not before 3.12."""
    row: list[tuple[str, bool]] = []
    at = 0
    while at < len(text):
        quoted = text[at] == '"'
        if quoted:
            end = at + 1
            while text[end] != '"' or text[end + 1] == '"':
                end += 2 if text[end] == '"' else 1
            value, at = text[at + 1 : end].replace('""', '"'), end + 1
        else:
            end = min(text.find(stop, at) for stop in ",\n" if text.find(stop, at) >= 0)
            value, at = text[at:end], end
        row.append((value, quoted))
        if text[at] == "\n":
            yield row
            row = []
        at += 1


def test_other_readers_agree() -> None:
    rows = [ROW, {**ROW, "text": "ü"}]
    found = list(csv.DictReader(io.StringIO(spelled(rows, OutputFormat.CSV), newline="")))
    assert [row["text"] for row in found] == [ROW["text"], "ü"]
    assert found[0]["price"] == "12.5000000000"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with world.aws(monkeypatch):
        yield


CONTRACT = Contract("Order", (Column("n", DataType("int64")), Column("t", DataType("string"))))


@pytest.mark.parametrize("form", [OutputFormat.CSV, OutputFormat.JSON])
@pytest.mark.parametrize("rows", [3, 700_000], ids=["one call", "parts"])
def test_a_file_is_converted_in_pieces(
    aws: None, monkeypatch: pytest.MonkeyPatch, form: OutputFormat, rows: int
) -> None:
    monkeypatch.setattr(convert, "PART_BYTES", 5 * 1024 * 1024)
    held: list[int] = []
    monkeypatch.setattr(
        storage,
        "read_range",
        lambda item, start, n, read=storage.read_range: held.append(n) or read(item, start, n),
    )
    table = pa.table({"t": ["x" * (i % 9) for i in range(rows)], "n": range(rows)})
    put(CURATED, "staged.parquet", world.parquet(table, row_group_size=100_000))
    item = storage.describe(S3Object(CURATED, "staged.parquet"))
    size, answer = convert.convert(item, f"s3://{CURATED}/out", form, CONTRACT, "a=b")
    body = world.get(CURATED, "out").decode()
    head = storage.s3().head_object(Bucket=CURATED, Key="out")
    assert (size, answer["ETag"], answer["VersionId"]) == (len(body), head["ETag"], head["VersionId"])
    assert head["ContentType"] == convert.CONTENT_TYPES[form]
    last = body.rstrip("\n").rpartition("\n")[2]
    text = "x" * ((rows - 1) % 9)
    assert last == (
        f'{rows - 1},"{text}"' if form is OutputFormat.CSV else f'{{"n":{rows - 1},"t":"{text}"}}'
    )
    assert body.count("\n") == rows + (form is OutputFormat.CSV)
    assert max(held) <= 4 * 1024 * 1024
    assert ("-" in head["ETag"]) == (rows > 3)  # in parts, where it is large


def test_a_conversion_that_fails_leaves_no_parts(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "PART_BYTES", 5 * 1024 * 1024)

    def pieces(*_: Any) -> Iterator[bytes]:
        yield b"x" * 6_000_000
        raise ValueError

    monkeypatch.setattr(convert, "encoded", pieces)
    put(CURATED, "staged.parquet", world.parquet(pa.table({"n": [1]})))
    item = storage.describe(S3Object(CURATED, "staged.parquet"))
    with pytest.raises(ValueError):
        convert.convert(item, f"s3://{CURATED}/out", OutputFormat.CSV, CONTRACT, "")
    assert storage.s3().list_multipart_uploads(Bucket=CURATED).get("Uploads", []) == []
    assert world.keys(CURATED) == ["staged.parquet"]


@pytest.mark.parametrize(
    ("form", "name"), [("csv", "part-x.csv"), ("json", "part-x.json"), ("parquet", "part-x.zstd.parquet")]
)
def test_names_say_the_format(form: str, name: str) -> None:
    job = opened({"output_format": form})
    entry = {"uri": f"{job.staging}output/dt=1/part-x.zstd.parquet", "rows": 1, "partition": {}}
    assert curated(job, entry).uri == f"{job.curated}dt=1/{name}"
