"""A curated pipeline's resources: functions and jobs that are told everything, and may do no more than they must."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from asl.checks.templates import check_template
from asl.compiler import compile_pipelines
from asl.emit.bundle import zipped
from asl.emit.export import files
from asl.resources import CatalogTable, Function, GlueJob, Layer, Role
from aws_runtime.codec import decode
from aws_runtime.curation.declared import Declared
from aws_runtime.plan import AssetPlan
from ingestion_assets import Curation
from tests.asl.curated import curated

BUILD = compile_pipelines([curated(curation=Curation({"processor_type": "lambda"}))])
(COMPILED,) = BUILD.compiled
STEPS = {step.name: step for step in COMPILED.steps}


def of(kind):
    return {each.id: each for each in BUILD.app.resources if isinstance(each, kind)}


def test_a_function_and_two_jobs_run_the_transform_and_three_functions_stand_around_it():
    assert set(of(Function)) == {
        "ShopStockFunction",
        "ShopStockValidateFunction",
        "ShopStockCheckFunction",
        "ShopStockLoadFunction",
        "ShopSweeper",
    }
    assert set(of(GlueJob)) == {"ShopStockJob", "ShopStockSqlJob"}
    assert check_template(BUILD.template) == ()


def test_the_jobs_differ_in_their_plan_alone():
    first, second = of(GlueJob)["ShopStockJob"], of(GlueJob)["ShopStockSqlJob"]
    assert first.script_key == second.script_key
    differ = {name for name in first.arguments if first.arguments[name] != second.arguments[name]}
    assert differ == {"--plan", "--extra-py-files", "--custom-logGroup-prefix"}
    assert "sqlglot==" in first.arguments["--additional-python-modules"]
    plans = [AssetPlan.from_json(json.loads(item.bundle.files["plan.json"])) for item in COMPILED.assets]
    assert [(plan.engine, bool(plan.sql)) for plan in plans] == [
        ("duckdb", False),
        ("spark", False),
        ("spark", True),
    ]


def test_the_functions_are_told_the_declaration_and_the_buckets():
    for step in STEPS.values():
        told = decode(Declared, json.loads(step.bundle.files["curation.json"]))
        assert (told.pipeline, told.asset, told.database, told.table) == ("shop", "stock", "shop", "stock")
        assert told.defaults["processor_type"] == "lambda"
        environment = of(Function)[f"ShopStock{step.name.title()}Function"].environment
        assert {name: environment[variable] for name, variable in told.buckets.items()} == {
            "landing": "${LandingBucket}",
            "lake": "${LakeBucket}",
        }
        assert environment["QUARANTINE"] == "s3://${QuarantineBucket}/"


def test_layers_are_apart_from_those_of_other_pipelines():
    layers = {each.engine for each in of(Layer).values()}
    assert layers == {"curation", "duckdb_curation", "front_door"}
    assert any(line.startswith("pyarrow==") for line in STEPS["validate"].pins.lines)
    (item, *_) = COMPILED.assets
    assert item.pins
    assert not any(line.startswith("pyarrow") for line in item.pins.lines)


def test_the_only_copy_of_a_failed_runs_files_never_expires():
    rules = BUILD.template["Resources"]["LakeBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert not [rule for rule in rules if "ExpirationInDays" in rule]


def test_the_table_has_the_files_columns_and_the_folders_as_keys():
    table = of(CatalogTable)["ShopStockTable"]
    assert [column.name for column in table.columns] == ["sku"]
    assert [(key.name, key.type) for key in table.partition_keys] == [("dt", "string")]


def allowed(role: str) -> dict[str, set[str]]:
    """Actions by resource."""
    found: dict[str, set[str]] = {}
    for permission in of(Role)[role].permissions:
        for resource in permission.resources:
            found.setdefault(resource, set()).update(permission.actions)
    return found


STAGING, RUNS = "${LakeBucket.Arn}/_staging/shop/*", "${LakeBucket.Arn}/_runs/shop/*"
LANDED, CURATED = "${LandingBucket.Arn}/in/*", "${LakeBucket.Arn}/stock/*"


def test_only_validate_removes_what_landed_and_only_load_writes_curated_files():
    roles = ["Validate", "Check", "Load"]
    may = {name: allowed(f"ShopStock{name}FunctionRole") for name in roles}
    may |= {name: allowed(f"ShopStock{name}Role") for name in ("Function", "Job", "SqlJob")}
    removing = {name for name, found in may.items() if "s3:DeleteObjectVersion" in found.get(LANDED, ())}
    assert removing == {"Validate"}
    assert {name for name, found in may.items() if LANDED in found} == {"Validate"}
    assert {name for name, found in may.items() if "s3:PutObject" in found.get(CURATED, ())} == {"Load"}
    assert {name for name, found in may.items() if "s3:PutObject" in found.get(STAGING, ())} == {
        "Validate",
        "Function",
        "Job",
        "SqlJob",
    }
    for name, found in may.items():
        assert "s3:PutObject" in found[RUNS], name
        assert "*" not in {resource for resource in found if "glue" in str(found[resource])}


def test_load_reaches_the_declared_table_and_no_other():
    catalog = {
        r.rpartition(":")[2]
        for r, actions in allowed("ShopStockLoadFunctionRole").items()
        if "glue:GetTable" in actions
    }
    assert catalog == {"catalog", "database/shop", "table/shop/stock"}
    parameter = [
        r for r, actions in allowed("ShopStockValidateFunctionRole").items() if "ssm:GetParameter" in actions
    ]
    assert [each.rpartition(":")[2] for each in parameter] == ["parameter/ingestion/shop/*"]


def test_every_function_is_watched():
    watched = {
        dimension["Value"]["Ref"]
        for resource in BUILD.template["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        for dimension in resource["Properties"]["Dimensions"]
        if dimension["Name"] == "FunctionName"
    }
    assert watched == set(of(Function))
    body = json.dumps(BUILD.template["Resources"]["ShopDashboard"])
    assert all(name in body for name in (*of(Function), *of(GlueJob)) if name != "ShopSweeper")


def test_the_export_shows_the_declaration_and_the_query():
    made = {file.path: file for file in files(BUILD.compiled, BUILD.template, BUILD.budget)}
    assert json.loads(made["shop/curation.json"].data)["asset"] == "stock"
    assert b"SELECT" in made["shop/transforms/stock-glue-sql.sql"].data
    for path in ("bundles/shop-stock-validate.zip", "bundles/shop-stock-glue-sql.zip", "layers/curation.txt"):
        assert path in made
    assert made["bundles/shop-stock-load.zip"].key == STEPS["load"].bundle.key


@pytest.mark.parametrize("step", list(STEPS))
def test_a_steps_zip_and_its_layer_are_all_that_it_imports(step, tmp_path):
    """Imported with nothing of this checkout on the path, and nothing beside the layer's distributions."""
    found = STEPS[step]
    (tmp_path / "code.zip").write_bytes(zipped(found.bundle.files))
    subprocess.run([sys.executable, "-m", "zipfile", "-e", "code.zip", "code"], cwd=tmp_path, check=True)
    script = f"""
import importlib.metadata, os, sys
sys.path.insert(0, "code")
names = {[line.partition("==")[0] for line in found.pins.lines]!r}
runtime = ["boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"]
allowed = set()
for name in (*names, *runtime):
    for path in importlib.metadata.files(name) or ():
        allowed.add(path.parts[0].removesuffix(".py").partition(".")[0])
class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in allowed or top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if path is None and not known and top not in ("aws_runtime", "_distutils_hack"):
            raise ModuleNotFoundError(f"{{name}} is in no layer", name=name)
sys.meta_path.insert(0, Guard())
import aws_runtime.handlers.{found.handler} as handler
assert handler.__file__.startswith(os.path.abspath("code"))
assert handler.load_declared().pipeline == "shop"
"""
    environment = {"PATH": "/usr/bin", "AWS_DEFAULT_REGION": "eu-west-1", "POWERTOOLS_SERVICE_NAME": "shop"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
