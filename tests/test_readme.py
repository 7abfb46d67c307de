"""The README's "add a pipeline" is true: its three files, as they stand there, compile and run."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from asl.compiler import compile_pipelines
from aws_runtime.engines import InputFile, Limits
from aws_runtime.step import run_step
from ingestion_assets.pipelines import discover
from ingestion_assets.plan import asset_plan

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^`(?P<name>\w+\.py)`,.*?^```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def payments(tmp_path, monkeypatch):
    """The README's pipeline, in a package of its own."""
    package = "readme_pipelines"
    folder = tmp_path / package / "payments"
    folder.mkdir(parents=True)
    for init in (folder.parent / "__init__.py", folder / "__init__.py"):
        init.touch()
    blocks = {m["name"]: m["code"] for m in BLOCK.finditer((ROOT / "README.md").read_text())}
    assert set(blocks) == {"schemas.py", "transforms.py", "pipeline.py"}
    for name, code in blocks.items():
        (folder / name).write_text(code.replace("ingestion_assets.pipelines.payments", f"{package}.payments"))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    (pipeline,) = discover(package)
    yield pipeline
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        del sys.modules[name]


def test_the_table_lists_every_pipeline_that_there_is():
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| (here|planned) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, state in rows if state == "here"} == {pipeline.name for pipeline in discover()}


def test_the_pipeline_compiles(payments):
    build = compile_pipelines([payments])
    kinds = {resource["Type"] for resource in build.template["Resources"].values()}
    assert {"AWS::StepFunctions::StateMachine", "AWS::Lambda::Function", "AWS::Glue::Table"} <= kinds


def test_the_pipeline_runs(payments, tmp_path):
    sent = tmp_path / "payments.json"
    rows = [
        {"payment_id": "a", "paid_on": "2025-01-17", "amount": 10, "currency": "USD"},
        {"payment_id": "b", "paid_on": "2025-01-17", "amount": "20.5", "currency": "EUR"},
        {"payment_id": "c", "paid_on": "2025-01-17", "amount": 5, "currency": "GBP"},
        {"payment_id": "d", "paid_on": "2025-01-17", "amount": -5, "currency": "EUR"},
    ]
    sent.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run_step(
        asset_plan(payments, payments.assets[0]),
        {"payments": [InputFile(str(sent), str(sent))]},
        destination=str(tmp_path / "out"),
        quarantine=str(tmp_path / "quarantine"),
        stem="stem",
        limits=Limits(200_000_000, 1, str(tmp_path / "spill")),
    )
    assert (result.rows_in, result.rows_out, result.rows_quarantined) == (4, 2, 2)
    assert result.violations == {"payments.currency.isin": 1, "payments.amount.greater_than": 1}
    assert [file.partition for file in result.files] == [{"dt": "2025-01-17"}]
