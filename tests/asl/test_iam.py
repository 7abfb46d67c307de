"""Roles: nothing but what is declared, each statement once, every wildcard with its reason."""

import pytest

from asl.checks.templates import wildcards
from asl.compiler import compile_pipelines
from asl.emit.iam import role, statements
from asl.ir import Permission
from asl.resources import Role
from ingestion_assets.pipelines import discover

PIPELINES = (*discover(), *discover("tests.pipelines"))
TEMPLATE = compile_pipelines(PIPELINES).template
ROLES = {n: r for n, r in TEMPLATE["Resources"].items() if r["Type"] == "AWS::IAM::Role"}


def allowed(name):
    """Actions of a role by resource, as text."""
    found = {}
    for statement in ROLES[name]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
        if "Fn::If" in statement:
            continue
        resources = (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
        for resource in resources:
            found.setdefault(text(resource), set()).update(statement["Action"])
    return found


def text(value):
    if isinstance(value, str):
        return value
    kind, target = next(iter(value.items()))
    return {"Ref": lambda: f"${{{target}}}", "Fn::GetAtt": lambda: f"${{{'.'.join(target)}}}"}.get(
        kind, lambda: target
    )()


def test_one_role_for_each_function_job_machine_crawler_and_rule():
    users = {
        "AWS::Lambda::Function": "Role",
        "AWS::Glue::Job": "Role",
        "AWS::Glue::Crawler": "Role",
        "AWS::StepFunctions::StateMachine": "RoleArn",
    }
    used = [
        resource["Properties"][users[resource["Type"]]]["Fn::GetAtt"][0]
        for resource in TEMPLATE["Resources"].values()
        if resource["Type"] in users
    ]
    used += [
        resource["Properties"]["Targets"][0]["RoleArn"]["Fn::GetAtt"][0]
        for resource in TEMPLATE["Resources"].values()
        if resource["Type"] == "AWS::Events::Rule" and "RoleArn" in resource["Properties"]["Targets"][0]
    ]
    assert sorted(used) == sorted(ROLES)


def test_function_reads_its_source_and_writes_its_own_prefixes_only():
    s3 = {r: a for r, a in allowed("OrdersEtlOrderLinesFunctionRole").items() if any("s3:" in x for x in a)}
    assert s3 == {
        "${LandingBucket.Arn}": {"s3:ListBucket"},
        "${StagingBucket.Arn}": {"s3:ListBucket"},
        "${LandingBucket.Arn}/orders/*": {"s3:GetObject", "s3:GetObjectVersion"},
        "${StagingBucket.Arn}/orders_parquet_datalake/*": {
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
        },
        "${StagingBucket.Arn}/_runs/orders_etl/order_lines/*": {"s3:GetObject", "s3:PutObject"},
        "${QuarantineBucket.Arn}/rows/orders_etl/order_lines/*": {
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
        },
        "${QuarantineBucket.Arn}/rejected/orders_etl/*": {"s3:PutObject", "s3:AbortMultipartUpload"},
    }


def test_downstream_asset_reads_what_the_upstream_one_wrote_and_not_the_source():
    found = allowed("CustomerValueCustomerTotalsJobRole")
    assert "s3:GetObject" in found["${ShopLakeBucket.Arn}/basket_items/*"]
    assert "s3:PutObject" not in found["${ShopLakeBucket.Arn}/basket_items/*"]
    assert "s3:GetObject" in found["${ShopLakeBucket.Arn}/_runs/customer_value/basket_items/*"]
    assert not [resource for resource in found if resource.startswith("${ShopBucket.Arn}/")]


def test_machine_invokes_its_own_functions_only():
    found = allowed("DiamondStateMachineRole")
    invoked = {resource for resource, actions in found.items() if "lambda:InvokeFunction" in actions}
    names = ("CleanReadings", "Highest", "Lowest", "Spans")
    assert invoked == {f"${{Diamond{name}Function.Arn}}" for name in names}


def test_rule_starts_its_machine_only():
    assert allowed("OrdersEtlRuleRole") == {"${OrdersEtlStateMachine}": {"states:StartExecution"}}


def test_orchestrator_starts_its_machines_and_those_that_carry_the_tag():
    statements_ = ROLES["PreWorkflowIngestionOrchestratorRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    starting = [
        statement
        for statement in statements_["Statement"]
        if "states:StartExecution" in statement.get("Action", ())
    ]
    exact, tagged = sorted(starting, key=lambda statement: "Condition" in statement)
    assert text(exact["Resource"]) == "${CsvToParquetStateMachine}"
    assert "Condition" not in exact
    assert text(tagged["Resource"]).endswith(":stateMachine:*")
    assert tagged["Condition"] == {
        "StringEquals": {"aws:ResourceTag/ingestion:orchestrated": {"Ref": "AWS::StackName"}}
    }


def test_front_door_functions_touch_their_own_tables_only():
    tables = {
        name: {r: a for r, a in allowed(name).items() if any(x.startswith("dynamodb:") for x in a)}
        for name in ROLES
        if "Orchestrator" in name or "Builder" in name or "Sweeper" in name
    }
    assert tables["PreWorkflowIngestionOrchestratorRole"] == {
        "${PreWorkflowIngestionWorkflowMetadata.Arn}": {"dynamodb:BatchGetItem", "dynamodb:GetItem"},
        "${PreWorkflowIngestionWorkflowStatus.Arn}": {"dynamodb:PutItem"},
    }
    assert set(tables["NdjsonToParquetManifestBuilderRole"]) == {
        "${NdjsonToParquetBatches.Arn}",
        "${NdjsonToParquetTracking.Arn}",
    }
    assert set(tables["OrdersEtlSweeperRole"]) == {
        "${OrdersEtlTracking.Arn}",
        "${OrdersEtlTracking.Arn}/index/live",
    }
    found = {action for name in tables for actions in allowed(name).values() for action in actions}
    assert "dynamodb:Scan" not in found
    assert "dynamodb:DeleteItem" not in found
    assert {action for action in found if action.startswith("s3:")} == {"s3:PutObject"}


def test_manifests_are_written_by_the_front_door_and_read_by_the_assets():
    manifests = "${InputBucket.Arn}/manifests/*"
    writers = {name for name in ROLES if "s3:PutObject" in allowed(name).get(manifests, ())}
    readers = {name for name in ROLES if "s3:GetObject" in allowed(name).get(manifests, ())}
    assert writers == {"NdjsonToParquetManifestBuilderRole", "NdjsonToParquetSweeperRole"}
    assert readers == {"NdjsonToParquetEventsFunctionRole", "NdjsonToParquetEventsJobRole"}


def test_every_action_on_every_resource_has_a_reason():
    assert list(wildcards.check(TEMPLATE)) == []
    everywhere = {a for name in ROLES for a in allowed(name).get("*", ())}
    services = {action.partition(":")[0] for action in everywhere}
    assert services == {"cloudwatch", "logs", "xray"}


def test_statements_merge_actions_on_the_same_resources():
    given = (
        Permission(("s3:PutObject",), ("${B.Arn}/b*", "${B.Arn}/a*")),
        Permission(("s3:GetObject", "s3:PutObject"), ("${B.Arn}/a*", "${B.Arn}/b*")),
        Permission(("s3:ListBucket",), ("${B.Arn}",)),
    )
    assert statements(given) == statements(given[::-1])
    assert [s["Action"] for s in statements(given)] == [
        ["s3:ListBucket"],
        ["s3:GetObject", "s3:PutObject"],
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s.update(Resource="*"), "on every resource"),
        (
            lambda s: s.update(Resource={"Fn::Sub": "arn:aws:states:${R}:1:stateMachine:*"}),
            "on every resource",
        ),
        (lambda s: s.update(Action=["s3:*"]), "actions s3:*"),
        (lambda s: s.update(Action="s3:GetObject", Resource=["${A}", "*"]), "s3:GetObject on every resource"),
    ],
)
def test_wildcard_without_a_reason_is_found(change, expected):
    made = role(Role("R", "lambda.amazonaws.com", (Permission(("s3:GetObject",), ("${B.Arn}/a*",)),), "p"))
    change(made["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0])
    (found,) = wildcards.check({"Resources": {"R": made}})
    assert found.code == "ASL351"
    assert expected in found.what


def test_conditions_keep_statements_apart():
    given = (
        Permission(("states:StartExecution",), ("${M}",)),
        Permission(
            ("states:StartExecution",), ("${M}",), conditions=(("StringEquals", "k", "${AWS::Region}"),)
        ),
    )
    assert statements(given) == [
        {"Effect": "Allow", "Action": ["states:StartExecution"], "Resource": {"Ref": "M"}},
        {
            "Effect": "Allow",
            "Action": ["states:StartExecution"],
            "Resource": {"Ref": "M"},
            "Condition": {"StringEquals": {"k": {"Ref": "AWS::Region"}}},
        },
    ]


def test_wildcard_under_a_condition_is_found_too():
    statement = {
        "Fn::If": ["C", {"Effect": "Allow", "Action": "a:B", "Resource": "*"}, {"Ref": "AWS::NoValue"}]
    }
    made = role(Role("R", "lambda.amazonaws.com", (), "p"))
    made["Properties"]["Policies"][0]["PolicyDocument"]["Statement"] = [statement]
    assert [found.what for found in wildcards.check({"Resources": {"R": made}})] == [
        "allows a:B on every resource, without a reason"
    ]


@pytest.mark.parametrize("has_key", [True, False])
@pytest.mark.parametrize(("data", "topic"), [(True, True), (True, False), (False, True)])
def test_keys_are_allowed_where_they_are_used_and_once(has_key, data, topic):
    made = role(Role("R", "states.amazonaws.com", (), "p", uses_data_key=data, uses_topic_key=topic))
    conditions = {"HasKmsKey": has_key, "OwnsAlertKey": not has_key}
    chosen = [
        then if conditions[condition] else otherwise
        for condition, then, otherwise in (
            s["Fn::If"] for s in made["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        )
    ]
    keys = [text(statement["Resource"]) for statement in chosen if "Resource" in statement]
    expected = ["${KmsKeyArn}"] if has_key else ["${AlertKey.Arn}"] * topic
    assert keys == expected
