"""A curated asset in Dagster: configured as an execution is, checked by its thresholds, published or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion_assets.curation import Curation
from ingestion_assets.dagster_defs import build_definitions, materialize_pipeline
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.pipelines.parquet_ingestion.pipeline import pipeline
from ingestion_assets.pipelines.parquet_ingestion.sample_data import write_deliveries

FIXTURE = json.loads(
    (Path(__file__).parents[2] / "aws_runtime/curation/fixtures/execution_input.json").read_text()
)
KEY = dg.AssetKey(["parquet_ingestion", "orders"])
LANDED = dg.AssetKey(["parquet_ingestion", "raw", "landed_orders"])


def execute(
    root: Path, config: Mapping[str, Any], *, of: Pipeline = pipeline, **how: Any
) -> dg.ExecuteInProcessResult:
    """Run the job as the launchpad does; the configuration goes through YAML's words only."""
    return (
        build_definitions([of])
        .resolve_job_def("parquet_ingestion_all")
        .execute_in_process(
            resources={"storage": Storage(kind="local", root=str(root))},
            run_config={
                "ops": {"parquet_ingestion__orders": {"config": dict(config)}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            **how,
        )
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {key: value.value for key, value in event.materialization.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def land(
    root: Path, name: str, columns: Mapping[str, Any], *, folder: str = "dt=2024-07-01/region=eu"
) -> Path:
    path = root / "my-landing-zone/orders" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path)
    return path


def rows(*numbers: int, **columns: Any) -> dict[str, Any]:
    return {
        "customer_id": [f"C{number:05d}" for number in numbers],
        "order_id": [f"O-{number}" for number in numbers],
        "amount": [1.0] * len(numbers),
        **columns,
    }


def curated(root: Path) -> list[dict[str, Any]]:
    paths = sorted((root / "my-curated-zone/orders").rglob("part-*.parquet"))
    return [row for path in paths for row in pq.read_table(path, partitioning=None).to_pylist()]


def test_the_fixture_is_taken_as_it_is(tmp_path: Path) -> None:
    made = write_deliveries(tmp_path / "my-landing-zone/orders")
    result = execute(tmp_path, FIXTURE)
    told, found = metadata(result), checks(result)
    assert told["rows_out"] == told["dagster/row_count"] == len(curated(tmp_path))
    assert (told["files"], told["files_rejected"]) == (made.files, made.broken_files)
    assert told["configuration"]["dq_rules"]["min_rows"] == 1000
    assert "`dt=2024-07-01/region=apac`" in told["partitions"]
    assert {record.data["column"] for record in told["null_shares"].records} >= {"amount", "customer_id"}
    columns = {column.name: column for column in told["dagster/column_schema"].columns}
    assert list(columns) == ["customer_id", "order_id", "amount", "is_large", "dt", "region"]
    assert (columns["dt"].type, columns["dt"].description) == ("date", "Day of the order")
    lineage = told["dagster/column_lineage"].deps_by_column
    assert lineage["region"] == [dg.TableColumnDep(LANDED, "region")]
    assert lineage["is_large"] == [dg.TableColumnDep(LANDED, "amount")]
    assert found["rows_conserved"].passed
    assert all(found[name].passed for name in found if name.startswith("dq_rules__"))
    assert found["dq_rules__min_rows"].metadata["rows"].value == told["rows_out"]
    readable = found["files_readable"]
    assert not readable.passed
    codes = {record.data["code"] for record in readable.metadata["rejected_files"].records}
    assert codes >= {"NotParquet", "CorruptFile", "MissingColumns", "ContradictingPartition"}


def test_rejected_files_are_copied_with_their_reason_and_stay_where_they_landed(tmp_path: Path) -> None:
    land(tmp_path, "good.parquet", rows(1))
    bad = land(tmp_path, "bad.parquet", rows(2), folder="dt=2024-13-45/region=eu")
    execute(tmp_path, {})
    (reason,) = (tmp_path / "quarantine/rejected/parquet_ingestion").rglob("reason.json")
    assert json.loads(reason.read_text()) == {
        "asset": "orders",
        "uri": bad.as_posix(),
        "code": "InvalidPartition",
        "message": "dt=2024-13-45 is not a date",
    }
    assert (reason.parent / "bad.parquet").read_bytes() == bad.read_bytes()
    # Once it is mended, the copy and its reason are gone.
    target = tmp_path / "my-landing-zone/orders/dt=2024-07-02/region=eu/bad.parquet"
    target.parent.mkdir(parents=True)
    bad.replace(target)
    land(tmp_path, "bad.parquet", rows(3), folder="dt=2024-13-45/region=eu").unlink()
    assert checks(execute(tmp_path, {}))["files_readable"].passed
    assert len(curated(tmp_path)) == 2


def test_a_rejected_file_that_is_named_as_its_reason_is_kept_beside_it(tmp_path: Path) -> None:
    land(tmp_path, "good.parquet", rows(1))
    (tmp_path / "my-landing-zone/orders/dt=2024-07-01/region=eu/reason.json").write_text("{}")
    execute(tmp_path, {})
    (reason,) = (tmp_path / "quarantine/rejected/parquet_ingestion").rglob("reason.json")
    assert json.loads(reason.read_text())["code"] == "NotParquet"
    assert reason.with_name("1-reason.json").read_text() == "{}"


def test_a_file_whose_pages_are_corrupt_fails_the_run_and_is_named(tmp_path: Path) -> None:
    land(tmp_path, "good.parquet", rows(1))
    bad = land(tmp_path, "bad.parquet", rows(*range(2, 500)))
    content = bytearray(bad.read_bytes())
    content[10:900] = bytes(890)
    bad.write_bytes(content)
    with pytest.raises(dg.Failure, match=r"CorruptFile: .*bad\.parquet"):
        execute(tmp_path, {})
    assert not (tmp_path / "my-curated-zone/orders").exists()


@pytest.mark.parametrize(
    ("rules", "check", "said"),
    [
        ({"min_rows": 3}, "dq_rules__min_rows", "TooFewRows: 2 rows; min_rows is 3"),
        ({"max_null_pct": 0.05}, "dq_rules__max_null_pct", "TooManyNulls: amount is null in 50.00% of the rows; at most 5.00%"),
        ({"max_null_pct": 1, "mandatory_columns": ["amount"]}, "dq_rules__mandatory_columns",
         "MandatoryColumn: amount is mandatory and null in 1 of 2 rows"),
        ({"max_null_pct": 1, "completeness": {"region": {"values": ["eu", "us"]}}}, "dq_rules__completeness",
         "IncompletePartitions: 1 expected partitions are missing: region=us"),
    ],
)  # fmt: skip
def test_a_broken_rule_fails_before_anything_is_published(
    tmp_path: Path, rules: dict[str, Any], check: str, said: str
) -> None:
    land(tmp_path, "a.parquet", rows(1, 2, amount=[None, 2.0]))
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(dg.Failure) as failure:
            execute(tmp_path, {"dq_rules": rules}, instance=instance)
        assert str(failure.value.description).startswith(said)
        assert failure.value.metadata["rows_out"].value == 2
        records = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(KEY, check), limit=1
        )
        assert records[0].status.value == "FAILED"
    assert not (tmp_path / "my-curated-zone/orders").exists()
    assert not list((tmp_path / ".staging").iterdir())


def test_no_good_file_fails_with_the_first_reason(tmp_path: Path) -> None:
    path = land(tmp_path, "a.parquet", rows(1))
    path.write_text("customer_id,order_id\n")
    with pytest.raises(dg.Failure, match="NotParquet: the file begins with b'cust' instead of PAR1"):
        execute(tmp_path, {})


def test_no_file_at_all_changes_nothing(tmp_path: Path) -> None:
    result = execute(tmp_path, FIXTURE)
    told = metadata(result)
    assert (told["files"], told["rows_out"], told["dagster/row_count"]) == (0, 0, 0)
    said = {check.description for name, check in checks(result).items() if name != "column_schema_change"}
    assert said == {"no new file: nothing was judged"}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"dq_rules": {"max_null_pct": 5}}, "dq_rules.max_null_pct: 5 is no share between 0 and 1; 5 % is 0.05"),
        ({"processor_type": "emr"}, "processor_type: 'emr' is none of lambda"),
        ({"target_bucket": "elsewhere"}, "target_bucket: 'elsewhere' is no bucket of this pipeline"),
        ({"write_mode": "merge"}, "keys: merge needs the columns that identify a row"),
        ({"steps": [{"rename": {"a": "b"}, "drop": ["c"]}]}, "steps[0]: says rename and drop"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_before_anything_is_touched(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    land(tmp_path, "a.parquet", rows(1))
    with pytest.raises(dg.Failure) as failure:
        execute(tmp_path, config)
    assert said in str(failure.value.description)
    assert [path.name for path in tmp_path.iterdir()] == ["my-landing-zone"]


def test_the_launchpad_knows_the_keys_and_what_they_mean() -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="processor_typ"):
        execute(Path("nowhere"), {"processor_typ": "lambda"})
    job = build_definitions([pipeline]).resolve_job_def("parquet_ingestion_all")
    keys = job.get_node_named("parquet_ingestion__orders").definition.config_field.config_type.fields
    assert set(FIXTURE) < set(keys)
    assert keys["required_partitions"].description == "Partition columns of the path, outermost first."


def test_a_changed_default_makes_the_asset_out_of_date() -> None:
    def version(of: Pipeline) -> str | None:
        specs = build_definitions([of]).resolve_all_asset_specs()
        return next(spec.code_version for spec in specs if spec.key == KEY)

    changed = dataclasses.replace(pipeline, curation=Curation(defaults={"drift": "strict"}))
    assert version(pipeline) == version(pipeline) != version(changed)


def test_layers_declaration_file_and_run(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", rows(1, 2))
    parameter = tmp_path / "ingestion/parquet_ingestion/orders.json"
    parameter.parent.mkdir(parents=True)
    parameter.write_text(json.dumps({"dq_rules": {"min_rows": 5}, "output_format": "csv"}))
    with pytest.raises(dg.Failure, match="TooFewRows"):
        execute(tmp_path, {})
    told = metadata(execute(tmp_path, {"dq_rules": {"min_rows": 2}}))["configuration"]
    assert (told["output_format"], told["dq_rules"]["min_rows"]) == ("csv", 2)
    assert told["dq_rules"]["mandatory_columns"] == ["customer_id", "order_id"]  # the declaration's
    (path,) = (tmp_path / "my-curated-zone/orders").rglob("part-*")
    assert path.suffix == ".csv"
    assert path.read_text().splitlines()[1] == '"C00001","O-1",1,false'


def test_glue_sql_runs_and_shows_the_query(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", rows(1, customer_id=[" C00001 "]))
    sql = tmp_path / "orders.sql"
    sql.write_text(
        "SELECT source_uri, source_row, trim(customer_id) AS customer_id, order_id, amount + 1 AS amount,\n"
        "  amount > 5 AS is_large, dt, region\nFROM landed_orders"
    )
    written = dataclasses.replace(pipeline, curation=Curation(sql=sql))
    generated = metadata(execute(tmp_path, {"processor_type": "glue_sql"}))
    assert "TRIM(' ' FROM `customer_id`)" in generated["sql"]
    assert curated(tmp_path)[0]["amount"] == 1.0
    told = metadata(execute(tmp_path, {"processor_type": "glue_sql"}, of=written))
    assert "amount + 1 AS amount" in told["sql"]
    assert curated(tmp_path) == [
        {"customer_id": "C00001", "order_id": "O-1", "amount": 2.0, "is_large": False}
    ]
    assert told["dagster/column_lineage"].deps_by_column["is_large"] == [dg.TableColumnDep(LANDED, "amount")]


def test_lineage_follows_the_configured_steps(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", rows(1))
    steps = [
        {"derive": {"order_id": "CASE WHEN amount > 0 THEN order_id || region ELSE order_id END"}},
        {"deduplicate": ["customer_id"], "by": ["amount"]},
    ]
    columns = metadata(execute(tmp_path, {"steps": steps}))["dagster/column_lineage"].deps_by_column
    assert {dep.column_name for dep in columns["order_id"]} == {"amount", "order_id", "region"}
    assert columns["customer_id"] == [dg.TableColumnDep(LANDED, "customer_id")]
    assert curated(tmp_path)[0]["order_id"] == "O-1eu"


def test_a_run_whose_rows_are_all_bad_says_so(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", rows(1, customer_id=["x"]))
    told = metadata(execute(tmp_path, {"dq_rules": {"mandatory_columns": []}}))
    assert (told["rows_out"], told["rows_quarantined"]) == (0, 1)
    with pytest.raises(dg.Failure, match="TooFewRows: 0 rows; min_rows is 1"):
        execute(tmp_path, {"dq_rules": {"min_rows": 1}})


def test_rows_of_a_delivery_that_is_gone_stay_and_come_once(tmp_path: Path) -> None:
    first = land(tmp_path, "a.parquet", rows(1))
    kept = land(tmp_path, "b.parquet", rows(2))
    execute(tmp_path, {})
    first.unlink()
    land(tmp_path, "c.parquet", rows(3))
    told = metadata(execute(tmp_path, {}))
    assert (told["files"], told["dagster/row_count"]) == (1, 3)
    assert {row["order_id"] for row in curated(tmp_path)} == {"O-1", "O-2", "O-3"}
    # One that has changed since is a delivery of its own, as on AWS.
    pq.write_table(pa.table(rows(4)), kept)
    os.utime(kept, (1_900_000_000, 1_900_000_000))
    execute(tmp_path, {})
    assert {row["order_id"] for row in curated(tmp_path)} == {"O-1", "O-2", "O-3", "O-4"}


def test_a_materialization_that_is_repeated_replaces_its_own_files(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", rows(1, 2))
    land(tmp_path, "b.parquet", rows(3, customer_id=["x"]))
    execute(tmp_path, {})
    before = sorted(path.name for path in tmp_path.rglob("*.parquet"))
    execute(tmp_path, {})
    assert sorted(path.name for path in tmp_path.rglob("*.parquet")) == before
    land(tmp_path, "c.parquet", rows(4))
    assert metadata(execute(tmp_path, {}))["dagster/row_count"] == 3
    assert len(curated(tmp_path)) == 3
    assert len(list((tmp_path / "quarantine/rows").rglob("*.parquet"))) == 1
    execute(tmp_path, {"output_format": "csv"})
    assert curated(tmp_path) == []


def test_what_a_killed_run_leaves_is_removed(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", rows(1))
    execute(tmp_path, {})
    stray = tmp_path / "my-curated-zone/orders/dt=2024-07-01/region=eu/part-stray.zstd.parquet"
    pq.write_table(pa.table(rows(9, is_large=[False])), stray)
    record = tmp_path / "my-curated-zone/_runs/parquet_ingestion/orders/curated.json"
    found = json.loads(record.read_text())
    published = next(iter(found["runs"][0]["outputs"]))
    record.write_text(json.dumps({**found, "pending": [stray.relative_to(tmp_path).as_posix(), published]}))
    told = metadata(execute(tmp_path, {}))
    assert told["dagster/row_count"] == 1
    assert [row["order_id"] for row in curated(tmp_path)] == ["O-1"]


def test_keyed_modes_bring_only_what_is_new(tmp_path: Path) -> None:
    config = {"write_mode": "merge", "keys": ["order_id", "dt", "region"], "dq_rules": {}}
    land(tmp_path, "a.parquet", rows(1, 2))
    execute(tmp_path, config)
    land(tmp_path, "b.parquet", rows(2, amount=[2_000.0]))
    told = metadata(execute(tmp_path, config))
    assert (told["files"], told["rows_existing"], told["rows_merged"]) == (1, 2, 1)
    assert {row["order_id"]: row["is_large"] for row in curated(tmp_path)} == {"O-1": False, "O-2": True}
    assert metadata(execute(tmp_path, config))["files"] == 0
    assert len(curated(tmp_path)) == 2


@pytest.mark.parametrize(
    ("mode", "after"), [("append", 4), ("overwrite_partitions", 3), ("merge", 3), ("scd2", 4)]
)
def test_a_delta_table_takes_each_delivery_once(tmp_path: Path, mode: str, after: int) -> None:
    declared = Curation(delta=True)
    delta = dataclasses.replace(pipeline, curation=declared)
    config = {"table_format": "delta", "write_mode": mode}
    config |= {"keys": ["order_id"]} if mode in ("merge", "scd2") else {}
    land(tmp_path, "a.parquet", rows(1, 2))
    assert metadata(execute(tmp_path, config, of=delta))["dagster/row_count"] == 2
    if mode == "overwrite_partitions":
        land(tmp_path, "b.parquet", rows(3))
    else:
        land(tmp_path, "b.parquet", rows(2, 3, amount=[7.0, 8.0]))
    told = metadata(execute(tmp_path, config, of=delta))
    assert told["dagster/row_count"] == after
    again = metadata(execute(tmp_path, config, of=delta))
    assert (again["files"], again["dagster/row_count"]) == (2 if mode == "overwrite_partitions" else 0, after)
    land(tmp_path, "c.parquet", rows(4))
    with pytest.raises(dg.Failure, match=r"FormatConflict: .* is a Delta table"):
        execute(tmp_path, {"write_mode": "append"}, of=delta)


def test_a_delta_table_is_not_made_among_plain_files(tmp_path: Path) -> None:
    delta = dataclasses.replace(pipeline, curation=Curation(delta=True))
    land(tmp_path, "a.parquet", rows(1))
    execute(tmp_path, {}, of=delta)
    land(tmp_path, "b.parquet", rows(2))
    with pytest.raises(dg.Failure, match=r"DeltaWriteError: .* holds plain files"):
        execute(tmp_path, {"table_format": "delta"}, of=delta)
    with pytest.raises(dg.Failure, match="add delta=True to its Curation"):
        execute(tmp_path, {"table_format": "delta"})
    assert len(curated(tmp_path)) == 1


def test_the_sensor_asks_when_files_are_new(tmp_path: Path) -> None:
    definitions = build_definitions([pipeline])
    sensor = definitions.resolve_sensor_def("parquet_ingestion_landed")

    def evaluate(storage: Storage, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(
            cursor=cursor, resources={"storage": storage}, definitions=definitions
        ) as context:
            return sensor(context)

    storage = Storage(kind="local", root=str(tmp_path))
    assert isinstance(evaluate(storage), dg.SkipReason)
    land(tmp_path, "a.parquet", rows(1))
    first = evaluate(storage)
    assert [request.partition_key for request in first.run_requests] == [None]
    assert isinstance(evaluate(storage, first.cursor), dg.SkipReason)
    land(tmp_path, "b.parquet", rows(2))
    assert len(evaluate(storage, first.cursor).run_requests) == 1


def test_on_s3_the_state_machine_curates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    job = build_definitions([pipeline]).resolve_job_def("parquet_ingestion_all")
    with pytest.raises(dg.Failure, match="asl run parquet_ingestion --input"):
        job.execute_in_process(
            resources={"storage": Storage(kind="s3", stack="s")},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def test_everything_landed_is_told_to_the_demo(tmp_path: Path) -> None:
    write_deliveries(tmp_path / "my-landing-zone/orders", files=10)
    done = materialize_pipeline(pipeline, tmp_path, config={**FIXTURE, "dq_rules": {}})
    ledger = done.assets["orders"]
    assert len(curated(tmp_path)) == ledger.rows_out == ledger.rows_in - ledger.rows_quarantined
    assert sorted(ledger.outputs) == sorted(
        path.as_posix() for path in (tmp_path / "my-curated-zone").rglob("part-*.parquet")
    )
    assert len(ledger.quarantine) == 1
    assert not done.checks["orders.files_readable"]
