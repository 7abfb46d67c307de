"""The template: limits, properties that the emulator drops, what is kept and what is shared."""

import json
import re
from dataclasses import replace

import pytest

from asl.checks.templates import cfn_lint, exposure
from asl.compiler import compile_pipelines
from asl.emit.cloudformation import template
from asl.emit.hive import hive_type
from asl.emit.substitution import document, value, values
from asl.resources import Bucket, LogGroup, Output
from aws_runtime.contract import DataType, Field
from ingestion_assets import Catalog
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipelines import discover

WHERE = Where("pipeline.py", 3)
BUILD = compile_pipelines((*discover(), *discover("tests.pipelines")))
RESOURCES = BUILD.template["Resources"]


def of(kind):
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == kind}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${Bucket}", {"Ref": "Bucket"}),
        ("${AWS::Region}", {"Ref": "AWS::Region"}),
        ("${Queue.Arn}", {"Fn::GetAtt": ["Queue", "Arn"]}),
        ("s3://${Bucket}/a/", {"Fn::Sub": "s3://${Bucket}/a/"}),
        ("${A}${B}", {"Fn::Sub": "${A}${B}"}),
    ],
)
def test_value_is_the_shortest_function(text, expected):
    assert value(text) == expected


def test_values_and_documents_substitute_within():
    assert values({"b": "${X}", "a": "y"}) == {"a": "y", "b": {"Ref": "X"}}
    assert document({"k": ["${X}", 1]}) == {"Fn::Sub": '{"k":["${X}",1]}'}
    assert json.loads(document({"k": "é"})) == {"k": "é"}


def test_nothing_refers_to_what_is_not_there():
    known = set(RESOURCES) | set(BUILD.template["Parameters"])

    def references(node):
        if isinstance(node, list):
            for item in node:
                yield from references(item)
        elif isinstance(node, dict):
            for key, member in node.items():
                if key == "Ref":
                    yield member
                elif key == "Fn::GetAtt":
                    yield member[0]
                else:
                    yield from references(member)

    found = set(references(RESOURCES)) | set(references(BUILD.template["Outputs"]))
    assert {name for name in found if not name.startswith("AWS::")} <= known


def test_data_outlives_the_stack():
    kept = {r["Type"] for r in RESOURCES.values() if r.get("DeletionPolicy") == "Retain"}
    assert kept == {"AWS::S3::Bucket", "AWS::DynamoDB::Table"}


def test_shared_resources_appear_once():
    assert set(of("AWS::S3::Bucket")) == {
        "ClimateBucket",
        "InputBucket",
        "LandingBucket",
        "MyCuratedZoneBucket",
        "MyLandingZoneBucket",
        "OutputBucket",
        "PostWorkflowIngestionBucket",
        "PreWorkflowIngestionBucket",
        "QuarantineBucket",
        "SensorsBucket",
        "ShopBucket",
        "ShopLakeBucket",
        "StagingBucket",
    }
    layers = set(of("AWS::Lambda::LayerVersion"))
    assert {"DuckdbLayer", "FrontDoorLayer"} <= layers
    assert "SparkLayer" not in layers
    assert set(of("AWS::KMS::Key")) == {"AlertKey"}


def test_only_trigger_buckets_send_events():
    sending = {name for name, p in of("AWS::S3::Bucket").items() if "NotificationConfiguration" in p}
    assert sending == {
        "InputBucket",
        "LandingBucket",
        "MyLandingZoneBucket",
        "PreWorkflowIngestionBucket",
        "SensorsBucket",
        "ShopBucket",
    }


def test_buckets_tell_queues_of_their_sources_keys():
    told = {
        name: p["NotificationConfiguration"]["QueueConfigurations"]
        for name, p in of("AWS::S3::Bucket").items()
        if "QueueConfigurations" in p.get("NotificationConfiguration", {})
    }
    assert told == {
        "InputBucket": [
            {
                "Event": "s3:ObjectCreated:*",
                "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "pipeline/input/"}]}},
                "Queue": {"Fn::GetAtt": ["NdjsonToParquetArrivals", "Arn"]},
            }
        ],
        # All keys: rows that are added by hand lead any prefix anywhere.
        "PreWorkflowIngestionBucket": [
            {
                "Event": "s3:ObjectCreated:*",
                "Queue": {"Fn::GetAtt": ["PreWorkflowIngestionBucketArrivals", "Arn"]},
            }
        ],
    }


