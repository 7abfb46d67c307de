"""The component in a Dagster project of its own: loaded, checked by `dg`, run on this machine, found by `asl`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from ingestion_assets.dagster_defs import CuratedPipeline, materialize_pipeline
from ingestion_assets.errors import CompileError
from ingestion_assets.pipelines import discover

ROOT = Path(__file__).parents[3]
COMPONENTS = ROOT / "tests" / "components"
PROJECT = """
[project]
name = "depot"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "depot"
code_location_name = "depot"
"""
DEFINITIONS = """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Dagster project with the two components in its `defs` folder."""
    folder = tmp_path / "depot_project"
    defs = folder / "depot" / "defs"
    for name in ("shipments", "parcels"):
        shutil.copytree(COMPONENTS / name, defs / name)
    for package in (defs.parent, defs):
        (package / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(PROJECT)
    (defs.parent / "definitions.py").write_text(DEFINITIONS)
    return folder


@pytest.fixture
def loaded(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load the project's definitions as Dagster does."""
    monkeypatch.syspath_prepend(project)

    def load() -> dg.Definitions:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dg.load_from_defs_folder(path_within_project=project / "depot" / "defs")

    yield load
    for name in [n for n in sys.modules if n.split(".")[0] == "depot"]:
        del sys.modules[name]


def edit(project: Path, old: str, new: str) -> None:
    file = project / "depot" / "defs" / "shipments" / "defs.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_dagster_loads_what_the_declaration_says(project: Path, loaded: Any) -> None:
    specs = {spec.key.to_user_string(): spec for spec in loaded().resolve_all_asset_specs()}
    assert sorted(specs) == [
        "parcels/parcels",
        "parcels/raw/landed_parcels",
        "shipments/raw/landed_shipments",
        "shipments/shipments",
    ]
    asset = specs["shipments/shipments"]
    assert asset.owners == ["team:logistics"]
    assert asset.metadata["dagster/uri"] == "s3://depot-curated/shipments/dt=…/depot=…"
    columns = {column.name: column.type for column in asset.metadata["dagster/column_schema"].columns}
    assert columns["fee"] == "decimal(10,2)"
    places = [
        (Path(each.file_path).name, each.line_number)
        for each in asset.metadata["dagster/code_references"].code_references
    ]
    assert ("defs.yaml", 10) in places


def test_dagsters_templates_are_filled(project: Path, loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOT_BUCKET", "other-curated")
    edit(project, "depot-curated", '"{{ env.DEPOT_BUCKET }}"')
    specs = {spec.key.to_user_string(): spec for spec in loaded().resolve_all_asset_specs()}
    assert specs["shipments/shipments"].metadata["dagster/uri"].startswith("s3://other-curated/")


@pytest.mark.parametrize(
    ("old", "new", "cause", "said"),
    [
        ("decimal(10,2)", "decimal(99,2)", CompileError, "defs.yaml:13"),
        ("2020-01-01", "yesterday", CompileError, "defs.yaml:15"),
        ("  processor_type: auto", "  processor_typ: auto", Exception, "processor_typ"),
    ],
)
def test_a_mistake_names_its_line(
    project: Path, loaded: Any, old: str, new: str, cause: type[Exception], said: str
) -> None:
    edit(project, old, new)
    with pytest.raises(Exception) as caught:
        loaded()
    error: BaseException | None = caught.value
    told = []
    while error is not None:
        told.append(error)
        error = error.__cause__
    assert any(isinstance(each, cause) and said in str(each) for each in told)


def test_dg_checks_the_yaml_and_the_definitions(project: Path, tmp_path: Path) -> None:
    tools = Path(sys.executable).parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DAGSTER", "INGESTION"))}
    environment |= {
        "HOME": str(tmp_path),
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_DG_CLI_CONFIG": str(tmp_path / "none.toml"),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [tools / "dg", "check", "defs"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All component YAML validated" in done.stdout + done.stderr
    assert "All definitions loaded" in done.stdout + done.stderr


def test_asl_finds_the_same_pipelines(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "asl.cli", "list", "--json"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{project}", "ASL_PIPELINES": "depot.defs"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [pipeline["name"] for pipeline in json.loads(done.stdout)["pipelines"]] == ["parcels", "shipments"]


def test_the_schema_of_the_attributes_has_every_key() -> None:
    from aws_runtime.curation.config import Config  # noqa: PLC0415 - only here

    schema = CuratedPipeline.get_model_cls().model_json_schema()
    assert set(Config.__dataclass_fields__) <= set(schema["properties"])
    assert schema["required"] == ["source_bucket", "target_bucket", "name", "columns"]
    assert schema["additionalProperties"] is False


def landed(root: Path, name: str, folder: str, frame: pl.DataFrame) -> None:
    path = root / "depot-landing" / folder / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)


def published(root: Path, prefix: str) -> pl.DataFrame:
    return pl.read_parquet(root / "depot-curated" / prefix, hive_partitioning=True)


def test_rows_of_a_pipeline_without_code(tmp_path: Path) -> None:
    pipeline = next(each for each in discover("tests.components") if each.name == "shipments")
    rows = {
        "shipment_id": ["S000001", "S000002", "T1", None],
        "weight_kg": [1.5, None, 2.0, 3.0],
        "fee": ["1.25", "2.50", "3.00", "4.00"],
        "express": [True, False, True, False],
    }
    frame = pl.DataFrame(rows).with_columns(pl.col("fee").cast(pl.Decimal(10, 2)))
    landed(tmp_path, "a", "shipments/dt=2024-07-01/depot=ams", frame)
    landed(
        tmp_path,
        "b",
        "shipments/dt=1999-07-01/depot=ams",
        frame.head(1).with_columns(shipment_id=pl.lit("S000009")),
    )
    made = materialize_pipeline(pipeline, tmp_path).assets["shipments"]
    assert (made.rows_out, made.rows_quarantined) == (2, 3)
    out = published(tmp_path, "shipments").sort("shipment_id")
    assert out["shipment_id"].to_list() == ["S000001", "S000002"]
    assert set(out["dt"].to_list()) == {date(2024, 7, 1)}
    assert set(out.columns) == {"shipment_id", "weight_kg", "fee", "express", "dt", "depot"}


def test_rows_of_a_pipeline_with_a_query(tmp_path: Path) -> None:
    pipeline = next(each for each in discover("tests.components") if each.name == "parcels")
    frame = pl.DataFrame({"parcel": [" ab1", "c", "xyz "], "grams": [1500, 2, -5]})
    landed(tmp_path, "a", "parcels/in/dt=2024-07-01", frame)
    made = materialize_pipeline(pipeline, tmp_path).assets["parcels"]
    assert (made.rows_out, made.rows_quarantined) == (1, 2)
    assert published(tmp_path, "parcels").select("parcel_id", "weight_kg").rows() == [("AB1", 1.5)]
