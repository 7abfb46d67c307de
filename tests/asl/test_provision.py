"""Declarations -> resources: what follows from which declaration."""

from dataclasses import replace
from datetime import timedelta

import pytest

import ingestion_assets as ia
from asl import names
from asl.compiler import compile_pipelines
from asl.emit.bundle import handler_bundle
from asl.front_door import layer_pins
from asl.permissions import objects
from asl.provision import key_matchers
from asl.resources import (
    Alarm,
    Bucket,
    CatalogTable,
    Crawler,
    Dashboard,
    EventRule,
    Function,
    GlueJob,
    LogGroup,
    StateMachine,
    Table,
    Topic,
)
from aws_runtime.ingress.batches import Bounds
from aws_runtime.ingress.settings import BatchSettings, OrchestratorSettings, SweeperSettings
from ingestion_assets.errors import CompileError
from tests.pipelines.customer_value.pipeline import pipeline as customer_value
from tests.pipelines.diamond.pipeline import pipeline as diamond


def made(*pipelines):
    return compile_pipelines(pipelines).app.resources


def kinds(resources, kind):
    return [resource for resource in resources if isinstance(resource, kind)]


def changed(pipeline, asset, **changes):
    """A pipeline with one asset changed."""
    return replace(
        pipeline,
        assets=tuple(replace(a, **changes) if a.name == asset else a for a in pipeline.assets),
    )


def test_processor_decides_what_runs_an_asset():
    resources = made(customer_value)
    assert [f.id for f in kinds(resources, Function)] == [
        "CustomerValueBasketItemsFunction",
        "CustomerValueSweeper",
    ]
    (job,) = kinds(resources, GlueJob)
    assert job.id == "CustomerValueCustomerTotalsJob"
    assert (job.workers, job.timeout_minutes) == (2, 15)
    assert job.tags == {"asset": "customer_totals", "cost-centre": "sales"}
    assert job.arguments["--destination"] == "s3://${ShopLakeBucket}/customer_totals/"
    assert job.arguments["--additional-python-modules"].startswith("narwhals==")


def test_auto_makes_a_function_a_job_and_one_table():
    processor = ia.Processor(kind="auto", timeout_seconds=7200, memory_mb=4096, workers=5)
    build = compile_pipelines([changed(diamond, "highest", processor=processor)])
    resources = build.app.resources
    (function,) = (f for f in kinds(resources, Function) if f.id == "DiamondHighestFunction")
    (job,) = kinds(resources, GlueJob)
    # The job may take its time; Lambda allows a quarter of an hour.
    assert (function.timeout_seconds, function.memory_mb) == (900, 4096)
    assert (job.id, job.timeout_minutes, job.workers) == ("DiamondHighestJob", 120, 5)
    assert [t.name for t in kinds(resources, CatalogTable)].count("highest") == 1
    (each,) = build.compiled
    engines = {item.bundle.name: item.plan.engine for item in each.assets if item.asset.name == "highest"}
    assert engines["diamond-highest-glue"] == "spark"
    assert engines["diamond-highest"] != "spark"


def test_auto_runs_small_files_on_the_engine_that_it_names():
    processor = ia.Processor(kind="auto", engine="duckdb")
    (each,) = compile_pipelines([changed(diamond, "highest", processor=processor)]).compiled
    assert [i.plan.engine for i in each.assets if i.asset.name == "highest"] == ["duckdb", "spark"]


def behind(trigger, pipeline=diamond):
    """The same pipeline, started in another way."""
    return replace(pipeline, trigger=trigger)


def test_batches_bring_a_builder_that_is_told_everything():
    trigger = ia.S3Batches("readings", files=7, max_bytes=10**9, max_wait_seconds=120, suffixes=(".b", ".a"))
    resources = made(replace(behind(trigger), tracking=ia.Tracking(retention_days=200)))
    builder, sweeper = (
        next(f for f in kinds(resources, Function) if f.id == f"Diamond{name}")
        for name in ("ManifestBuilder", "Sweeper")
    )
    read = BatchSettings.read(builder.environment)
    assert read.bounds == Bounds(files=7, bytes=10**9, wait=timedelta(seconds=120))
    assert (read.prefix, read.suffixes, read.retention_days) == ("readings/", (".a", ".b"), 200)
    assert read.manifests == "s3://${SensorsBucket}/manifests/"
    assert SweeperSettings.read(sweeper.environment).batches == read
    assert not kinds(resources, EventRule)
    (bucket,) = (b for b in kinds(resources, Bucket) if b.name == "sensors")
    assert not bucket.events
    # The builder looks at several suffixes itself.
    assert [(n.prefix, n.suffix) for n in bucket.notifications] == [("readings/", "")]


def test_one_suffix_is_s3s_to_look_at():
    resources = made(behind(ia.S3Batches("readings", suffixes=(".json",))))
    (bucket,) = (b for b in kinds(resources, Bucket) if b.name == "sensors")
    assert [(n.prefix, n.suffix) for n in bucket.notifications] == [("readings/", ".json")]


