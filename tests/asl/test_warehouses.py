"""A curated pipeline with warehouses, compiled: what its load function is told, may do and brings along."""

import json
from dataclasses import replace
from typing import Any

import pytest

from asl.checks.templates import wildcards
from asl.compiler import Build, compile_pipelines
from asl.names import step_id
from ingestion_assets import Curation, RedshiftTable, SnowflakeTable
from ingestion_assets.pipelines.parquet_ingestion.pipeline import pipeline

ROLE = "arn:aws:iam::123456789012:role/copy"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
WORKGROUP = (
    "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/0b1c2d3e-0000-4000-8000-000000000000"
)
REDSHIFT = RedshiftTable("dev", ROLE, workgroup="analytics")
SNOWFLAKE = SnowflakeTable("myorg-shop", "LOADER", f"{SECRET}snow", "LOADING", "SHOP", "raw.staged")
ROLE_ID = step_id("parquet_ingestion", "orders", "load") + "Role"


def built(**tables: Any) -> Build:
    return compile_pipelines([replace(pipeline, curation=Curation(**tables))])


def allowed(build: Build) -> dict[str, Any]:
    """Return what the load function's role may do to warehouses: action -> resource."""
    role = build.template["Resources"][ROLE_ID]
    (policy,) = role["Properties"]["Policies"]
    statements = [one for one in policy["PolicyDocument"]["Statement"] if "Effect" in one]
    found = {action: one["Resource"] for one in statements for action in one["Action"]}
    return {
        action: resource
        for action, resource in found.items()
        if action.startswith(("redshift", "secretsmanager"))
    }


def test_the_load_function_is_told_where() -> None:
    (compiled,) = built(redshift=REDSHIFT, snowflake=SNOWFLAKE).compiled
    told = {step.name: json.loads(step.bundle.files["curation.json"]) for step in compiled.steps}
    assert told["load"]["redshift"] == {"copy_role": ROLE, "database": "dev", "workgroup": "analytics"}
    assert told["load"]["snowflake"]["stage"] == "raw.staged"


def test_without_warehouses_it_may_do_nothing_to_them() -> None:
    assert allowed(built()) == {}


@pytest.mark.parametrize(
    ("table", "actions"),
    [
        (
            {"workgroup": "analytics"},
            {"redshift-data:BatchExecuteStatement", "redshift-serverless:GetCredentials"},
        ),
        ({"workgroup": "analytics", "secret": f"{SECRET}db"}, {"redshift-data:BatchExecuteStatement"}),
        (
            {"cluster": "big"},
            {"redshift-data:BatchExecuteStatement", "redshift:GetClusterCredentialsWithIAM"},
        ),
        ({"cluster": "big", "secret": f"{SECRET}db"}, {"redshift-data:BatchExecuteStatement"}),
    ],
)
def test_what_redshift_needs(table: dict[str, str], actions: set[str]) -> None:
    build = built(redshift=RedshiftTable("dev", ROLE, **table))
    own = {"redshift-data:DescribeStatement"}
    secrets = {"secretsmanager:GetSecretValue"} if "secret" in table else set()
    assert set(allowed(build)) == actions | own | secrets
    assert list(wildcards.check(build.template)) == []


def test_a_workgroups_arn_is_its_only_resource() -> None:
    found = allowed(built(redshift=replace(REDSHIFT, workgroup=WORKGROUP)))
    assert found["redshift-data:BatchExecuteStatement"] == found["redshift-serverless:GetCredentials"]
    assert found["redshift-data:BatchExecuteStatement"] == WORKGROUP


def test_statements_are_its_own() -> None:
    role = built(redshift=REDSHIFT).template["Resources"][ROLE_ID]
    statements = role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (own,) = [one for one in statements if "redshift-data:DescribeStatement" in one.get("Action", ())]
    key = "redshift-data:statement-owner-iam-userid"
    assert own["Condition"] == {"StringEquals": {key: {"Fn::Sub": "${!aws:userid}"}}}


def test_snowflake_needs_its_secret_and_its_connector_in_a_layer_of_the_load_alone() -> None:
    build = built(snowflake=SNOWFLAKE)
    assert allowed(build) == {"secretsmanager:GetSecretValue": f"{SECRET}snow"}
    (compiled,) = build.compiled
    with_connector = [
        step.name for step in compiled.steps if "snowflake-connector-python==" in step.pins.text
    ]
    assert with_connector == ["load"]
    assert not any("snowflake" in step.pins.text for step in built(redshift=REDSHIFT).compiled[0].steps)


def test_redshift_is_waited_for_and_snowflake_is_not() -> None:
    def retried(build: Build) -> list[str]:
        load = build.compiled[0].definition["States"]["Load"]
        return [name for retrier in load["Retry"] for name in retrier["ErrorEquals"]]

    assert "WarehouseBusy" in retried(built(redshift=REDSHIFT))
    assert "WarehouseBusy" not in retried(built(snowflake=SNOWFLAKE))
