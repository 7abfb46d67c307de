"""A curated pipeline whose runs may ask for Delta tables: states, functions, jobs and what they may do."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asl.checks.machines import check_machine
from asl.checks.templates import wildcards
from asl.compiler import Build, compile_pipelines
from asl.emit.bundle import handler_bundle
from asl.emit.state_machine import definition
from asl.lower import lower_pipeline
from asl.names import function_id, job_id, sql_job_id, step_id
from ingestion_assets import Curation
from ingestion_assets.pipelines.parquet_ingestion.pipeline import pipeline
from tests.asl.curated import EVENT, JOB, LOADED, NAME, RECORD, World, curated
from tests.asl.interpreter import Execution, StatesError, execute

WITH = curated(curation=Curation(delta=True))
ASKED = {"job_id": "run-1", "table": "s3://lake/stock/", "mode": "append"}
FUNCTION = step_id("parquet_ingestion", "orders", "delta")


class Writers(World):
    """The machine's AWS with the function that writes tables."""

    def _function(self, arn: str) -> Any:
        if step_id(NAME, "stock", "delta") in arn:
            return {"status": "written"}
        return super()._function(arn)


def run(job: dict[str, Any], failing: dict[str, StatesError] | None = None) -> tuple[Execution, Writers]:
    world = Writers(answers={"validate": job}, failing=failing or {})
    return execute(definition(lower_pipeline(WITH)).definition, EVENT, world), world


def built(**given: Any) -> Build:
    return compile_pipelines([replace(pipeline, curation=Curation(**given))])


def test_the_machine_passes_every_check() -> None:
    found = definition(lower_pipeline(WITH))
    assert check_machine("shop", found.definition, found.substitutions) == ()


@pytest.mark.parametrize(
    ("kind", "size", "state"),
    [
        ("lambda", 10**12, "Write Delta on Lambda"),
        ("glue_pyspark", 1, "Write Delta on Glue PySpark"),
        ("glue_sql", 1, "Write Delta on Glue SQL"),
        ("auto", 1000, "Write Delta on Lambda"),
        ("auto", 1001, "Write Delta on Glue PySpark"),
    ],
)
def test_what_transforms_a_run_writes_it(kind: str, size: int, state: str) -> None:
    execution, world = run({"processor_type": kind, "bytes": size, "table_format": "delta", "delta": ASKED})
    assert execution.status == "SUCCEEDED", execution.cause
    assert [name for name in execution.entered if name.startswith("Write")] == [state]
    arguments = world.asked(state)
    event = arguments["Payload"] if "Payload" in arguments else json.loads(arguments["Arguments"]["--event"])
    assert event == {"load": {**ASKED, "record": RECORD["record"]}}
    assert world.asked("Load")["Payload"]["job"]["table_format"] == "delta"
    assert execution.output["outputs"] == LOADED["outputs"]


def test_a_run_into_files_writes_no_table() -> None:
    execution, _ = run({**JOB, "table_format": "files"})
    assert execution.status == "SUCCEEDED", execution.cause
    assert not [name for name in execution.entered if name.startswith(("Write", "Choose a writer"))]


def test_a_table_that_cannot_be_written_is_a_failed_load() -> None:
    wrong = StatesError("DeltaWriteError", "the column 'id' is long there")
    asked = {"processor_type": "lambda", "table_format": "delta", "delta": ASKED}
    execution, world = run(asked, {"Write Delta on Lambda": wrong})
    assert execution.status == "FAILED"
    told = world.told("Announce failure")
    assert (told["step"], told["code"]) == ("load", "DeltaWriteError")


def test_functions_and_jobs() -> None:
    template = built(delta=True).template["Resources"]
    assert template[FUNCTION]["Properties"]["Handler"] == "aws_runtime.handlers.load_delta.handler"
    for name in (job_id, sql_job_id):
        arguments = template[name("parquet_ingestion", "orders")]["Properties"]["DefaultArguments"]
        assert arguments["--datalake-formats"] == "delta"
        assert "DeltaSparkSessionExtension" in arguments["--conf"]


def test_zips_and_layer_hold_what_writes() -> None:
    (compiled,) = built(delta=True).compiled
    (step,) = [step for step in compiled.steps if step.name == "delta"]
    distributions = {line.partition("==")[0] for line in step.pins.lines}
    assert {"deltalake", "duckdb", "aws-lambda-powertools"} <= distributions
    assert "pyarrow" not in distributions
    assert json.loads(step.bundle.files["curation.json"])["delta"] is True
    for item in compiled.assets:
        holds = "aws_runtime/glue/load_delta.py" in item.bundle.files
        assert holds == (item.runner != function_id("parquet_ingestion", "orders"))


def test_the_zip_of_the_function_needs_its_layer_alone(tmp_path: Path) -> None:
    for path, data in handler_bundle("load_delta").files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    missing = ("pandas", "polars", "pyarrow", "pyspark", "sqlglot")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing})); import aws_runtime.handlers.load_delta as m"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}; print(m.__file__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "POWERTOOLS_SERVICE_NAME": "shop"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip().startswith(str(tmp_path))


def test_without_delta_nothing_is_there() -> None:
    build = built()
    (compiled,) = build.compiled
    assert [step.name for step in compiled.steps] == ["validate", "check", "load"]
    assert FUNCTION not in build.template["Resources"]
    assert "Write Delta on Lambda" not in compiled.definition["States"]
    assert all("aws_runtime/glue/load_delta.py" not in item.bundle.files for item in compiled.assets)


def test_no_role_has_an_unexplained_wildcard() -> None:
    assert list(wildcards.check(built(delta=True).template)) == []
