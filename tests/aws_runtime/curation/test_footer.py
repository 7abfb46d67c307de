"""Footers that lie, that are encrypted, too wide, or of types that engines read differently: each is refused."""

from __future__ import annotations

import base64
import datetime as dt
import io
import random
import resource
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import footer_surgery as surgery
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.contract import DataType, Field
from aws_runtime.curation.footer import Footer, read_footer
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import parquet_footer

URI = "s3://landing/orders/file"
TABLE = pa.table({"id": ["a", "b", "c"], "n": [1, 2, None]})


def written(table: pa.Table = TABLE, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def footer(data: bytes) -> Footer:
    return read_footer(lambda start, length: data[start : start + length], len(data), URI)


def refused(data: bytes) -> tuple[str, str]:
    with pytest.raises(RejectedFile) as found:
        footer(data)
    assert found.value.uri == URI
    assert "\n" not in found.value.reason
    return found.value.code, found.value.reason


def test_what_is_taken_apart_is_put_together() -> None:
    data = written(row_group_size=1)
    assert surgery.with_footer(data, surgery.footer_of(data)) == data


class _Keys(pe.KmsClient):
    """Keys that are no secret."""

    def __init__(self, _config: Any) -> None:
        pe.KmsClient.__init__(self)

    def wrap_key(self, key: bytes, _name: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, key: bytes, _name: str) -> bytes:
        return base64.b64decode(key)


def encrypted(*, plaintext_footer: bool) -> bytes:
    configuration = pe.EncryptionConfiguration(
        footer_key="f",
        column_keys={"c": ["id"]},
        plaintext_footer=plaintext_footer,
        data_key_length_bits=128,
        cache_lifetime=dt.timedelta(minutes=5),
    )
    properties = pe.CryptoFactory(_Keys).file_encryption_properties(pe.KmsConnectionConfig(), configuration)
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, TABLE.schema, encryption_properties=properties) as writer:
        writer.write_table(TABLE)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("plaintext_footer", "said"), [(False, "the Parquet footer is encrypted"), (True, "its footer alone is")]
)
def test_encrypted_files(plaintext_footer: bool, said: str) -> None:
    code, reason = refused(encrypted(plaintext_footer=plaintext_footer))
    assert code == "EncryptedFile"
    assert said in reason


def with_logical(number: int, physical: pa.DataType | None = None) -> bytes:
    """Return a file whose first column has the logical type of that number, as newer writers have."""
    data = written(pa.table({"id": pa.array([b"ab", b"cd"], physical or pa.binary())}))
    parts = surgery.footer_of(data)
    surgery.element(parts).append([10, 12, [[number, 12, []]]])
    return surgery.with_footer(data, parts)


