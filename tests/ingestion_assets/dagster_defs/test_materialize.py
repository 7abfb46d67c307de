"""Landed files become Parquet, quarantine and rejected files, and Dagster is told."""

import json
import os
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from conftest import land, order
from shop_pipeline import shop

from ingestion_assets.dagster_defs import assets, build_definitions, materialize_pipeline
from ingestion_assets.dagster_defs.assets import build_asset
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.pipelines.orders_etl.pipeline import pipeline

LINES = dg.AssetKey(["orders_etl", "order_lines"])


def run(root: Path, **how: object) -> dg.ExecuteInProcessResult:
    job = build_definitions([pipeline]).resolve_job_def("orders_etl_all")
    return job.execute_in_process(resources={"storage": Storage(kind="local", root=str(root))}, **how)


def parquet(root: Path, prefix: str = "orders_parquet_datalake") -> list[Path]:
    return sorted((root / "staging" / prefix).rglob("*.parquet"))


def metadata(result: dg.ExecuteInProcessResult, partition: str | None = None) -> dict[str, object]:
    (event,) = [e for e in result.get_asset_materialization_events() if e.partition == partition]
    return {key: value.value for key, value in event.materialization.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_everything_landed_is_accounted_for(landed: Path) -> None:
    done = materialize_pipeline(pipeline, landed)
    lines = done.assets["order_lines"]
    # 2 orders of 2 lines; then 1 order of 2 lines of which 1 is bad, 1 order refused whole.
    assert (lines.files, lines.rows_in, lines.rows_out, lines.rows_quarantined) == (3, 7, 5, 2)
    assert lines.violations == {
        "order_lines.price.greater_than_or_equal_to": 1,
        "orders.total_amount.coerce": 1,
    }
    assert [(r.uri.rsplit("/", 1)[1], r.code) for r in lines.rejected] == [("broken.json", "MalformedJson")]
    written = pl.concat([pl.read_parquet(path, hive_partitioning=False) for path in parquet(landed)])
    assert written.height == 5
    assert set(written["order_id"]) == {"o-1", "o-2", "o-3"}
    assert {path.parent.name for path in parquet(landed)} == {"dt=2025-01-17", "dt=2025-01-18"}


def test_quarantine_keeps_rows_with_reasons_and_rejected_files_whole(landed: Path) -> None:
    materialize_pipeline(pipeline, landed)
    rows = pl.read_parquet(sorted((landed / "quarantine/rows/orders_etl/order_lines").glob("*.parquet")))
    reasons = {row["stage"]: row["reasons"] for row in rows.to_dicts()}
    assert set(reasons) == {"orders", "order_lines"}
    assert reasons["orders"][0].startswith("total_amount")
    (reason,) = (landed / "quarantine/rejected/orders_etl").rglob("reason.json")
    assert json.loads(reason.read_text())["code"] == "MalformedJson"
    original = landed / "landing/orders/2025-01-18/broken.json"
    assert (reason.parent / "broken.json").read_bytes() == original.read_bytes()


def test_checks_tell_what_broke_and_show_samples(landed: Path) -> None:
    found = checks(run(landed))
    price = found["price__greater_than_or_equal_to"]
    assert (price.passed, price.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert price.metadata["violations"].value == 1
    (sample,) = price.metadata["samples"].records
    assert "price" in sample.data["reasons"]
    assert sample.data["file"].endswith("2025-01-18/b.json")
    readable = found["files_readable"]
    assert (readable.passed, readable.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert readable.metadata["rejected_files"].records[0].data["code"] == "MalformedJson"
    assert found["rows_conserved"].passed
    assert found["quantity__not_null"].passed
    failed = {name for name, check in found.items() if not check.passed}
    assert failed == {"price__greater_than_or_equal_to", "orders_total_amount__coerce", "files_readable"}


def test_metadata_holds_schema_lineage_and_a_preview(landed: Path) -> None:
    found = metadata(run(landed))
    lineage = found["dagster/column_lineage"].deps_by_column
    assert lineage["price"] == [dg.TableColumnDep(dg.AssetKey(["orders_etl", "raw", "orders"]), "products")]
    assert "`orders.products.price`" in found["column_lineage"]
    columns = {column.name: column for column in found["dagster/column_schema"].columns}
    assert {name: columns[name].type for name in ("order_date", "price", "quantity")} == {
        "order_date": "date",
        "price": "float64",
        "quantity": "int64",
    }
    assert columns["price"].constraints.other == ["greater_than_or_equal_to(min_value=0.0)"]
    assert found["dagster/uri"] == (landed / "staging/orders_parquet_datalake/").as_posix()
    assert "| o-1 |" in found["preview"]


def test_one_day_reads_only_its_folder(landed: Path) -> None:
    result = run(landed, partition_key="2025-01-17")
    assert metadata(result, "2025-01-17")["rows_out"] == 4
    assert {path.parent.name for path in parquet(landed)} == {"dt=2025-01-17"}
    assert checks(result)["files_readable"].passed


def test_a_range_of_days_is_one_run_with_rows_a_day(landed: Path) -> None:
    tags = {
        "dagster/asset_partition_range_start": "2025-01-16",
        "dagster/asset_partition_range_end": "2025-01-18",
    }
    result = run(landed, tags=tags)
    assert metadata(result, "2025-01-17")["dagster/partition_row_count"] == 4
    assert metadata(result, "2025-01-18")["dagster/partition_row_count"] == 1
    assert metadata(result, "2025-01-18")["files_rejected"] == 1
    assert metadata(result, "2025-01-18")["dagster/row_count"] == 5
    assert "rows_out" not in metadata(result, "2025-01-16")


def test_files_in_no_days_folder_are_not_forgotten(landed: Path) -> None:
    path = land(landed, "stray.json", order(8, "2025-01-16"))
    os.utime(path, (1_736_500_000, 1_736_500_000))  # 2025-01-10
    assert materialize_pipeline(pipeline, landed).assets["order_lines"].rows_out == 7


def test_again_writes_the_same_files_and_touches_no_others(landed: Path) -> None:
    materialize_pipeline(pipeline, landed)
    theirs = landed / "staging/orders_parquet_datalake/dt=2025-01-17/theirs.parquet"
    theirs.write_bytes(b"not ours")
    before = {path: path.read_bytes() for path in parquet(landed)}
    materialize_pipeline(pipeline, landed)
    assert {path: path.read_bytes() for path in parquet(landed)} == before


def test_a_changed_file_replaces_its_own_rows(landed: Path) -> None:
    materialize_pipeline(pipeline, landed)
    # Another day, another time of change: other names in another folder.
    path = land(landed, "2025-01-17/a.json", [order(1, "2025-02-01")])
    os.utime(path, (1_800_000_000, 1_800_000_000))
    done = materialize_pipeline(pipeline, landed)
    assert done.assets["order_lines"].rows_out == 3
    written = pl.concat([pl.read_parquet(path, hive_partitioning=False) for path in parquet(landed)])
    assert sorted(written["order_id"]) == ["o-1", "o-1", "o-3"]
    assert not [path for path in parquet(landed) if path.parent.name == "dt=2025-01-17"]


def test_a_file_that_was_mended_leaves_no_rejected_copy(landed: Path) -> None:
    materialize_pipeline(pipeline, landed)
    land(landed, "2025-01-18/broken.json", [order(9, "2025-01-18")])
    done = materialize_pipeline(pipeline, landed)
    assert done.assets["order_lines"].rejected == ()
    assert not list((landed / "quarantine/rejected").rglob("*.json"))


def test_a_crash_before_the_old_files_went_is_repaired_by_the_next_run(
    landed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    materialize_pipeline(pipeline, landed)
    path = land(landed, "2025-01-17/a.json", [order(1, "2025-02-01")])
    os.utime(path, (1_800_000_000, 1_800_000_000))
    unlink = Path.unlink

    def crash(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".parquet":
            raise OSError("crash")
        unlink(self, missing_ok)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", crash)
        with pytest.raises(OSError, match="crash"):
            materialize_pipeline(pipeline, landed)
    assert materialize_pipeline(pipeline, landed).assets["order_lines"].rows_out == 3
    assert pl.concat([pl.read_parquet(p, hive_partitioning=False) for p in parquet(landed)]).height == 3


def test_nothing_landed_is_an_empty_success(tmp_path: Path) -> None:
    result = run(tmp_path / "data")
    assert result.success
    assert metadata(result)["files"] == 0
    assert all(check.passed for check in checks(result).values())


def test_lost_rows_block_what_is_downstream(landed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = assets.count_rows
    monkeypatch.setattr(assets, "count_rows", lambda uris, opener: count(list(uris)[1:], opener))
    job = build_definitions([pipeline]).resolve_job_def("orders_etl_all")
    result = job.execute_in_process(
        resources={"storage": Storage(kind="local", root=str(landed))}, raise_on_error=False
    )
    assert not result.success
    assert not checks(result)["rows_conserved"].passed


def test_assets_run_in_the_order_of_their_inputs(tmp_path: Path) -> None:
    root = tmp_path / "data"
    land(root, "2025/01/17/a.json", [order(1), order(2)])
    land(root, "2025/01/17/broken.json", "[{")
    done = materialize_pipeline(shop, root)
    assert done.assets["category_totals"].rows_out == 2
    (path,) = parquet(root, "totals")
    totals = {row["category"]: (row["pieces"], row["revenue"]) for row in pl.read_parquet(path).to_dicts()}
    assert totals == {"drinks": (6, 12.0), "kitchen": (2, 6.0)}
    assert [r.code for r in done.assets["category_totals"].rejected] == ["MalformedJson"]
    assert len(list((root / "quarantine/rejected").rglob("reason.json"))) == 1


def test_an_asset_asked_for_before_what_it_reads_says_so(tmp_path: Path) -> None:
    root = tmp_path / "data"
    land(root, "2025/01/17/a.json", [order(1)])
    (totals,) = (asset for asset in shop.assets if asset.name == "category_totals")
    with pytest.raises(
        Exception, match="shop/category_totals reads order_lines, which has not been materialized"
    ):
        dg.materialize(
            [build_asset(shop, totals)],
            partition_key="2025-01-17",
            resources={"storage": Storage(kind="local", root=str(root))},
        )


def test_the_sensor_asks_for_changed_days_once(landed: Path) -> None:
    definitions = build_definitions([pipeline])
    sensor = definitions.resolve_sensor_def("orders_etl_landed")
    storage = Storage(kind="local", root=str(landed))

    def evaluate(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(
            cursor=cursor, resources={"storage": storage}, definitions=definitions
        ) as context:
            return sensor(context)

    first = evaluate(None)
    assert [request.partition_key for request in first.run_requests] == ["2025-01-17", "2025-01-18"]
    assert "2025-01-17/a.json@" in first.run_requests[0].run_key
    assert isinstance(evaluate(first.cursor), dg.SkipReason)
    path = land(landed, "2025-01-17/a.json", [order(1)])
    os.utime(path, (1_800_000_000, 1_800_000_000))
    second = evaluate(first.cursor)
    assert [request.partition_key for request in second.run_requests] == ["2025-01-17"]
    assert second.run_requests[0].run_key != first.run_requests[0].run_key


def test_an_unknown_storage_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGESTION_STORAGE", "tape")
    with pytest.raises(ValueError, match="INGESTION_STORAGE is 'tape'; use one of local, s3"):
        Storage().site()
