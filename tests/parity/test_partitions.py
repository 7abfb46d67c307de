"""Any text names a partition: one folder, value and row on DuckDB and on Spark, for every Hive reader."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from contract_data import same
from step_outcome import assert_equal

from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.engines import InputFile
from aws_runtime.partitions import HIVE_NULL, partition_folder
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan, PartitionPlan

pytestmark = pytest.mark.spark

CONTRACT = Contract(
    "Placed",
    (
        Column("id", DataType("int64"), coerce=True),
        Column("country", DataType("string"), nullable=True, coerce=True),
        Column("city", DataType("string"), nullable=True, coerce=True),
    ),
)
PLAN = AssetPlan(
    "places",
    "placed",
    f"{same.__module__}:{same.__name__}",
    (InputPlan("frame", FormatPlan("json"), CONTRACT),),
    OutputPlan(CONTRACT, (PartitionPlan("p", "country"), PartitionPlan("q", "city"))),
)
TEXTS = [
    *map(chr, range(1, 128)), "a b", " a", "a ", "ü", "u\u0308", "订单", "🚚", "50%", "%2F", "%252f", "%zz", "a/b", "../..",
    "..", "a=b", "p=1", "a+b", "O'Neil", 'say "hi"', "C:\\x", "{}[]^*?", "#1", "null", "\u00a0", "\ufeff", "\u2028", "007",
    "1.50", "2025-01-17", "true",
]  # fmt: skip


def test_any_text_names_the_same_folder_for_every_reader(spark: Any, tmp_path: Path) -> None:
    values = [*TEXTS, "", None]
    pairs = [(text, "x") for text in values] + [("y", text) for text in values] + [(None, None), ("", "")]
    rows = [{"id": i, "country": p, "city": q} for i, (p, q) in enumerate(pairs)]
    path = tmp_path / "rows.json"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    both = assert_equal(PLAN, {"frame": [InputFile(str(path), "s3://landing/rows.json")]}, tmp_path)
    assert (both.rejected, len(both.quarantine)) == (None, 0)

    written = {tuple(text or HIVE_NULL for text in pair) for pair in pairs}
    escape = spark._jvm.org.apache.spark.sql.catalyst.catalog.ExternalCatalogUtils.getPartitionPathString
    folders = {f"{escape('p', p)}/{escape('q', q)}" for p, q in written}
    assert {name.rpartition("/")[0] for name in both.names} == folders
    assert {partition_folder({"p": p, "q": q}).rstrip("/") for p, q in written} == folders

    expected = sorted((i, p or None, q or None) for i, (p, q) in enumerate(pairs))
    spark.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    try:
        for engine in ("duckdb", "spark"):
            out = tmp_path / engine / "out"
            frame = spark.read.parquet(f"file://{out}").select("id", "p", "q")
            assert sorted(map(tuple, frame.collect())) == expected
            found = duckdb.sql(
                f"SELECT id, p, q FROM read_parquet('{out}/**/*.parquet', "
                "hive_partitioning = true, hive_types_autocast = false)"
            )
            assert sorted(found.fetchall()) == expected
    finally:
        spark.conf.unset("spark.sql.sources.partitionColumnTypeInference.enabled")


TYPED = {
    "boolean": (DataType("boolean"), True, "p=true"),
    "unsigned": (DataType("uint64"), 2**64 - 1, "p=18446744073709551615"),
    "decimal": (DataType("decimal", precision=10, scale=2), "1.5", "p=1.50"),
    "date": (DataType("date"), "0001-01-01", "p=0001-01-01"),
    "timestamp": (DataType("timestamp"), "2025-01-17T10:15:02.5", "p=2025-01-17 10%3A15%3A02.5"),
    "zoned": (DataType("timestamp", timezone="UTC"), "2025-01-17T10:15:02Z", "p=2025-01-17 10%3A15%3A02"),
}


@pytest.mark.parametrize("name", TYPED)
def test_values_of_other_types_are_named_alike(name: str, spark: Any, tmp_path: Path) -> None:
    kind, value, folder = TYPED[name]
    contract = Contract("Typed", (Column("v", kind, coerce=True),))
    plan = replace(
        PLAN,
        inputs=(replace(PLAN.inputs[0], contract=contract),),
        output=OutputPlan(contract, (PartitionPlan("p", "v"),)),
    )
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"v": value}))
    both = assert_equal(plan, {"frame": [InputFile(str(path), "s3://landing/rows.json")]}, tmp_path)
    assert {name.rpartition("/")[0] for name in both.names} == {folder}


def test_text_that_is_hives_name_of_null_shares_its_folder(spark: Any, tmp_path: Path) -> None:
    rows = [{"id": 1, "country": HIVE_NULL, "city": "x"}, {"id": 2, "country": None, "city": "x"}]
    path = tmp_path / "rows.json"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    both = assert_equal(PLAN, {"frame": [InputFile(str(path), "s3://landing/rows.json")]}, tmp_path)
    assert {name.rpartition("/")[0] for name in both.names} == {f"p={HIVE_NULL}/q=x"}
    assert len(both.rows) == 2
