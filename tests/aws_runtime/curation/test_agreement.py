"""What validation takes for a file's partition, the transform's engines take for the same."""

from __future__ import annotations

import datetime as dt
import io
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.curation.columns import check_columns
from aws_runtime.curation.footer import read_footer
from aws_runtime.engines import InputFile
from aws_runtime.engines.duckdb_parquet import open_files
from aws_runtime.errors import RejectedFile

CONTRACT = Contract("Any", (Column("part", DataType("string")),))
TYPES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.string(), ["eu", "5", "2024-07-02", "a b", "ü", "true", "\\x41"]),
    (pa.binary(), [b"eu", b"5", "ü".encode(), b"\\x41", b"A"]),
    (pa.int32(), [5, -5, 0, 2**31 - 1]),
    (pa.uint64(), [5, 2**64 - 1]),
    (pa.int64(), [5, -(2**63)]),
    (pa.float64(), [5.0, 0.1, 1e20, -2.5]),
    (pa.float32(), [5.0, 0.1, -2.5]),
    (pa.decimal128(9, 2), [Decimal("5.00"), Decimal("1.50"), Decimal("-0.25")]),
    (pa.bool_(), [True, False]),
    (pa.date32(), [dt.date(2024, 7, 2), dt.date(1, 1, 1)]),
    (pa.timestamp("us"), [dt.datetime(2024, 7, 2), dt.datetime(2024, 7, 2, 10, 0, 0, 500_000)]),  # noqa: DTZ001 - without a zone
    (pa.timestamp("ms", "UTC"), [dt.datetime(2024, 7, 2, tzinfo=dt.UTC), dt.datetime(2024, 7, 2, 10, tzinfo=dt.UTC)]),
]  # fmt: skip
TEXTS = [
    "eu", "5", "+5", "05", "-5", "5.0", "5.", "5e0", "1e20", "0.1", "0.10", "1.5", "1.50", "-2.5", "-0.25", "true",
    "false", "True", "t", "1", "0", "2024-07-02", "20240702", "2024-7-2", "2024-07-02 00:00:00", "2024-07-02T10:00:00Z",
    "2024-07-02 10:00:00.5", "2024-07-02 10:00:00.500000", "2024-07-02 12:00:00+02:00", "0001-01-01", " 5", "5 ",
    "ü", "\\x41", "A", "nan", "inf", "2147483647", "18446744073709551615", "-9223372036854775808", "a b", "NULL",
]  # fmt: skip


def written(kind: pa.DataType, values: list[Any], *, statistics: bool) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"part": pa.array(values, kind)}), buffer, write_statistics=statistics)
    return buffer.getvalue()


def validated(data: bytes, text: str) -> str | None:
    """Return the code of the reason that validation gives, if any."""

    def read(start: int, length: int) -> bytes:
        return data[start : start + length]

    try:
        check_columns(read_footer(read, len(data), "u"), {"part": text}, read, "u")
    except RejectedFile as error:
        return error.code
    return None


def read_by_duckdb(data: bytes, text: str) -> str | None:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        path = Path(folder) / "a.parquet"
        path.write_bytes(data)
        try:
            open_files(connection, [InputFile(str(path), "u", {"part": text})], CONTRACT)
        except RejectedFile as error:
            return error.code
    return None


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_validation_lets_pass_duckdb_reads(data: st.DataObject) -> None:
    kind, values = data.draw(st.sampled_from(TYPES))
    column = data.draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    text = data.draw(st.sampled_from([*TEXTS, *map(str, values)]))
    files = [written(kind, column, statistics=statistics) for statistics in (True, False)]
    codes = {validated(file, text) for file in files}
    assert len(codes) == 1  # the statistics say what the pages do
    if codes == {None}:
        assert read_by_duckdb(files[0], text) is None
    else:
        assert codes == {"ContradictingPartition"}


@pytest.mark.parametrize(("kind", "values"), TYPES, ids=str)
def test_each_type_has_texts_that_agree(kind: pa.DataType, values: list[Any]) -> None:
    for value in values:
        data = written(kind, [value], statistics=True)
        agreeing = [text for text in [*TEXTS, str(value)] if validated(data, text) is None]
        assert agreeing or value in (1e20, "ü".encode(), b"\\x41"), value
        assert all(read_by_duckdb(data, text) is None for text in agreeing), (value, agreeing)


@pytest.mark.spark
def test_what_validation_lets_pass_spark_reads(spark: Any) -> None:
    agreeing = [
        (kind, value, text)
        for kind, values in TYPES
        for value in values
        for text in [*TEXTS, str(value)]
        if validated(written(kind, [value], statistics=True), text) is None
    ]
    assert len(agreeing) > 40
    from aws_runtime.engines.spark_dialect import SPARK, type_name  # noqa: PLC0415 - only where there is Spark

    for kind, value, text in agreeing:
        data = written(kind, [value], statistics=True)
        ((_, found),) = read_footer(
            lambda start, length, d=data: d[start : start + length], len(data), "u"
        ).columns
        frame = spark.createDataFrame([], "x INT")
        sql = f"CAST({SPARK.text(text)} AS {type_name(found)})"
        assert frame.selectExpr(f"{sql} AS x").schema is not None
        (row,) = spark.sql(f"SELECT {sql} AS x").collect()
        shown = bytes(row[0]) if isinstance(row[0], bytearray) else row[0]
        expected = value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value
        assert shown == pytest.approx(expected) if isinstance(value, float) else shown == expected, (
            kind,
            text,
        )