TYPES: dict[str, tuple[bytes, str]] = {
    "unknown to all": (with_logical(30), "id has the logical type number 30"),
    "variant": (with_logical(16), "id has the logical type VARIANT"),
    "geometry": (with_logical(17), "GEOMETRY"),
    "time": (written(pa.table({"id": pa.array([1], pa.time64("us"))})), "id has the logical type TIME"),
    "float16": (written(pa.table({"id": pa.array([1], pa.float16())})), "FLOAT16"),
    "uuid": (written(pa.table({"id": pa.array([b"0" * 16], pa.uuid())})), "UUID"),
    "nanoseconds": (
        written(pa.table({"id": pa.array([1], pa.timestamp("ns"))})),
        "id holds timestamps in nanoseconds; Spark does not read them: write microseconds",
    ),
    "wide decimal": (
        written(pa.table({"id": pa.array([Decimal(1)], pa.decimal256(50, 2))})),
        "id is a decimal of 50 digits; at most 38",
    ),
    "in a struct": (written(pa.table({"s": pa.array([{"t": dt.time(1)}])})), "s.t has the logical type TIME"),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_that_engines_do_not_read_alike(name: str) -> None:
    data, said = TYPES[name]
    code, reason = refused(data)
    assert code == "UnknownLogicalType"
    assert said in reason


def damaged(damage: Callable[[surgery.Struct], None], table: pa.Table = TABLE) -> bytes:
    data = written(table, compression="none")
    parts = surgery.footer_of(data)
    damage(parts)
    return surgery.with_footer(data, parts)


def _chunk(field: int, value: int) -> Callable[[surgery.Struct], None]:
    return lambda parts: surgery.change(surgery.column_metadata(parts), field, value)


def _drop_a_chunk(parts: surgery.Struct) -> None:
    columns = surgery.at(surgery.at(parts, 4)[1][0], 1)[1]
    del columns[0]


DAMAGES: dict[str, tuple[Callable[[surgery.Struct], None], str, str]] = {
    "rows": (lambda p: surgery.change(p, 3, 7), "InconsistentRowGroups", "counts 7 rows, its row groups 3"),
    "fewer than none": (lambda p: surgery.change(p, 3, -1), "InconsistentRowGroups", "counts -1 rows"),
    "no row groups": (lambda p: surgery.change(p, 4, (12, [])), "InconsistentRowGroups", "its row groups 0"),
    "values": (_chunk(5, 2), "InconsistentRowGroups", "row group 1, column id: 2 values for 3 rows"),
    "before the file": (_chunk(9, 0), "InconsistentRowGroups", "bytes 0 to"),
    "behind the file": (_chunk(7, 10**9), "InconsistentRowGroups", "lie outside of the file's"),
    "negative length": (_chunk(7, -1), "InconsistentRowGroups", "lie outside"),
    "a chunk too few": (_drop_a_chunk, "InconsistentRowGroups", "has 1 columns, the schema 2"),
    "codec": (_chunk(4, 3), "UnknownCompression", "column id is compressed by LZO; use zstd or snappy"),
    "unknown codec": (_chunk(4, 99), "UnknownCompression", "compressed by number 99"),
    "no tree": (lambda p: surgery.at(p, 2)[1].pop(), "CorruptFile", "an element lacks what it needs"),
    "two trees": (
        lambda p: surgery.at(p, 2)[1].append(surgery.at(p, 2)[1][1]),
        "CorruptFile",
        "4 elements, of which 3 make a tree",
    ),
    "nameless": (
        lambda p: surgery.element(p).remove(next(f for f in surgery.element(p) if f[0] == 4)),
        "CorruptFile",
        "an element lacks what it needs",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_footers_that_contradict_themselves(name: str) -> None:
    damage, code, said = DAMAGES[name]
    found, reason = refused(damaged(damage))
    assert found == code
    assert said in reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compression": "brotli"}, "column x is compressed by BROTLI; use zstd or snappy"),
        (
            {"use_dictionary": False, "column_encoding": {"x": "BYTE_STREAM_SPLIT"}},
            "column x is encoded as BYTE_STREAM_SPLIT; use PLAIN",
        ),
    ],
    ids=["brotli", "byte stream split"],
)
def test_compression_that_spark_on_glue_does_not_read(options: dict[str, Any], said: str) -> None:
    code, reason = refused(written(pa.table({"x": [0.5, 1.5]}), **options))
    assert code == "UnknownCompression"
    assert said in reason


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4"])
def test_compression_that_both_read(compression: str) -> None:
    assert footer(written(pa.table({"x": [0.5, 1.5]}), compression=compression)).rows == 2


def test_a_hundred_thousand_columns_are_refused_by_the_first_bytes_of_the_footer() -> None:
    data = written(pa.table({f"c{n}": [n] for n in range(100_000)}), compression="none")
    asked: list[int] = []

    def read(start: int, length: int) -> bytes:
        asked.append(length)
        return data[start : start + length]

    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(RejectedFile, match="TooManyColumns: the schema has 100,001 elements; at most 20,000"):
        read_footer(read, len(data), URI)
    assert sum(asked) < 70_000
    assert len(data) > 20_000_000
    assert time.process_time() - began < 1  # of this process alone; the whole footer takes several
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array(["a"]), "string"),
        (pa.array(["a"]).dictionary_encode(), "string"),
        (pa.array(["{}"], pa.json_()), "string"),
        (pa.array([b"a"]), "binary"),
        (pa.array([b"a"], pa.binary(1)), "binary"),
        (pa.array([1], pa.int8()), "int8"),
        (pa.array([1], pa.uint32()), "uint32"),
        (pa.array([1], pa.int64()), "int64"),
        (pa.array([1.0], pa.float32()), "float32"),
        (pa.array([True]), "boolean"),
        (pa.array([dt.date(2024, 7, 2)]), "date"),
        (pa.array([1], pa.timestamp("ms")), "timestamp[us]"),
        (pa.array([1], pa.timestamp("us", "Europe/Berlin")), "timestamp[us, UTC]"),
        (pa.array([Decimal("1.25")], pa.decimal128(7, 2)), "decimal(7,2)"),
        (pa.nulls(1), "null"),
        (pa.array([[1]]), "list<int64>"),
        (pa.array([[{"a": [dt.date(2024, 7, 2)]}]]), "list<struct<a: list<date>>>"),
        (pa.array([{"a": 1, "b": {"c": "x"}}]), "struct<a: int64, b: struct<c: string>>"),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), "map<string, int64>"),
    ],
)
def test_types_are_spelled_as_contracts_spell_them(array: pa.Array, kind: str) -> None:
    for options in ({}, {"version": "1.0"}, {"store_schema": False}):
        ((name, found),) = footer(written(pa.table({"x": array}), **options)).columns
        assert (name, str(found)) in {("x", kind), ("x", kind.replace("uint32", "int64"))}