def test_a_bucket_waits_for_the_policy_of_the_queue_that_it_tells():
    """S3 tries the queue at once; so nothing that the policy needs may need the bucket."""
    for bucket, queue in (
        ("InputBucket", "NdjsonToParquetArrivals"),
        ("PreWorkflowIngestionBucket", "PreWorkflowIngestionBucketArrivals"),
    ):
        assert RESOURCES[bucket]["DependsOn"] == [f"{queue}Policy"]
        assert bucket not in needed_by(queue) | needed_by(f"{queue}Policy")


def needed_by(name):
    """Every resource that must exist before `name`, itself included."""
    found, waiting = set(), [name]
    while waiting:
        name = waiting.pop()
        if name not in found and name in RESOURCES:
            found.add(name)
            waiting += re.findall(r"[A-Za-z0-9]+", json.dumps(RESOURCES[name]))
    return found


def test_queues_hide_messages_for_six_timeouts_and_have_dead_letters():
    queues = of("AWS::SQS::Queue")
    functions = of("AWS::Lambda::Function")
    for consumer in of("AWS::Lambda::EventSourceMapping").values():
        queue = queues[consumer["EventSourceArn"]["Fn::GetAtt"][0]]
        function = functions[consumer["FunctionName"]["Ref"]]
        window = consumer["MaximumBatchingWindowInSeconds"]
        assert queue["VisibilityTimeout"] == 6 * function["Timeout"] + window
        assert consumer["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert consumer["BatchSize"] == 10
        assert consumer["ScalingConfig"]["MaximumConcurrency"] >= 2
        dead = queues[queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        assert dead["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
        assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert len(of("AWS::Lambda::EventSourceMapping")) == 2


def test_only_its_bucket_writes_to_a_queue():
    (allowed, _) = of("AWS::SQS::QueuePolicy")["NdjsonToParquetArrivalsPolicy"]["PolicyDocument"]["Statement"]
    assert allowed["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allowed["Condition"] == {
        "ArnEquals": {
            "aws:SourceArn": {
                "Fn::Sub": "arn:${AWS::Partition}:s3:::${AWS::StackName}-input-${AWS::AccountId}"
            }
        },
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
    }


def test_tables_of_the_front_door():
    tables = of("AWS::DynamoDB::Table")
    keys = {
        name: [(k["AttributeName"], k["KeyType"]) for k in table["KeySchema"]]
        for name, table in tables.items()
    }
    assert keys == {
        "CustomerValueTracking": [("file_id", "HASH")],
        "DiamondTracking": [("file_id", "HASH")],
        "NdjsonToParquetBatches": [("date", "HASH"), ("batch", "RANGE")],
        "NdjsonToParquetTracking": [("file_id", "HASH")],
        "OrderTotalsTracking": [("file_id", "HASH")],
        "OrdersEtlTracking": [("file_id", "HASH")],
        "ParquetIngestionTracking": [("file_id", "HASH")],
        "PreWorkflowIngestionWorkflowMetadata": [("prefix", "HASH")],
        "PreWorkflowIngestionWorkflowStatus": [("file_id", "HASH"), ("version", "RANGE")],
    }
    assert {t["TableName"]["Fn::Sub"] for t in tables.values() if "TableName" in t} == {
        "${AWS::StackName}-pre-workflow-ingestion-workflow_metadata",
        "${AWS::StackName}-pre-workflow-ingestion-workflow_status",
    }
    indexed = {name for name, table in tables.items() if "GlobalSecondaryIndexes" in table}
    # A batch's files are written once and never looked for; a route is never live.
    assert set(tables) - indexed == {"NdjsonToParquetTracking", "PreWorkflowIngestionWorkflowMetadata"}
    for table in tables.values():
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    kept = {name for name, table in tables.items() if "TimeToLiveSpecification" not in table}
    assert kept == {"PreWorkflowIngestionWorkflowMetadata"}


def test_every_pipeline_is_swept():
    schedules = {n: p for n, p in of("AWS::Events::Rule").items() if "ScheduleExpression" in p}
    assert len(schedules) == len(BUILD.compiled)
    for name, rule in schedules.items():
        assert rule["ScheduleExpression"] == "rate(5 minutes)"
        permission = of("AWS::Lambda::Permission")[f"{name}Permission"]
        assert permission["SourceArn"] == {"Fn::GetAtt": [name, "Arn"]}
        assert rule["Targets"][0]["Arn"]["Fn::GetAtt"][0] == permission["FunctionName"]["Ref"]


def test_every_function_and_machine_is_traced_and_logs_with_a_retention():
    for name, function in of("AWS::Lambda::Function").items():
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        assert function["LoggingConfig"]["LogGroup"]["Ref"] in of("AWS::Logs::LogGroup")
        assert "ReservedConcurrentExecutions" not in function
    for machine in of("AWS::StepFunctions::StateMachine").values():
        assert machine["TracingConfiguration"] == {"Enabled": True}
        assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
    assert {group["RetentionInDays"] for group in of("AWS::Logs::LogGroup").values()} == {30}


def test_every_alarm_tells_the_pipelines_topic():
    for name, alarm in of("AWS::CloudWatch::Alarm").items():
        told = [topic["Ref"] for topic in alarm["AlarmActions"]]
        assert set(told) <= set(of("AWS::SNS::Topic"))
        shared = name.startswith("PreWorkflowIngestion")
        assert told == ["CsvToParquetAlerts"] if shared else name.startswith(told[0].removesuffix("Alerts"))
        assert alarm["TreatMissingData"] == "notBreaching"


def test_what_pipelines_share_tells_all_of_their_topics():
    csv = next(p for p in discover() if p.name == "csv_to_parquet")
    source = replace(csv.sources[0], prefix="returns/")
    asset = replace(csv.assets[0], destination=replace(csv.assets[0].destination, prefix="returns/"))
    other = replace(csv, name="returns_to_parquet", sources=(source,), assets=(asset,), catalog=Catalog())
    resources = compile_pipelines([csv, other]).template["Resources"]
    alarm = resources["PreWorkflowIngestionBucketDeadLettersAlarm"]["Properties"]
    assert alarm["AlarmActions"] == [{"Ref": "CsvToParquetAlerts"}, {"Ref": "ReturnsToParquetAlerts"}]
    assert {"Key": "pipeline", "Value": "csv_to_parquet returns_to_parquet"} in alarm["Tags"]
    # One queue, one orchestrator, one pair of tables; a sweeper each.
    assert sum(r["Type"] == "AWS::Lambda::EventSourceMapping" for r in resources.values()) == 1
    assert sum(name.endswith("Sweeper") for name in resources) == 2


def test_event_pattern_takes_the_sources_keys_only():
    keys = {
        name: p["EventPattern"]["detail"]["object"]["key"]
        for name, p in of("AWS::Events::Rule").items()
        if p.get("EventPattern", {}).get("source") == ["aws.s3"]
    }
    assert keys == {
        "CustomerValueRule": [{"wildcard": "baskets/*.json"}, {"wildcard": "baskets/*.json.gz"}],
        "DiamondRule": [{"prefix": "readings/"}],
        "OrdersEtlRule": [{"prefix": "orders/"}],
        "ParquetIngestionRule": [{"wildcard": "orders/*_SUCCESS"}],
    }


def test_table_has_the_contracts_columns_and_its_partitions():
    table = of("AWS::Glue::Table")["OrdersEtlOrderLinesTable"]["TableInput"]
    assert [(c["Name"], c["Type"]) for c in table["StorageDescriptor"]["Columns"]] == [
        ("order_id", "string"),
        ("order_date", "date"),
        ("total_amount", "double"),
        ("customer_id", "string"),
        ("customer_name", "string"),
        ("email", "string"),
        ("address", "string"),
        ("product_id", "string"),
        ("product_name", "string"),
        ("category", "string"),
        ("price", "double"),
        ("quantity", "bigint"),
    ]
    assert table["PartitionKeys"] == [{"Name": "dt", "Type": "string"}]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (DataType("uint64"), "decimal(20,0)"),
        (DataType("decimal", precision=12, scale=2), "decimal(12,2)"),
        (DataType("timestamp", timezone="Europe/Berlin"), "timestamp"),
        (
            DataType("list", item=DataType("struct", fields=(Field("a", DataType("int8")),))),
            "array<struct<a:tinyint>>",
        ),
    ],
)
def test_hive_types(given, expected):
    assert hive_type(given, "Model.column", WHERE) == expected


def test_type_without_a_hive_type_is_an_error():
    nested = DataType("list", item=DataType("duration"))
    with pytest.raises(CompileError, match=r"ASL040 .*Model.lasted is a duration"):
        hive_type(nested, "Model.lasted", WHERE)


def test_limit_of_resources_is_an_error_with_the_count():
    groups = [LogGroup(f"G{i}", f"g{i}", 1, "p") for i in range(501)]
    assert len(template(groups[:500], (), WHERE)["Resources"]) == 500
    with pytest.raises(CompileError, match=r"ASL201 .*501 resources"):
        template(groups, (), WHERE)
    with pytest.raises(CompileError, match=r"ASL201 .*201 outputs"):
        template((), [Output(f"O{i}", "x", "y") for i in range(201)], WHERE)


def test_limit_of_bytes_is_an_error():
    groups = [LogGroup(f"G{i}", "g" * 3_000, 1, "p") for i in range(400)]
    with pytest.raises(CompileError, match="ASL202"):
        template(groups, (), WHERE)


def test_two_resources_of_one_id_are_an_error():
    with pytest.raises(CompileError, match=r"ASL203 .*XBucket"):
        template([Bucket("XBucket", "x"), LogGroup("XBucket", "g", 1, "p")], (), WHERE)


def opened(policy):
    """Let everything of the service write."""
    del policy["Properties"]["PolicyDocument"]["Statement"][0]["Condition"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: r["LandingBucket"]["Properties"].pop("BucketEncryption"), "LandingBucket"),
        (lambda r: r["LandingBucket"]["Properties"].pop("PublicAccessBlockConfiguration"), "LandingBucket"),
        (lambda r: r.pop("LandingBucketPolicy"), "LandingBucket"),
        (lambda r: r.pop("OrdersEtlDeadLettersPolicy"), "OrdersEtlDeadLetters"),
        (lambda r: r.pop("NdjsonToParquetArrivalsPolicy"), "NdjsonToParquetArrivals"),
        (
            lambda r: r["NdjsonToParquetBatches"]["Properties"].pop("SSESpecification"),
            "NdjsonToParquetBatches",
        ),
        (
            lambda r: r["OrdersEtlSweeperSchedulePermission"]["Properties"].pop("SourceArn"),
            "OrdersEtlSweeperSchedulePermission",
        ),
        (lambda r: opened(r["NdjsonToParquetArrivalsPolicy"]), "NdjsonToParquetArrivalsPolicy"),
        (lambda r: r["OrdersEtlAlerts"]["Properties"].pop("KmsMasterKeyId"), "OrdersEtlAlerts"),
        (lambda r: r["OrdersEtlTracking"]["Properties"].pop("SSESpecification"), "OrdersEtlTracking"),
    ],
)
def test_exposed_resource_is_found(change, expected):
    copied = json.loads(json.dumps(BUILD.template))
    change(copied["Resources"])
    (found,) = exposure.check(copied)
    assert found.code == "ASL352"
    assert found.where == f"template.json {expected}"


def test_fault_in_a_template_is_found_by_cfn_lint():
    copied = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"B": {"Type": "AWS::S3::Bucket"}}}
    copied["Resources"]["B"]["Properties"] = {"BucketNam": "x"}
    found = list(cfn_lint.check(copied))
    assert [diagnostic.code for diagnostic in found if "E3002" in diagnostic.what] == ["ASL350"]