@pytest.mark.parametrize(
    ("trigger", "name", "table"),
    [
        (ia.S3Event("readings"), "event", "${DiamondTracking}"),
        (ia.S3Queue("readings"), "queue", "${SensorsWorkflowStatus}"),
        (ia.S3Batches("readings"), "batches", "${DiamondBatches}"),
    ],
)
def test_sweepers_look_at_the_table_of_what_is_live(trigger, name, table):
    resources = made(behind(trigger))
    (sweeper,) = (f for f in kinds(resources, Function) if f.id == "DiamondSweeper")
    read = SweeperSettings.read(sweeper.environment)
    assert (read.trigger, read.status_table) == (name, table)
    assert read.state_machine == "${DiamondStateMachine}"
    (live,) = (t for t in kinds(resources, Table) if t.live)
    assert table == f"${{{live.id}}}"
    assert not sweeper.in_vpc


def test_orchestrator_is_told_its_tables():
    resources = made(behind(ia.S3Queue("readings")))
    (orchestrator,) = (f for f in kinds(resources, Function) if f.id == "SensorsOrchestrator")
    read = OrchestratorSettings.read(orchestrator.environment)
    assert read == OrchestratorSettings("${SensorsWorkflowMetadata}", "${SensorsWorkflowStatus}", 400)


def test_front_door_ships_its_own_modules_and_one_layer():
    for handler in ("orchestrate", "build_manifests", "sweep"):
        shipped = set(handler_bundle(handler).files)
        assert f"aws_runtime/handlers/{handler}.py" in shipped
        assert not [path for path in shipped if "/engines/" in path or "/formats/" in path or "plan" in path]
    names_ = {line.partition("==")[0] for line in layer_pins([diamond]).lines}
    assert "aws-lambda-powertools" in names_
    assert not names_ & {"narwhals", "duckdb", "polars", "pyarrow"}


def test_processor_sizes_the_function():
    processor = ia.Processor(memory_mb=512, storage_mb=1024, timeout_seconds=61)
    function = next(
        f
        for f in kinds(made(changed(diamond, "highest", processor=processor)), Function)
        if f.id == "DiamondHighestFunction"
    )
    assert (function.memory_mb, function.storage_mb, function.timeout_seconds) == (512, 1024, 61)
    assert function.environment == {
        "DESTINATION": "s3://${ClimateBucket}/highest/",
        "POWERTOOLS_SERVICE_NAME": "diamond",
        "QUARANTINE": "s3://${QuarantineBucket}/",
    }


def test_glue_job_rounds_its_timeout_up():
    processor = ia.Processor(kind="glue_pyspark", timeout_seconds=61)
    (job,) = kinds(made(changed(customer_value, "customer_totals", processor=processor)), GlueJob)
    assert job.timeout_minutes == 2


def test_two_pipelines_share_what_has_one_name():
    other = replace(
        diamond,
        name="other",
        assets=tuple(
            replace(a, destination=replace(a.destination, prefix=f"other/{a.name}/")) for a in diamond.assets
        ),
    )
    resources = made(other, diamond)
    assert [b.id for b in kinds(resources, Bucket)] == ["ClimateBucket", "QuarantineBucket", "SensorsBucket"]
    assert [m.id for m in kinds(resources, StateMachine)] == ["DiamondStateMachine", "OtherStateMachine"]


def test_adding_an_asset_changes_no_other_assets_resources():
    before = {r.id: r for r in made(replace(diamond, assets=diamond.assets[1:]))}
    after = {r.id: r for r in made(diamond)}
    assert set(before) < set(after)
    changed_ids = {i for i in before if before[i] != after[i]}
    assert changed_ids == {"DiamondDashboard", "DiamondStateMachine", "DiamondStateMachineRole"}


def test_crawler_is_made_only_where_it_is_declared():
    assert not kinds(made(diamond), Crawler)
    (crawler,) = kinds(made(replace(diamond, catalog=ia.Catalog(crawler="nightly"))), Crawler)
    assert crawler.name == "nightly"
    assert set(crawler.tables) == {table.id for table in kinds(made(diamond), CatalogTable)}


def test_catalog_database_is_the_declared_one():
    resources = made(replace(diamond, catalog=ia.Catalog(database="climate")))
    assert {table.database for table in kinds(resources, CatalogTable)} == {"ClimateDatabase"}


def test_partition_keys_have_the_columns_type_or_are_text():
    destination = ia.S3Parquet(
        ia.Bucket("climate"),
        "clean_readings/",
        partition_by=(
            ia.PartitionBy("station", column="sensor"),
            ia.PartitionBy("read_on", column="day"),
            ia.PartitionBy("month", column="day", transform="month"),
        ),
        table="readings",
    )
    table = next(
        t
        for t in kinds(made(changed(diamond, "clean_readings", destination=destination)), CatalogTable)
        if t.name == "readings"
    )
    assert [(k.name, k.type) for k in table.partition_keys] == [
        ("station", "string"),
        ("read_on", "date"),
        ("month", "string"),
    ]