def test_lists_as_older_writers_have_them() -> None:
    data = written(pa.table({"x": pa.array([[1, 2]])}), use_compliant_nested_type=False)
    assert footer(data).columns == (("x", DataType("list", item=DataType("int64"))),)
    struct = written(pa.table({"x": pa.array([{"a": 1}])}))
    assert footer(struct).columns == (("x", DataType("struct", fields=(Field("a", DataType("int64")),))),)


VALUES = st.sampled_from(
    [
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.uint64(), st.integers(0, 2**64 - 1)),
        (pa.int8(), st.integers(-128, 127)),
        (pa.string(), st.text(st.characters(codec="utf-8"), max_size=15)),
        (pa.binary(), st.binary(max_size=63)),
        (pa.date32(), st.dates()),
        (pa.timestamp("us"), st.datetimes()),
        (pa.timestamp("ms", "UTC"), st.datetimes(timezones=st.just(dt.UTC)).map(lambda m: m.replace(microsecond=0))),
        (pa.decimal128(38, 4), st.decimals(-(10**33), 10**33, places=4)),
        (pa.decimal128(9, 2), st.decimals(-(10**6), 10**6, places=2)),
        (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
        (pa.bool_(), st.booleans()),
    ]
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_statistics_say_what_the_column_holds(data: st.DataObject) -> None:
    kind, values = data.draw(VALUES)
    column = data.draw(st.lists(st.one_of(values, st.none()), min_size=1, max_size=6))
    size = data.draw(st.integers(1, 6))
    found = footer(written(pa.table({"x": pa.array(column, kind)}), row_group_size=size)).ranges["x"]
    there = [value for value in column if value is not None]
    assert found.nulls == len(column) - len(there)
    if found.least is not None:
        assert (found.least, found.greatest) == (min(there), max(there))
    elif there:  # longer than what writers keep whole
        assert all(isinstance(value, (str, bytes)) for value in there)
        assert max(len(value.encode() if isinstance(value, str) else value) for value in there) > 40


def test_statistics_that_cannot_be_are_none() -> None:
    days = pa.table({"id": pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32())})
    assert footer(written(days)).ranges["id"].least is None
    long = footer(written(pa.table({"id": ["x" * 70]}))).ranges["id"]
    assert (long.nulls, long.least) == (0, None)


def with_property(table: pa.Table, **said: str) -> bytes:
    return written(
        table.replace_schema_metadata({name.replace("_", "."): text for name, text in said.items()})
    )


@pytest.mark.parametrize(
    ("day", "said", "legacy"),
    [
        (dt.date(1500, 1, 1), {"org_apache_spark_version": "2.4.8"}, True),
        (dt.date(1500, 1, 1), {"org_apache_spark_version": "3.5.6", "org_apache_spark_legacyDateTime": ""}, True),
        (dt.date(1500, 1, 1), {"org_apache_spark_version": "3.5.6"}, False),
        (dt.date(1500, 1, 1), {}, False),
        (dt.date(2024, 7, 2), {"org_apache_spark_version": "2.4.8"}, False),
        (dt.datetime(1899, 1, 1), {"org_apache_spark_version": "2.4.8"}, True),  # noqa: DTZ001 - without a zone
        (dt.datetime(1901, 1, 1), {"org_apache_spark_version": "2.4.8"}, False),  # noqa: DTZ001 - without a zone
    ],
)  # fmt: skip
def test_days_of_the_julian_calendar_are_refused(day: Any, said: dict[str, str], legacy: bool) -> None:
    data = with_property(pa.table({"id": [day]}), **said)
    if legacy:
        assert refused(data)[0] == "LegacyCalendar"
    else:
        assert footer(data).rows == 1


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_any_damage_to_a_footer_is_a_reason_and_no_crash(seed: int, count: int) -> None:
    chance = random.Random(seed)
    data = bytearray(written(TABLE.append_column("s", pa.array([{"a": [1]}] * 3)), row_group_size=2))
    length = int.from_bytes(data[-8:-4], "little")
    for _ in range(count):
        data[-8 - chance.randrange(1, length + 1)] = chance.randrange(256)
    codes = {
        "CorruptFile", "InconsistentRowGroups", "UnknownLogicalType", "UnknownCompression", "EncryptedFile",
        "TooManyColumns",
    }  # fmt: skip
    code = None
    try:
        found = footer(bytes(data))
    except RejectedFile as error:
        code = error.code
    assert code in codes or found.rows == sum(found.row_groups)


def test_limits_are_those_that_messages_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_footer, "MOST_ELEMENTS", 2)
    assert refused(written()) == ("TooManyColumns", "the schema has 3 elements; at most 2 are read")
