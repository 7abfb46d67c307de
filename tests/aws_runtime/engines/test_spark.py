"""The Spark engine's own parts; what it shares with DuckDB is held in tests/parity."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from aws_runtime import storage
from aws_runtime.contract import Column, Contract, DataType, Drift, Field
from aws_runtime.engines import InputFile, Limits, spark_files
from aws_runtime.engines.spark import open_engine
from aws_runtime.engines.spark_dialect import SPARK, data_type, type_name
from aws_runtime.engines.spark_json import Reader
from aws_runtime.engines.spark_session import SETTINGS
from aws_runtime.engines.spark_text import without_trailing_commas
from aws_runtime.errors import RejectedFile
from aws_runtime.formats.json import Options
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan
from aws_runtime.step import StepResult, run_step

CONTRACT = Contract(
    "Sample",
    (
        Column("n", DataType("int64")),
        Column("inner", DataType("struct", fields=(Field("a", DataType("float64")), Field("b", DataType("string"))))),
        Column("many", DataType("list", item=DataType("string"))),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("record", "columns"),
    [
        (b'{"n": 1, "inner": {"a": 1.50, "b": "x"}, "many": ["y"]}', ("1", ("1.5", "x"), ["y"])),
        (b'{"n": 12345678901234567890123}', ("12345678901234567890123", None, None)),
        (b'{"n": -0, "inner": {}, "many": []}', ("0", (None, None), [])),
        (
            b'{"n": true, "inner": {"a": 1e2, "b": {"c": [1, null]}}}',
            ("true", ("100.0", '{"c":[1,null]}'), None),
        ),
        (b'{"n": 1E400, "inner": {"a": NaN}}', ("1E400", ("NaN", None), None)),
        (b'{"n": "1", "many": [null, 2,],}', ("1", None, [None, "2"])),
    ],
)
def test_leaves_are_text(record: bytes, columns: tuple[Any, ...]) -> None:
    row = Reader(CONTRACT, Options()).row(record)
    assert row[: len(columns)] == columns
    assert row[3] is None


def test_columns_beyond_and_short_of_the_contract_are_named() -> None:
    *_, extra, absent = Reader(CONTRACT, Options()).row(b'{"n": 1, "x": 2, "many": null}')
    assert (extra, absent) == (["x"], ["inner"])


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (b'{"a": [1, 2 , ] , }', b'{"a": [1, 2  ] }'),
        (b'{"a": ",]", "b": "\\",}"}', b'{"a": ",]", "b": "\\",}"}'),
        (b"[1, 2]", b"[1, 2]"),
    ],
)
def test_trailing_commas_go_outside_of_strings_only(given: bytes, left: bytes) -> None:
    assert without_trailing_commas(given).replace(b" ", b"") == left.replace(b" ", b"")


@pytest.mark.parametrize(
    ("path", "read_as"),
    [
        ("/data/a b%2F.json", "file:///data/a b%2F.json"),
        ("/data/_a.json", None),
        ("/data/.a.json", None),
        ("s3://bucket/a/b.json", "s3://bucket/a/b.json"),
        ("s3://bucket/a//b.json", None),
        ("s3://bucket/a/", None),
    ],
)
def test_paths_that_spark_would_not_read_as_they_are(path: str, read_as: str | None) -> None:
    assert spark_files.spark_path(path) == read_as


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


def test_staged_files_in_s3_get_their_names(bucket: Any, tmp_path: Path) -> None:
    staging, key = "s3://bucket/lake/.staging-x/files", "dt=a%20b/part-0 é+.parquet"
    for name in (key, "_SUCCESS"):
        bucket.put_object(Bucket="bucket", Key=f"lake/.staging-x/files/{name}", Body=b"0123456789")
    assert spark_files.parquet_below(staging) == [key]
    assert spark_files.size(f"{staging}/{key}") == 10
    assert spark_files.head(f"{staging}/{key}", 4) == b"0123"
    spark_files.fetch(f"{staging}/{key}", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"0123456789"

    spark_files.move_all([(f"{staging}/{key}", "s3://bucket/lake/dt=a%20b/x.parquet")])
    spark_files.remove("s3://bucket/lake/.staging-x")

    left = [item["Key"] for item in bucket.list_objects_v2(Bucket="bucket")["Contents"]]
    assert left == ["lake/dt=a%20b/x.parquet"]


@pytest.mark.spark
def test_types_survive_the_way_through_spark(spark: Any) -> None:
    kinds = [
        *(DataType(name) for name in ("string", "boolean", "int8", "int16", "int32", "int64", "float32", "float64")),
        DataType("date"),
        DataType("binary"),
        DataType("decimal", precision=20, scale=3),
        DataType("timestamp"),
        DataType("timestamp", timezone="UTC"),
        DataType("list", item=DataType("struct", fields=(Field("odd `name`", DataType("int8")),))),
    ]  # fmt: skip
    schema = ", ".join(f"{SPARK.quote(f'c {i}')} {type_name(kind)}" for i, kind in enumerate(kinds))
    fields = spark.createDataFrame([], schema).schema.fields
    assert [data_type(field.dataType) for field in fields] == kinds


@pytest.mark.spark
@pytest.mark.parametrize(
    "value", ["O'Neil", "back\\slash", "${spark.master}", "$x", "\\u0041", "two\nlines", '"']
)
def test_text_literals_mean_what_they_say(value: str, spark: Any) -> None:
    assert spark.sql(f"SELECT {SPARK.text(value)} AS v").collect()[0]["v"] == value


@pytest.mark.spark
def test_the_session_is_left_as_it_was_found(spark: Any, tmp_path: Path) -> None:
    before = {name: spark.conf.get(name, None) for name in SETTINGS}
    with open_engine(Limits(2**29, 2, str(tmp_path))) as engine:
        assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
        path = tmp_path / "not.parquet"
        path.write_bytes(b"PAR1 this is no Parquet PAR1")
        with pytest.raises(RejectedFile, match="CorruptFile"):
            engine.read([InputFile(str(path), "s3://b/k")], FormatPlan("parquet"), CONTRACT)
    assert {name: spark.conf.get(name, None) for name in SETTINGS} == before
    assert not spark.sparkContext._jsc.getPersistentRDDs()


def renamed(frame: Any) -> Any:
    """A transform that needs its own columns, and a shuffle."""
    import narwhals as nw  # noqa: PLC0415 - the transform's only

    return frame.group_by("n").agg(nw.col("n").count().alias("times"))


@pytest.mark.spark
def test_steps_of_several_threads_share_a_session_and_leave_nothing_in_it(spark: Any, tmp_path: Path) -> None:
    source = Contract("Numbers", (Column("n", DataType("int64"), coerce=True),), drift=Drift.EVOLVE)
    counted = Contract("Counted", (Column("n", DataType("int64")), Column("times", DataType("int64"))))
    given = InputPlan("frame", FormatPlan("json"), source)
    plan = AssetPlan("p", "a", f"{__name__}:renamed", (given,), OutputPlan(counted), engine="spark")
    before = {name: spark.conf.get(name, None) for name in SETTINGS}

    def unit(number: int) -> StepResult:
        path = tmp_path / f"{number}.json"
        path.write_text("".join(f'{{"n": {n}}}\n' * (number + 1) for n in range(5)) + "oops\n" * number)
        return run_step(
            plan,
            {"frame": [InputFile(str(path), f"s3://landing/{number}")]},
            destination=str(tmp_path / "out"),
            quarantine=str(tmp_path / "quarantine"),
            stem=f"unit{number}",
            limits=Limits(2**29, 2, str(tmp_path / "spill")),
        )

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(unit, range(8)))

    for number, result in enumerate(results):
        (file,) = result.files
        assert file.path == str(tmp_path / "out" / f"part-unit{number}.zstd.parquet")
        rows = [(row["n"], row["times"]) for row in pq.read_table(file.path).to_pylist()]
        assert sorted(rows) == [(n, number + 1) for n in range(5)]
        bad = [row for kept in result.quarantine for row in pq.read_table(kept.path).to_pylist()]
        assert [row["source_uri"] for row in bad] == [f"s3://landing/{number}"] * number
    assert {name: spark.conf.get(name, None) for name in SETTINGS} == before
    assert not spark.sparkContext._jsc.getPersistentRDDs()
    assert not spark.catalog.listTables()
    assert not list(tmp_path.rglob("*staging*"))
    assert not list((tmp_path / "spill").iterdir())