def test_alerts_and_retention_are_the_declared_ones():
    resources = made(replace(diamond, alerts=ia.Alerts(email="a@example.com"), log_retention_days=7))
    assert [topic.email for topic in kinds(resources, Topic)] == ["a@example.com"]
    assert {group.retention_days for group in kinds(resources, LogGroup)} == {7}


def test_every_pipeline_has_its_alarms():
    metrics = [(a.metric, a.periods) for a in kinds(made(customer_value), Alarm)]
    assert metrics == [
        ("ExecutionsFailed", 1),
        ("ExecutionsTimedOut", 1),
        ("ExecutionThrottled", 3),
        ("ApproximateNumberOfMessagesVisible", 1),
        ("InvocationsFailedToBeSentToDlq", 1),
        ("Errors", 3),
        ("Errors", 3),
        ("Throttles", 3),
    ]


@pytest.mark.parametrize(
    ("trigger", "owner", "function"),
    [
        (ia.S3Queue("readings"), "Sensors", "SensorsOrchestrator"),
        (ia.S3Batches("readings"), "Diamond", "DiamondManifestBuilder"),
    ],
)
def test_what_waits_or_fails_at_the_front_door_is_told(trigger, owner, function):
    found = {a.id: a for a in kinds(made(behind(trigger)), Alarm)}
    kind = "Bucket" * (owner == "Sensors")
    dead = found[f"{owner}{kind}DeadLettersAlarm"]
    assert (dead.metric, dead.threshold) == ("ApproximateNumberOfMessagesVisible", 0)
    age = found[f"{owner}{kind}ArrivalsAgeAlarm"]
    assert (age.metric, age.threshold, age.statistic) == ("ApproximateAgeOfOldestMessage", 900, "Maximum")
    assert found[f"{function}FaultsAlarm"].dimensions == {"FunctionName": f"${{{function}}}"}
    assert found["DiamondSweeperFaultsAlarm"].topics == ("DiamondAlerts",)


@pytest.mark.parametrize("trigger", [ia.S3Queue("readings"), ia.S3Batches("readings")])
def test_dashboard_shows_what_waits(trigger):
    (board,) = kinds(made(behind(trigger)), Dashboard)
    titles = [widget["properties"]["title"] for widget in board.body["widgets"]]
    assert titles[:2] == ["Files that wait in the queue", "Age of the oldest file (s)"]
    places = [(widget["x"], widget["y"]) for widget in board.body["widgets"]]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("prefix", "suffixes", "expected"),
    [
        ("a/", (), ({"prefix": "a/"},)),
        ("a/", (".json", ".csv", ".json"), ({"wildcard": "a/*.csv"}, {"wildcard": "a/*.json"})),
        ("a/", ("*.json",), ({"wildcard": "a/*\\*.json"},)),
    ],
)
def test_key_matchers(prefix, suffixes, expected):
    assert key_matchers(prefix, suffixes) == expected


def test_rule_leads_to_the_machine_and_its_dead_letters():
    (rule,) = kinds(made(diamond), EventRule)
    assert (rule.machine, rule.dead_letters) == ("DiamondStateMachine", "DiamondDeadLetters")
    assert rule.pattern["detail"]["bucket"] == {"name": ["${AWS::StackName}-sensors-${AWS::AccountId}"]}


def test_objects_are_an_arn_below_a_prefix():
    assert objects("shop-lake", "a/b/") == "${ShopLakeBucket.Arn}/a/b/*"
    assert names.bucket_id("shop-lake") == "ShopLakeBucket"


def test_nothing_to_compile_is_an_error():
    with pytest.raises(CompileError, match="ASL004"):
        compile_pipelines([])


def test_pipelines_may_not_write_below_each_others_prefixes():
    thief = replace(diamond, name="thief", catalog=ia.Catalog(database="thief"))
    with pytest.raises(CompileError, match=r"ASL038 thief/.* overlaps that of asset diamond/"):
        compile_pipelines([diamond, thief])


def test_pipelines_may_not_share_a_crawler():
    catalog = ia.Catalog(crawler="nightly")
    first, second = replace(diamond, catalog=catalog), replace(customer_value, catalog=catalog)
    with pytest.raises(CompileError, match=r"ASL037 diamond .*'nightly'"):
        compile_pipelines([first, second])


@pytest.mark.parametrize(
    "trigger", [ia.S3Event("readings"), ia.S3Queue("readings"), ia.S3Batches("readings")]
)
def test_assets_may_be_called_as_what_stands_at_the_front_door(trigger):
    names_ = ("sweeper", "manifest_builder", "orchestrator", "arrivals")
    assets = tuple(
        replace(
            diamond.assets[-1],
            name=name,
            destination=replace(diamond.assets[-1].destination, prefix=f"{name}/", table=name),
        )
        for name in names_
    )
    groups = [
        group.name for group in kinds(made(replace(behind(trigger), assets=assets, name="sensors")), LogGroup)
    ]
    assert len(set(groups)) == len(groups)
