"""The command line: what it prints, its exit codes, one clear line for a mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from asl.cli import SUMMARIES, cli
from asl.emit.templates import EMITTERS
from asl.resources import Table
from ingestion_assets.errors import CompileError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def asl(monkeypatch):
    """Run a command in this process, over the test pipelines."""
    monkeypatch.setenv("ASL_PIPELINES", "tests.pipelines")

    def run(*arguments):
        return CliRunner().invoke(cli, arguments, catch_exceptions=True)

    return run


def command(*arguments, **environment):
    """Run `asl` as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "asl.cli", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_lists_every_command_without_importing_one():
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from asl.cli import cli\n"
        "print(CliRunner().invoke(cli, ['--help']).output)\n"
        "print(sorted(m for m in sys.modules if m.startswith(('asl.commands.', 'boto3', 'rich', 'pandera'))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    files = {p.stem for p in (ROOT / "asl" / "commands").glob("*.py")} - {"__init__"}
    assert files == set(SUMMARIES)
    assert all(f"  {name} " in done.stdout for name in files)
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.parametrize("name", sorted(SUMMARIES))
def test_every_command_explains_itself(asl, name):
    result = asl(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_list(asl):
    found = json.loads(asl("list", "--json").output)["pipelines"]
    assert [pipeline["name"] for pipeline in found] == ["customer_value", "diamond"]
    assert found[0]["assets"][1] == {
        "name": "customer_totals",
        "inputs": ["basket_items"],
        "processor": "glue_pyspark",
        "bucket": "shop-lake",
        "prefix": "customer_totals/",
        "contract": "CustomerTotal",
    }
    assert "customer_totals <- basket_items" in asl("list").output


def test_export_of_one_pipeline(asl, tmp_path):
    result = asl("export", "diamond", "--out", str(tmp_path / "b"), "--json")
    assert result.exit_code == 0
    assert list(json.loads(result.stdout)["pipelines"]) == ["diamond"]
    assert {p.name for p in (tmp_path / "b").iterdir()} == {
        "budget.json",
        "bundles",
        "diamond",
        "layers",
        "manifest.json",
        "routes.json",
        "template.json",
    }


def test_export_needs_no_network_and_no_credentials(tmp_path):
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise RuntimeError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from asl.cli import cli\n"
        f"cli(['export', '--out', {str(tmp_path)!r}], standalone_mode=False)\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('boto3', 'dagster')]\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environment |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_validate_finds_nothing_in_what_is_exported(asl):
    result = asl("validate", "--json")
    assert json.loads(result.output)["errors"] == 0
    assert result.exit_code == 0


def test_validate_fails_on_an_error(asl, monkeypatch):
    def plain(given):
        return {given.id: {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Retain", "Properties": {}}}

    monkeypatch.setitem(EMITTERS, Table, plain)
    result = asl("validate", "diamond")
    assert result.exit_code == 1
    assert "error ASL352 template.json DiamondTracking: is not encrypted" in result.output


def test_graphs(asl):
    assets = asl("graph", "diamond").output
    assert assets.startswith("flowchart")
    assert assets.count("-->") == 5
    machine = json.loads(asl("graph", "diamond", "--machine", "--json").output)
    assert machine["mermaid"].startswith("flowchart TD")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("export", "diamon"),
            "ASL008 tests.pipelines:1: there is no pipeline 'diamon'. Did you mean diamond?",
        ),
        (
            ("graph", "xyz"),
            "ASL008 tests.pipelines:1: there is no pipeline 'xyz'. Declared: customer_value, diamond",
        ),
        (
            ("--package", "no.such", "list"),
            "ASL005 no.such:1: there is no package 'no.such'. Name one with --package …",
        ),
    ],
)
def test_mistake_is_one_line(asl, arguments, expected):
    result = asl(*arguments)
    assert isinstance(result.exception, CompileError)
    assert str(result.exception).replace("--package or ASL_PIPELINES", "--package …") == expected


def test_mistake_has_no_traceback():
    done = command("export", "nope", ASL_PIPELINES="tests.pipelines")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("ASL008 ")


def test_unknown_command_names_the_nearest():
    done = command("exprot")
    assert done.returncode == 2
    assert "no command 'exprot'. Did you mean export?" in done.stderr


@pytest.mark.parametrize(
    ("mistake", "line", "said"),
    [
        ("import narwhalz\n", 1, "ModuleNotFoundError: No module named 'narwhalz'"),
        ("x = 1\ny = = 2\n", 2, "SyntaxError: invalid syntax"),
        ("from ingestion_assets import Bucket\n\nBucket(nam='landing')\n", 3, "TypeError: "),
    ],
)
def test_declaration_that_cannot_be_imported(asl, tmp_path, monkeypatch, mistake, line, said):
    package = f"broken_{line}"
    folder = tmp_path / package / "payments"
    folder.mkdir(parents=True)
    for init in (folder.parent / "__init__.py", folder / "__init__.py"):
        init.touch()
    (folder / "transforms.py").write_text(mistake)
    (folder / "pipeline.py").write_text(f"from {package}.payments import transforms\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = asl("--package", package, "list")
    assert isinstance(done.exception, CompileError)
    said_line = str(done.exception)
    assert said_line.startswith(f"ASL009 {package}/payments/transforms.py:{line}: ")
    assert said in said_line
    assert "\n" not in said_line
