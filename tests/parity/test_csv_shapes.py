"""CSV as people send it, and broken in every way: every engine that reads CSV gives the same answer."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import narwhals as nw
import pytest
import zstandard
from step_outcome import Outcome, assert_equal, engines

from aws_runtime.contract import Column, Contract, DataType, Drift
from aws_runtime.engines import SOURCE_URI, InputFile
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan, PartitionPlan

pytestmark = pytest.mark.spark

CONTRACT = Contract(
    "Sale",
    (
        Column("id", DataType("int64")),
        Column("name", DataType("string"), nullable=True),
        Column("price", DataType("float64"), nullable=True),
        Column("day", DataType("date"), nullable=True),
    ),
    drift=Drift.EVOLVE,
)
HEAD = "id,name,price,day\n"
ROWS = "1,Cup,2.5,2025-01-17\n2,Zoë's bowl,10,2025-01-18\n3,Plate,7.25,2024-02-29\n"
GOOD = HEAD + ROWS
MANY = HEAD + "".join(f"{n},Cup {n},{n}.5,2025-01-17\n" for n in range(1, 200))
WIDE = ",".join(["id", "name", "price", "day", *(f"x{n}" for n in range(10_000))])


def told(frame: Any) -> Any:
    """Rows that say which file they are of."""
    return frame.with_columns(nw.col(SOURCE_URI).alias("file"))


def plan(drift: Drift = Drift.EVOLVE, **options: Any) -> AssetPlan:
    given = InputPlan("frame", FormatPlan("csv", options), replace(CONTRACT, drift=drift))
    output = replace(CONTRACT, columns=(*CONTRACT.columns, Column("file", DataType("string"))))
    by = (PartitionPlan("month", "day", "month_of_year"),)
    return AssetPlan("sales", "sold", f"{__name__}:told", (given,), OutputPlan(output, by, "snappy"))


def uri(shape: str) -> str:
    return f"s3://landing/sales/{shape}.csv"


def answer(contents: Mapping[str, str | bytes], folder: Path, made: AssetPlan) -> Outcome:
    files = []
    for number, (shape, content) in enumerate(contents.items()):
        path = folder / f"{number}.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        files.append(InputFile(str(path), uri(shape)))
    assert len(engines(made)) > 1
    return assert_equal(made, {"frame": files}, folder)


#: (content, options, the code that rejects the file, rows written, rows quarantined)
SHAPES: dict[str, tuple[str | bytes, dict[str, Any], str | None, int, int]] = {
    "plain": (GOOD, {}, None, 3, 0),
    "CRLF": (GOOD.replace("\n", "\r\n"), {}, None, 3, 0),
    "no line end at the end": (GOOD[:-1], {}, None, 3, 0),
    "CR": (GOOD.replace("\n", "\r"), {}, None, 3, 0),
    "CRLF and LF mixed": (GOOD.replace("\n", "\r\n", 2), {}, None, 3, 0),
    "semicolons": (GOOD.replace(",", ";"), {}, None, 3, 0),
    "tabs": (GOOD.replace(",", "\t"), {}, None, 3, 0),
    "pipes": (GOOD.replace(",", "|"), {}, None, 3, 0),
    "a declared delimiter": (GOOD.replace(",", "^"), {"delimiter": "^"}, None, 3, 0),
    "another delimiter than declared": (GOOD, {"delimiter": ";"}, "MissingColumns", 0, 0),
    "all quoted": ('"id","name","price","day"\n"1","Cup","2.5","2025-01-17"\n', {}, None, 1, 0),
    "delimiters in quotes": (HEAD + '1,"Cup, blue",2.5,2025-01-17\n', {}, None, 1, 0),
    "doubled quotes": (HEAD + '1,"5"" plate",2.5,2025-01-17\n', {}, None, 1, 0),
    "other quotes": (HEAD + "1,'Cup, blue',2.5,2025-01-17\n", {"quote": "'"}, None, 1, 0),
    "no quotes": (HEAD + '1,5" plate,2.5,2025-01-17\n', {"quote": ""}, None, 1, 0),
    "a quote within a field": (HEAD + '1,5" plate,2.5,2025-01-17\n2,Cup,1,2025-01-17\n', {}, None, 2, 0),
    "text after a quoted field": (HEAD + '1,"Cup" x,2.5,2025-01-17\n2,Cup,1,2025-01-17\n', {}, None, 1, 1),
    "line breaks in quotes": (HEAD + '1,"Cup\nblue\n\nbig",2.5,2025-01-17\n2,Cup,1,2025-01-17\n', {}, None, 2, 0),
    "CRLF in quotes": (HEAD + '1,"Cup\r\nblue",2.5,2025-01-17\r\n2,Cup,1,2025-01-17\r\n', {}, None, 2, 0),
    "an unclosed quote": (HEAD + '1,Cup,1,2025-01-17\n2,"Cup,1,2025-01-17\n' + ROWS, {}, None, 4, 1),
    "an unclosed quote at the end": (GOOD + '4,"Cup', {}, None, 3, 1),
    "an unclosed quote in the header": ('id,"name,price,day\n' + ROWS, {}, "MalformedHeader", 0, 0),
    "too few fields": (HEAD + "1,Cup\n" + ROWS, {}, None, 3, 1),
    "too many fields": (HEAD + "1,Cup,2.5,2025-01-17,x,y\n" + ROWS, {}, None, 3, 1),
    "only ragged rows": (HEAD + "1,Cup\n2\n3,a,b,c,d\n", {}, "MalformedCsv", 0, 0),
    "blank lines": ("\n\n" + GOOD.replace("\n", "\n\n") + "\n\n", {}, None, 3, 0),
    "lines of spaces": (GOOD + "   \n" + "4,Cup,1,2025-01-17\n", {}, None, 4, 1),
    "empty fields": (HEAD + '1,,,\n2,"",,\n', {}, None, 2, 0),
    "empty id": (HEAD + ",Cup,1,2025-01-17\n" + ROWS, {}, None, 3, 1),
    "bad values": (HEAD + "x,Cup,1,2025-01-17\n1,Cup,dear,2025-01-17\n1,Cup,1,17.01.2025\n" + ROWS, {}, None, 3, 3),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), {}, None, 3, 0),
    "UTF-16": (GOOD.encode("utf-16"), {}, None, 3, 0),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), {}, None, 3, 0),
    "UTF-16 declared": (GOOD.encode("utf-16-be"), {"encoding": "utf-16-be"}, None, 3, 0),
    "UTF-32": (GOOD.encode("utf-32"), {}, None, 3, 0),
    "Latin-1": (GOOD.encode("latin-1"), {}, None, 3, 0),
    "Latin-1 declared": (GOOD.encode("latin-1"), {"encoding": "latin-1"}, None, 3, 0),
    "Latin-1 late in the file": ((MANY + "200,Zoë,1,2025-01-17\n").encode("latin-1"), {}, None, 200, 0),
    "letters of another code page": ((GOOD + "4,Łódź €,1,2025-01-17\n").encode("cp1250", "replace"), {"fallback_encoding": "windows-1250"}, None, 4, 0),
    "UTF-8 declared, and not": (GOOD.encode("latin-1"), {"encoding": "utf-8"}, None, 2, 1),
    "gzip": (gzip.compress(GOOD.encode(), mtime=0), {}, None, 3, 0),
    "gzip of UTF-16": (gzip.compress(GOOD.encode("utf-16"), mtime=0), {}, None, 3, 0),
    "gzip cut": (gzip.compress(MANY.encode(), mtime=0)[:-20], {}, "CorruptFile", 0, 0),
    "gzip of nothing": (gzip.compress(b"", mtime=0), {}, "EmptyFile", 0, 0),
    "zstd": (zstandard.compress(GOOD.encode()), {}, None, 3, 0),
    "zstd cut": (zstandard.compress(MANY.encode())[:-20], {}, "CorruptFile", 0, 0),
    "compressed against the declaration": (gzip.compress(GOOD.encode(), mtime=0), {"compression": "none"}, "CompressedFile", 0, 0),
    "no header": (ROWS, {"header": False}, None, 3, 0),
    "no header, more fields than columns": (ROWS.replace("\n", ",x\n"), {"header": False}, None, 3, 0),
    "no header, its first line ragged": ("1,Cup\n" + ROWS, {"header": False}, "MissingColumns", 0, 0),
    "a hint of the delimiter": ("sep=;\n" + GOOD.replace(",", ";"), {}, None, 3, 0),
    "a zip archive": (b"PK\x03\x04" + bytes(100), {}, "NotCsv", 0, 0),
    "no header, ragged": (ROWS + "4,Cup\n5,Cup,1,2025-01-17,x\n", {"header": False}, None, 3, 2),
    "lines before the header": ("Report of May\n\n" + GOOD, {"skip_lines": 2}, None, 3, 0),
    "header only": (HEAD, {}, None, 0, 0),
    "header only, without a line end": (HEAD[:-1], {}, None, 0, 0),
    "0 bytes": (b"", {}, "EmptyFile", 0, 0),
    "white space": (b" \n\n \n", {}, "MissingColumns", 0, 0),
    "line ends only": (b"\n\r\n\n", {}, "EmptyFile", 0, 0),
    "header in other order": ("day,price,name,id\n2025-01-17,2.5,Cup,1\n", {}, None, 1, 0),
    "header with spaces": (" id , name,price ,day\n" + ROWS, {}, None, 3, 0),
    "header in other case": (HEAD.upper() + ROWS, {}, "MissingColumns", 0, 0),
    "header names a column twice": ("id,name,name,price,day\n1,Cup,Bowl,1,2025-01-17\n", {}, "DuplicateColumns", 0, 0),
    "header names another twice": ("id,name,price,day,x,x\n1,Cup,1,2025-01-17,2,3\n", {}, None, 1, 0),
    "extra columns": ("id,note,name,price,day\n1,hello,Cup,1,2025-01-17\n", {}, None, 1, 0),
    "missing column": ("id,name,price\n1,Cup,1\n", {}, "MissingColumns", 0, 0),
    "10,000 columns": (f"{WIDE}\n1,Cup,1,2025-01-17{',1' * 10_000}\n", {}, None, 1, 0),
    "NUL in a field": (HEAD + "1,C\0p,1,2025-01-17\n" + ROWS, {}, None, 3, 1),
    "decimal comma": (HEAD.replace(",", ";") + "1;Cup;1,5;2025-01-17\n2;Cup;1.5;2025-01-17\n", {"decimal": ","}, None, 1, 1),
    "thousands": (HEAD + '1,Cup,"1,234,567.5",2025-01-17\n"1,002",Cup,1,2025-01-17\n3,Cup,"1,23.5",2025-01-17\n', {"thousands": ","}, None, 2, 1),
    "German numbers": ("id;name;price;day\n1.000;Cup;1.234,5;2025-01-17\n", {"decimal": ",", "thousands": "."}, None, 1, 0),
    "Swiss numbers": (HEAD + "1'000,Cup,1'234.5,2025-01-17\n", {"thousands": "'"}, None, 1, 0),
    "dates of a locale": (HEAD + "1,Cup,1,17.01.2025\n2,Cup,1,2025-01-17\n3,Cup,1,30.02.2025\n", {"date_format": "%d.%m.%Y"}, None, 1, 2),
    "American dates": (HEAD + "1,Cup,1,01/17/2025\n", {"date_format": "%m/%d/%Y"}, None, 1, 0),
    "null values": (HEAD + "1,NULL,n/a,-\n2,null,1,2025-01-17\n", {"null_values": ["NULL", "n/a", "-"]}, None, 2, 0),
    "a record too long": (HEAD + f"1,{'x' * 2000},1,2025-01-17\n" + ROWS, {"max_record_bytes": 1000}, None, 3, 1),
    "bytes that are no text": (bytes(range(128, 256)) * 8, {}, "MissingColumns", 0, 0),
    "JSON": (b'{"id": 1, "name": "Cup"}\n', {}, "MissingColumns", 0, 0),
}  # fmt: skip


#: Shapes that are read with the same options; they are one step's files, because a step costs a second.
GROUPS: dict[str, list[str]] = {}
for _shape, (_, _options, _rejected, *_) in SHAPES.items():
    if _rejected is None:
        GROUPS.setdefault(json.dumps(_options), []).append(_shape)


@pytest.mark.parametrize("options", GROUPS)
def test_same_answer(options: str, spark: Any, tmp_path: Path) -> None:
    files = {shape: SHAPES[shape] for shape in GROUPS[options]}
    both = answer(
        {shape: content for shape, (content, *_) in files.items()}, tmp_path, plan(**json.loads(options))
    )
    assert both.rejected is None
    found = {
        shape: tuple(sum(f"'{uri(shape)}'" in one for one in kind) for kind in (both.rows, both.quarantine))
        for shape in files
    }
    assert found == {shape: (rows, bad) for shape, (_, _, _, rows, bad) in files.items()}


@pytest.mark.parametrize("shape", [shape for shape, (_, _, rejected, *_) in SHAPES.items() if rejected])
def test_same_rejection(shape: str, spark: Any, tmp_path: Path) -> None:
    content, options, rejected, *_ = SHAPES[shape]
    assert answer({shape: content}, tmp_path, plan(**options)).rejected == f"{rejected}: {uri(shape)}"


HEADERS = {
    "as declared": "id,name,price,day",
    "reordered": "name,id,price,day",
    "extra": "id,name,price,day,x",
    "missing": "id,name,day",
}
#: What each policy takes.
TAKEN = {
    Drift.STRICT: {"as declared"},
    Drift.REORDER: {"as declared", "reordered"},
    Drift.EVOLVE: {"as declared", "reordered", "extra"},
    Drift.PERMISSIVE: set(HEADERS),
}


@pytest.mark.parametrize("drift", list(Drift))
def test_same_answer_to_other_headers(drift: Drift, spark: Any, tmp_path: Path) -> None:
    values = {"id": "1", "name": "Cup", "price": "1.5", "day": "2025-01-17", "x": "y"}
    contents = {
        name: f"{header}\n{','.join(values[column] for column in header.split(','))}\n"
        for name, header in HEADERS.items()
    }
    both = answer({name: contents[name] for name in sorted(TAKEN[drift])}, tmp_path, plan(drift))
    assert (both.rejected, len(both.rows)) == (None, len(TAKEN[drift]))
    for name in sorted(set(HEADERS) - TAKEN[drift]):
        assert answer({name: contents[name]}, tmp_path, plan(drift)).rejected is not None


def test_random_bytes_are_judged_alike(spark: Any, tmp_path: Path) -> None:
    rng = random.Random(7)
    hard = [
        "1",
        "Cup",
        ",",
        ",",
        ",",
        '"',
        '""',
        "\n",
        "\r\n",
        "\r",
        '"a\nb"',
        ",1,2025-01-17\n",
        "2,é",
        "\0",
        " ",
    ]
    garbage = {
        str(number): GOOD.encode()
        + "".join(rng.choices(hard, k=rng.randrange(60))).encode(rng.choice(("utf-8", "latin-1")))
        for number in range(60)
    }
    both = answer(garbage, tmp_path, plan())
    assert both.rejected is None
    assert len(both.rows) > 180
    assert len(both.quarantine) > 120
