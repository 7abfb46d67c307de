"""What `export` writes: the goldens, the same bytes every time, and nothing of others touched."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from asl.checks.templates import check_template
from asl.compiler import compile_pipelines, export
from asl.emit.bundle import zipped
from asl.selection import declared
from ingestion_assets.errors import CompileError
from ingestion_assets.pipelines import discover
from tests.golden_files import GOLDEN, compare

ROOT = Path(__file__).parents[2]


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


PIPELINES = {pipeline.name: pipeline for pipeline in (*discover(), *discover("tests.pipelines"))}


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_golden(name, tmp_path, update_golden):
    """Every pipeline exported alone: what a change does to production."""
    export(compile_pipelines([PIPELINES[name]]), tmp_path)
    made = {path: data for path, data in files(tmp_path).items() if path.endswith((".json", ".sql"))}
    del made["manifest.json"]
    flat = {path.removeprefix(f"{name}/"): data for path, data in made.items()}
    compare(flat, GOLDEN / name, update=update_golden)


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_golden_template_passes_every_check(name):
    template = json.loads((GOLDEN / name / "template.json").read_text())
    assert check_template(template) == ()


SCRIPT = """
import sys
from pathlib import Path
from asl.compiler import compile_pipelines, export
from ingestion_assets.pipelines import discover
pipelines = discover("tests.pipelines")
assert __import__("aws_runtime").__file__.startswith(str(Path.cwd()))
export(compile_pipelines(pipelines[::int(sys.argv[2])]), Path(sys.argv[1]))
"""


def test_the_same_bytes_whatever_the_hash_seed_the_time_zone_the_order_and_the_place(tmp_path):
    places = (tmp_path / "here", tmp_path / "over there")
    sources = ROOT
    for place in places:
        for package in ("asl", "aws_runtime", "ingestion_assets", "tests/pipelines"):
            shutil.copytree(sources / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
        sources = place
    exports = []
    for place, seed, zone, order in zip(
        places, ("0", "4242"), ("UTC", "Asia/Tokyo"), ("1", "-1"), strict=True
    ):
        environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(place)}
        command = [sys.executable, "-c", SCRIPT, "build", order]
        subprocess.run(command, cwd=place, env=environment, check=True, timeout=300)
        exports.append(files(place / "build"))
    assert len(exports[0]) > 20
    assert exports[0] == exports[1]


def test_manifest_lists_what_is_uploaded_with_its_hash(tmp_path):
    manifest = export(compile_pipelines(discover("tests.pipelines")), tmp_path)
    for entry in manifest["artifacts"]:
        assert hashlib.sha256((tmp_path / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
    keys = {entry["key"] for entry in (*manifest["artifacts"], *manifest["layers"])}
    text = (tmp_path / "template.json").read_text()
    assert all(key in text for key in keys)
    assert sorted(manifest["files"]) == sorted(files(tmp_path))
    for layer in manifest["layers"]:
        lines = (tmp_path / layer["requirements"]).read_text().split()
        assert lines == sorted(lines)
        assert all(line.count("==") == 1 for line in lines)


def test_zip_holds_readable_files_of_one_time(tmp_path):
    export(compile_pipelines(declared()), tmp_path)
    with zipfile.ZipFile(next((tmp_path / "bundles").iterdir())) as archive:
        entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_compressed_zip_holds_the_same_files():
    given = {"python/a.py": b"a" * 10_000, "python/b/c.txt": b""}
    for compress in (True, False):
        with zipfile.ZipFile(io.BytesIO(zipped(given, compress=compress))) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == given


def test_second_export_removes_what_the_first_left_and_nothing_else(tmp_path):
    every = discover("tests.pipelines")
    export(compile_pipelines(every), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    manifest = export(compile_pipelines(every[:1]), tmp_path)
    assert sorted(files(tmp_path)) == sorted([*manifest["files"], "notes.txt"])
    assert not list(tmp_path.rglob("*.partial"))


def test_manifest_of_another_tool_is_not_taken_for_an_export(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "web app"}')
    with pytest.raises(CompileError, match="ASL301"):
        export(compile_pipelines(declared()), tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"name": "web app"}


def test_manifest_cannot_name_files_outside_the_folder(tmp_path):
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    out = tmp_path / "build"
    out.mkdir()
    (out / "manifest.json").write_text(json.dumps({"files": ["../kept.txt", str(kept)]}))
    export(compile_pipelines(declared()), out)
    assert kept.read_text() == "mine"
