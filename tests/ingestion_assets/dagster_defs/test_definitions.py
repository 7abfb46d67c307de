"""What Dagster knows before anything runs."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from shop_pipeline import shop

from ingestion_assets import CompileError, DailyPartitions, S3Batches
from ingestion_assets.dagster_defs import build_definitions
from ingestion_assets.dagster_defs.specs import code_version, day_of, trigger_text
from ingestion_assets.pipelines import discover
from ingestion_assets.plan import asset_plan

ROOT = Path(__file__).parents[3]
SOURCE = dg.AssetKey(["orders_etl", "raw", "orders"])
LINES = dg.AssetKey(["orders_etl", "order_lines"])


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(discover())


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for spec in definitions.resolve_all_asset_specs()}


@pytest.mark.parametrize("command", [["dagster", "definitions", "validate"], ["dg", "check", "defs"]])
def test_the_root_validates_without_aws(command: list[str], tmp_path: Path) -> None:
    tools = Path(sys.executable).parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DAGSTER", "INGESTION"))}
    environment |= {
        "HOME": str(tmp_path),
        "DAGSTER_HOME": str(tmp_path),
        "PATH": f"{tools}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [tools / command[0], *command[1:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_loading_reaches_neither_aws_nor_the_data_nor_slow_modules() -> None:
    code = (
        "import sys, socket, os; socket.socket.connect = None; keep = dict(os.environ); "
        "os.environ.clear(); import definitions; "
        "print(sorted({'sqlframe', 'sqlglot', 'pyspark', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_lineage_starts_at_the_source(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    assert [dep.asset_key for dep in specs[LINES].deps] == [SOURCE]
    assert list(specs[SOURCE].deps) == []


def test_a_source_is_external(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert graph.get(SOURCE).is_external
    assert graph.get(LINES).is_materializable


def test_an_asset_says_who_owns_it_and_what_it_is_made_of(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    lines = specs[LINES]
    assert lines.group_name == "orders_etl"
    assert lines.kinds == {"duckdb", "parquet", "lambda"}
    assert specs[SOURCE].kinds == {"s3", "json"}
    assert list(lines.owners) == ["team:orders"]
    assert list(specs[SOURCE].owners) == ["team:orders"]
    assert lines.description == (
        "One row for each product of each order, with the order's and the customer's columns."
    )
    assert lines.automation_condition is not None
    assert lines.metadata["dagster/table_name"] == "orders_etl.order_lines"


def test_columns_and_rules_are_known_before_a_run(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    schema: dg.TableSchema = specs[LINES].metadata["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    assert [column.name for column in schema.columns][:3] == ["order_id", "order_date", "total_amount"]
    assert columns["quantity"].type == "int64"
    assert not columns["quantity"].constraints.nullable
    assert columns["email"].constraints.nullable
    assert columns["price"].constraints.other == ["greater_than_or_equal_to(min_value=0.0)"]
    source: dg.TableSchema = specs[SOURCE].metadata["dagster/column_schema"]
    assert next(column.type for column in source.columns if column.name == "products").startswith(
        "list<struct<"
    )


def test_each_rule_is_a_check(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    names = {key.name for key in graph.asset_check_keys if key.asset_key == LINES}
    assert {"price__greater_than_or_equal_to", "quantity__not_null", "email__str_matches"} <= names
    assert {"orders_total_amount__coerce", "rows_conserved", "files_readable", "records_readable"} <= names
    assert "column_schema_change" in names
    assert "email__not_null" not in names
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert blocking == {"rows_conserved"}


def test_days_are_partitions_and_a_backfill_is_one_run(definitions: dg.Definitions) -> None:
    node = definitions.resolve_asset_graph().get(LINES)
    assert node.partitions_def is not None
    assert node.partitions_def.get_first_partition_key() == "2025-01-01"
    assert node.backfill_policy == dg.BackfillPolicy.single_run()


def test_nothing_runs_by_itself(definitions: dg.Definitions) -> None:
    sensor = definitions.resolve_sensor_def("orders_etl_landed")
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED


def test_a_declaration_that_is_wrong_says_where() -> None:
    lost = replace(shop.assets[0], inputs={"order_lines": "order_line"})
    with pytest.raises(CompileError, match=r"'order_line' is neither a source nor another asset of shop"):
        build_definitions([replace(shop, assets=(lost,))])


def test_code_version_follows_contract_and_code_but_not_comments(tmp_path: Path) -> None:
    (pipeline,) = (p for p in discover() if p.name == "orders_etl")
    asset = pipeline.assets[0]
    plan = asset_plan(pipeline, asset)
    version = code_version(plan, asset.transform)
    assert version == code_version(plan, asset.transform)
    assert version != code_version(
        replace(plan, output=replace(plan.output, compression="gzip")), asset.transform
    )

    def loaded(name: str, text: str) -> object:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module.f

    try:
        plain = code_version(plan, loaded("version_a", "def f(x):\n    return x\n"))
        assert plain == code_version(plan, loaded("version_b", "# why\ndef f(x):  # what\n    return x\n"))
        assert plain != code_version(plan, loaded("version_c", "def f(x):\n    return -x\n"))
    finally:
        for name in ("version_a", "version_b", "version_c"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("key", "day"),
    [
        ("orders/2025/01/17/a.json", "2025-01-17"),
        ("orders/2025/01/17/deep/er/a.json", "2025-01-17"),
        ("orders/2025/01/17", "2025-03-01"),
        ("orders/2024/12/31/before.json", "2025-03-01"),
        ("orders/2025/13/01/a.json", "2025-03-01"),
        ("orders/a.json", "2025-03-01"),
    ],
)
def test_a_file_belongs_to_the_day_of_its_folder_or_else_the_day_it_landed(key: str, day: str) -> None:
    landed = datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert day_of(shop.sources[0].partitions, "orders/", key, landed).isoformat() == day


@pytest.mark.parametrize(
    ("key", "day"),
    [
        ("in/2025-01-17-file001.ndjson", "2025-01-17"),
        ("in/2025-01-17", "2025-01-17"),
        ("in/2025-02-01/2025-01-17-file001.ndjson", "2025-01-17"),
        ("in/2025-01-17/file001.ndjson", "2025-03-01"),
        ("in/file-2025-01-17.ndjson", "2025-03-01"),
        ("in/2025-02-30-file001.ndjson", "2025-03-01"),
        ("in/2024-12-31-file001.ndjson", "2025-03-01"),
        ("in/2025", "2025-03-01"),
    ],
)
def test_a_file_belongs_to_the_day_that_its_name_begins_with(key: str, day: str) -> None:
    named = DailyPartitions(start=date(2025, 1, 1), name="%Y-%m-%d")
    assert day_of(named, "in/", key, datetime(2025, 3, 1, 12, tzinfo=UTC)).isoformat() == day


def test_names_may_have_a_word_before_the_day() -> None:
    named = DailyPartitions(start=date(2025, 1, 1), name="events_%Y%m%d")
    landed = datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert day_of(named, "in/", "in/events_20250117_1.json", landed).isoformat() == "2025-01-17"


def test_auto_and_triggers_are_told(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    sales = specs[dg.AssetKey(["csv_to_parquet", "sales"])]
    assert sales.kinds == {"polars", "parquet", "lambda", "glue"}
    assert sales.metadata["processor"] == "Lambda (polars) up to 8 MiB, Glue (spark) beyond"
    assert sales.metadata["trigger"].startswith("S3Queue: each file")
    events = specs[dg.AssetKey(["ndjson_to_parquet", "events"])]
    assert events.metadata["processor"] == "Lambda (duckdb) up to 256 MiB, Glue (spark) beyond"
    assert events.metadata["trigger"] == "S3Batches: 10 files of one date, or after 900 s"
    assert specs[LINES].metadata["processor"] == "Lambda (duckdb)"
    assert specs[dg.AssetKey(["csv_to_parquet", "raw", "sales_exports"])].kinds == {"s3", "csv"}


def test_a_bound_of_bytes_is_told() -> None:
    assert trigger_text(S3Batches("orders", max_bytes=64 * 2**20)).startswith(
        "S3Batches: 10 files or 64 MiB of one date"
    )


def test_a_day_to_come_and_a_day_before_the_first_are_no_partitions() -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    landed = datetime(2024, 3, 1, tzinfo=UTC)
    key = f"orders/{tomorrow:%Y/%m/%d}/a.json"
    assert day_of(shop.sources[0].partitions, "orders/", key, landed).isoformat() == "2025-01-01"
