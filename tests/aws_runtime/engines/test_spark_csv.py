"""CSV on Spark: what tasks read of a file, cut anywhere, is what the reference reads of it in one piece."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from aws_runtime import storage
from aws_runtime.contract import Column, Contract, DataType, Drift
from aws_runtime.engines import InputFile, Limits, spark_csv, spark_csv_lines
from aws_runtime.engines.spark import open_engine
from aws_runtime.engines.spark_csv_lines import Lines, record_start, split
from aws_runtime.engines.spark_csv_rows import Reader
from aws_runtime.formats import csv as csv_format
from aws_runtime.formats.csv import Options
from aws_runtime.formats.csv_records import Shape, records
from aws_runtime.plan import FormatPlan

URI = "s3://landing/file.csv"
CONTRACT = Contract(
    "Sample",
    (Column("b", DataType("string"), nullable=True), Column("a", DataType("string"), nullable=True)),
    drift=Drift.EVOLVE,
)
#: What makes CSV hard, and little else.
BYTES = st.lists(
    st.sampled_from([b"a", b"b,", b'"', b'""', b",", b"\n", b"\r\n", b"\r", b'"x\ny"', b"\0", b"\xff", "é".encode()]),
    max_size=60,
).map(b"".join)  # fmt: skip
SHAPES = st.builds(
    Shape, st.just(","), st.sampled_from(['"', ""]), st.integers(1, 3), st.sampled_from([12, 1000])
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=BYTES, shape=SHAPES, block=st.integers(1, 30))
@example(data=b"b,b,b,b,b,b,b,", shape=Shape(",", '"', 1, 12), block=1)  # too long by two bytes
def test_records_are_those_of_the_reference(
    data: bytes, shape: Shape, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_csv_lines, "_BLOCK", block)
    found = list(split(Lines(io.BytesIO(data), bytes, shape.max_bytes, number=7), shape))
    expected = list(records(io.BytesIO(data), shape, line=7))
    assert [(f.line, f.lines, tuple(f.values)) for f in found] == [
        (r.line, r.lines, r.values) for r in expected
    ]
    broken = [(f"{f.reason} (line {f.line})", f.text) for f in found if f.reason]
    assert broken == [(r.reason, r.text) for r in expected if r.reason]


def read_parts(path: Path, reader: Reader) -> tuple[list[tuple[Any, ...]], bool, int]:
    """(rows as the reference has them, whether all guesses were right, parts) of a file read in parts."""
    plan = spark_csv._plan(InputFile(str(path), URI), reader)

    def run(file: Any) -> tuple[list[list[Any]], dict[Any, Any]]:
        rows = [list(reader.rows(part)) for part in file.parts]
        last = [part.pop() for part in rows]
        return rows, {(r[-2], r[-1]): spark_csv._Told(r[-3], **json.loads(r[-5])) for r in last}

    rows, told = run(plan)
    right = spark_csv._agree(plan, told)
    if not right:
        plan = spark_csv._in_one_piece(plan)
        rows, told = run(plan)
    surveys = list(spark_csv._surveys(plan, told))
    made, records_before, lines_before = [], 0, 0
    for part, survey in zip(rows, surveys, strict=True):
        for *values, reason, text, number, line, _, _ in part:
            at = lines_before + line
            made.append((records_before + number, at, values, reason and f"{reason} (line {at})", text))
        records_before, lines_before = records_before + survey.records, lines_before + survey.lines
    return made, right, len(plan.parts)


def reference(path: Path, reader: Reader, work: Path) -> list[tuple[Any, ...]]:
    source = csv_format.open_file(str(path), URI, reader.options, reader.contract, work)
    names = source.header.names
    return [
        (
            r.number,
            r.line,
            [None, None] if r.reason else [r.values[names.index("b")], r.values[names.index("a")]],
            r.reason,
            r.text if r.reason else None,
        )
        for r in csv_format.read_records(source, reader.options)
    ]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=BYTES, size=st.integers(3, 40), block=st.integers(1, 30), window=st.integers(8, 60))
@example(data=b'"",\r\r\n', size=3, block=1, window=8)  # one CR is the line's, the other a value
def test_a_file_cut_anywhere_is_the_file(
    data: bytes, size: int, block: int, window: int, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    (folder / "work").mkdir()
    path = folder / "file.csv"
    path.write_bytes(b"a,b\n1,2\n" + data)
    monkeypatch.setattr(spark_csv, "RANGE_BYTES", size)
    monkeypatch.setattr(spark_csv_lines, "_BLOCK", block)
    monkeypatch.setattr(spark_csv_lines, "_WINDOW", window)
    reader = Reader(CONTRACT, Options())
    assert read_parts(path, reader)[0] == reference(path, reader, folder / "work")


def comments(count: int, lines: int) -> bytes:
    """Records whose second field is a comment of several lines, some of which look like records."""
    body = "\n".join(["hello, world", "x,y", 'a "" quote', ""] * lines)
    return b"a,b\n" + b"".join(f'{n},"{body}"\n'.encode() for n in range(count))


def test_line_breaks_in_quotes_do_not_keep_a_file_from_being_cut(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spark_csv, "RANGE_BYTES", 5_000)
    (tmp_path / "work").mkdir()
    path = tmp_path / "file.csv"
    # Three fields, so that a line within a comment is no record.
    path.write_bytes(comments(300, 2).replace(b"a,b\n", b"a,b,c\n", 1).replace(b'"\n', b'",z\n'))
    reader = Reader(CONTRACT, Options())
    rows, right, parts = read_parts(path, reader)
    assert (right, parts > 3) == (True, True)
    assert rows == reference(path, reader, tmp_path / "work")


def test_a_wrong_guess_is_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spark_csv, "RANGE_BYTES", 5_000)
    (tmp_path / "work").mkdir()
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n" + b'1,"' + b"x,y\n" * 5_000 + b'"\n2,z\n')
    reader = Reader(CONTRACT, Options())
    rows, right, parts = read_parts(path, reader)
    assert (right, parts) == (False, 1)
    assert rows == reference(path, reader, tmp_path / "work")
    assert [row[0] for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"rest of it\n", b"1,2\n3,4\n"), (b'text, 5" long",x\n', b"1,2\n3,4\n"), (b"\n", b"1,2\n"), (b"no end", b"")],
)  # fmt: skip
def test_where_a_record_begins(before: bytes, after: bytes) -> None:
    assert record_start(io.BytesIO(before + after), Shape(",", '"', 2), bytes) == len(before)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    storage.s3.cache_clear()
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="bucket")
        yield client
    storage.s3.cache_clear()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_parts_are_read_from_s3(
    encoding: str, bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spark_csv, "RANGE_BYTES", 1_000)
    body = "a,b\n" + "".join(f"{n},é{n}\n" for n in range(1_000))
    bucket.put_object(Bucket="bucket", Key="in/file.csv", Body=body.encode(encoding))
    reader = Reader(CONTRACT, Options())
    plan = spark_csv._plan(InputFile("s3://bucket/in/file.csv", URI), reader)
    assert len(plan.parts) == (10 if encoding == "utf-8" else 1)
    rows = [row for part in plan.parts for row in reader.rows(part) if row[4] is not None]
    assert [row[:2] for row in rows] == [(f"é{n}", str(n)) for n in range(1_000)]
    assert not list(tmp_path.iterdir())


def test_a_line_that_ends_late_is_not_held(tmp_path: Path) -> None:
    class Endless(io.BytesIO):
        """A line of a gigabyte."""

        left = 1024

        def read(self, size: int | None = -1, /) -> bytes:
            self.left -= 1
            return b"x" * 2**20 if self.left >= 0 else b""

    lines = Lines(Endless(), bytes, 1_000)
    (found,) = split(lines, Shape(",", '"', 2, 1_000))
    assert found.reason == "record: longer than 1000 bytes"
    assert len(found.text) <= 2**20
    assert sum(map(len, lines.texts)) <= 2**21


@pytest.mark.spark
def test_a_big_file_is_read_by_several_tasks(
    spark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spark_csv, "RANGE_BYTES", 4_000)
    path = tmp_path / "file.csv"
    body = [f'{n},"two\nlines"\n' if n % 3 else f"{n},\n" for n in range(1, 2_001)]
    body[1_500] = "only one\n"
    path.write_text("a,b\n" + "".join(body))
    with open_engine(Limits(2**29, 2, str(tmp_path))) as engine:
        frame = engine.read([InputFile(str(path), URI)], FormatPlan("csv"), CONTRACT)
        assert frame.rdd.getNumPartitions() > 4
        rows: Sequence[Any] = frame.orderBy("source_row").collect()
    assert [row.source_row for row in rows] == list(range(1, 2_001))
    assert [row.a for row in rows[:3]] == ["1", "2", "3"]
    assert {row.b for row in rows if row.source_row != 1_501} == {"two\nlines", None}
    line = 2 + "".join(body[:1_500]).count("\n")
    assert rows[1_500].source_error == f"record: 1 field, the header has 2 (line {line})"
    assert not spark.sparkContext._jsc.getPersistentRDDs()
