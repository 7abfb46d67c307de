"""Wrong declarations -> the exact line that the user reads; `tests/golden/errors/<case>.txt` has it."""

import importlib
import re
from pathlib import Path

import pytest

from asl import declarations
from asl.compiler import compile_pipelines
from aws_runtime import storage
from ingestion_assets.errors import CompileError
from tests.golden_files import GOLDEN

ERRORS = GOLDEN / "errors"
CASES = sorted(p.stem for p in ERRORS.glob("*.py")) + sorted(
    p.parent.name for p in ERRORS.glob("*/pipeline.py")
)
DOCS = Path(__file__).parents[2] / "docs" / "errors.md"


@pytest.mark.parametrize("case", CASES)
def test_error_line(case, update_golden, monkeypatch):
    monkeypatch.chdir(DOCS.parents[1])  # a declaration's file is told relative to where one works
    name = f"tests.golden.errors.{case}" + (".pipeline" if (ERRORS / case).is_dir() else "")
    module = importlib.import_module(name)
    with pytest.raises(CompileError) as caught:
        compile_pipelines(getattr(module, "pipelines", None) or [module.pipeline])
    line = f"{caught.value}\n"
    assert line.count("\n") == 1
    golden = ERRORS / f"{case}.txt"
    if update_golden:
        golden.write_text(line, encoding="utf-8")
    assert line == golden.read_text(encoding="utf-8")


def test_the_compiler_knows_what_fits_a_functions_disk():
    assert declarations.INPUT_SHARE == storage.INPUT_SHARE


def test_every_golden_has_its_case():
    assert sorted(p.stem for p in ERRORS.glob("*.txt")) == sorted(CASES)


def test_every_code_is_documented_and_every_documented_code_exists():
    root = DOCS.parents[1]
    sources = [
        p for package in ("asl", "aws_runtime", "ingestion_assets") for p in (root / package).rglob("*.py")
    ]
    used = {code for p in sources for code in re.findall(r'"(ASL\d{3})"', p.read_text(encoding="utf-8"))}
    documented = set(re.findall(r"^\| (ASL\d{3}) ", DOCS.read_text(encoding="utf-8"), re.MULTILINE))
    assert documented == used
