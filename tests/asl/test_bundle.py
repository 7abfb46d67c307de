"""What ships: the closure of imports, nothing of other engines, and the transform with its siblings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asl.emit import transform_code
from asl.emit.bundle import Bundle, bundle, closure, handler_bundle, zipped
from asl.emit.imports import imports
from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
from ingestion_assets.plan import asset_plan
from tests.pipelines.customer_value import pipeline as customer_value
from tests.pipelines.diamond import pipeline as diamond

ORDERS = bundle(order_lines, asset_plan(pipeline, order_lines))
TOTALS = bundle(
    customer_value.customer_totals, asset_plan(customer_value.pipeline, customer_value.customer_totals)
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b, c", ["a.b", "c"]),
        ("from a import b, c", ["a", "a.b", "a.c"]),
        ("from . import x", ["p.q", "p.q.x"]),
        ("from .x import y", ["p.q.x", "p.q.x.y"]),
        ("from ..x import y", ["p.x", "p.x.y"]),
        ("def f():\n    import late", ["late"]),
        ("try:\n    import a\nexcept ImportError:\n    import b", ["a", "b"]),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", ["b"]),
        ("import typing\nif typing.TYPE_CHECKING:\n    import a", ["typing"]),
    ],
)
def test_imports(source, expected):
    found = [name for given in imports(source, "m.py") for name in given.modules("p.q.m", Path("m.py"))]
    assert found == expected


def test_relative_import_in_a_package_starts_at_the_package():
    (given,) = imports("from .x import y", "__init__.py")
    assert list(given.modules("p.q", Path("p/q/__init__.py"))) == ["p.q.x", "p.q.x.y"]


def test_function_ships_its_own_engine_only():
    names = set(ORDERS.files)
    assert "aws_runtime/engines/duckdb.py" in names
    assert not [name for name in names if "spark" in name or "/glue/" in name]
    assert "aws_runtime/handlers/materialize.py" in names


def test_job_ships_its_own_engine_only():
    names = set(TOTALS.files)
    assert {"aws_runtime/engines/spark.py", "aws_runtime/glue/materialize.py"} <= names
    assert not [name for name in names if "duckdb" in name or "/handlers/" in name]


def test_transform_ships_with_the_siblings_that_it_imports():
    code = {name for name in TOTALS.files if name.startswith("pipeline_code/")}
    assert code == {
        "pipeline_code/__init__.py",
        "pipeline_code/customer_value/__init__.py",
        "pipeline_code/customer_value/money.py",
        "pipeline_code/customer_value/transforms.py",
    }
    assert json.loads(TOTALS.files["plan.json"])["transform"] == (
        "pipeline_code.customer_value.transforms:customer_totals"
    )


FRONT_DOOR = [handler_bundle(handler) for handler in ("build_manifests", "orchestrate", "sweep")]


@pytest.mark.parametrize("given", [ORDERS, TOTALS, *FRONT_DOOR], ids=lambda b: b.name)
def test_every_module_in_the_zip_imports_with_the_zip_alone(given, tmp_path):
    """No module of the project is missing: the checkout is not on the path."""
    path = tmp_path / "code.zip"
    path.write_bytes(zipped(given.files))
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in given.files
        if name.endswith(".py")
    ]
    script = (
        "import importlib, sys\n"
        "sys.path[:] = [p for p in sys.path if p.endswith(('site-packages', 'lib-dynload', '.zip')) or 'lib/python' in p]\n"
        f"sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"sys.path.insert(0, {str(path)!r})\n"
        f"for name in {modules!r}:\n"
        f"    assert importlib.import_module(name).__file__.startswith({str(path)!r}), name\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_closure_follows_imports_into_packages():
    names = {path.name for path in closure(["aws_runtime.plan"])}
    assert names == {"__init__.py", "codec.py", "contract.py", "plan.py"}


def test_files_are_parsed_once_whatever_the_number_of_assets(monkeypatch):
    """What keeps a thousand assets linear: their code is that of a few files."""
    parsed = []
    monkeypatch.setattr(transform_code, "imports", lambda source, file: parsed.append(file) or ())
    transform_code._imports.cache_clear()
    for asset in diamond.pipeline.assets * 10:
        bundle(asset, asset_plan(diamond.pipeline, asset))
    transform_code._imports.cache_clear()
    assert [Path(file).name for file in parsed] == ["transforms.py"]


def test_digest_depends_on_paths_and_contents_only():
    given = Bundle("b", {"a": b"1", "b": b"2"})
    assert given.digest == Bundle("other", {"b": b"2", "a": b"1"}).digest
    assert given.digest != Bundle("b", {"a": b"12", "b": b""}).digest
    assert given.digest != Bundle("b", {"a": b"1", "c": b"2"}).digest
    assert given.key == f"bundles/b-{given.digest}.zip"


def test_assets_of_one_pipeline_share_everything_but_their_plans():
    first, second = (
        bundle(asset, asset_plan(diamond.pipeline, asset)).files
        for asset in (diamond.highest, diamond.lowest)
    )
    assert {name for name in first if first[name] != second[name]} == {"plan.json"}


def test_a_handler_that_is_not_there_is_an_error():
    with pytest.raises(ModuleNotFoundError, match=r"aws_runtime\.handlers\.nothing"):
        handler_bundle("nothing")
