"""The template: limits, properties that the emulator drops, what is kept and what is shared."""

import json

import pytest

from asl.checks.templates import cfn_lint, exposure
from asl.compiler import compile_pipelines
from asl.emit.cloudformation import template
from asl.emit.hive import hive_type
from asl.emit.substitution import document, value, values
from asl.resources import Bucket, LogGroup, Output
from aws_runtime.contract import DataType, Field
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
        "LandingBucket",
        "QuarantineBucket",
        "SensorsBucket",
        "ShopBucket",
        "ShopLakeBucket",
        "StagingBucket",
    }
    assert set(of("AWS::Lambda::LayerVersion")) == {"DuckdbLayer"}
    assert set(of("AWS::KMS::Key")) == {"AlertKey"}


def test_only_trigger_buckets_send_events():
    sending = {name for name, p in of("AWS::S3::Bucket").items() if "NotificationConfiguration" in p}
    assert sending == {"LandingBucket", "SensorsBucket", "ShopBucket"}


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
        (topic,) = alarm["AlarmActions"]
        assert name.startswith(topic["Ref"].removesuffix("Alerts"))
        assert alarm["TreatMissingData"] == "notBreaching"


def test_event_pattern_takes_the_sources_keys_only():
    keys = {name: p["EventPattern"]["detail"]["object"]["key"] for name, p in of("AWS::Events::Rule").items()}
    assert keys == {
        "CustomerValueRule": [{"wildcard": "baskets/*.json"}, {"wildcard": "baskets/*.json.gz"}],
        "DiamondRule": [{"prefix": "readings/"}],
        "OrdersEtlRule": [{"prefix": "orders/"}],
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


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: r["LandingBucket"]["Properties"].pop("BucketEncryption"), "LandingBucket"),
        (lambda r: r["LandingBucket"]["Properties"].pop("PublicAccessBlockConfiguration"), "LandingBucket"),
        (lambda r: r.pop("LandingBucketPolicy"), "LandingBucket"),
        (lambda r: r.pop("OrdersEtlDeadLettersPolicy"), "OrdersEtlDeadLetters"),
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
