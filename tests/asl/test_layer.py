"""Layers: pins of everything that is needed, wheels for the platform asked for, nothing superfluous."""

import subprocess
import zipfile
from importlib.metadata import version

import pytest

from asl.emit import layer
from asl.emit.layer import LAMBDA, THIS_MACHINE, Pins, build_layer, pins
from ingestion_assets.errors import CompileError, Where

WHERE = Where("pipeline.py", 3)


def test_pins_hold_what_is_required_too():
    found = pins("duckdb", ("duckdb", "aws-lambda-powertools"), WHERE)
    names = [line.partition("==")[0] for line in found.lines]
    assert names == ["aws-lambda-powertools", "duckdb", "jmespath", "typing-extensions"]
    assert f"duckdb=={version('duckdb')}" in found.lines


def test_key_follows_the_pins():
    first = Pins("duckdb", ("a==1",))
    assert first.key == Pins("duckdb", ("a==1",)).key != Pins("duckdb", ("a==2",)).key
    assert first.key.startswith("layers/duckdb-")
    assert first.key.endswith(".zip")


def test_distribution_that_is_not_installed_is_an_error():
    with pytest.raises(CompileError, match=r"ASL205 .*not-a-distribution"):
        pins("duckdb", ("not-a-distribution",), WHERE)


def fake_pip(monkeypatch, files, returncode=0, stderr=""):
    """Replace pip by writing `files` where it would install; returns the commands."""
    commands = []

    def run(command, **_):
        commands.append(command)
        target = command[command.index("--target") + 1]
        for name, data in files.items():
            path = layer.Path(target) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(layer.subprocess, "run", run)
    return commands


def test_layer_holds_code_and_metadata_and_not_the_rest(monkeypatch, tmp_path):
    fake_pip(
        monkeypatch,
        {
            "a/__init__.py": b"",
            "a/native.so": b"\x7fELF",
            "a/tests/test_a.py": b"",
            "a/__pycache__/x.pyc": b"",
            "a/types.pyi": b"",
            "a-1.dist-info/METADATA": b"Version: 1",
            "a-1.dist-info/RECORD": b"",
            "bin/a": b"",
        },
    )
    out = build_layer(Pins("e", ("a==1",)), THIS_MACHINE, tmp_path / "x" / "layer.zip")
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [
            "python/a-1.dist-info/METADATA",
            "python/a/__init__.py",
            "python/a/native.so",
        ]
    assert [path.name for path in out.parent.iterdir()] == ["layer.zip"]


def test_platform_is_asked_for_and_nothing_is_built(monkeypatch, tmp_path):
    commands = fake_pip(monkeypatch, {"a.py": b""})
    build_layer(Pins("e", ("a==1",)), LAMBDA, tmp_path / "layer.zip")
    build_layer(Pins("e", ("a==1",)), THIS_MACHINE, tmp_path / "layer.zip")
    there, here = commands
    assert there[there.index("--python-version") + 1] == "3.13"
    assert "manylinux_2_28_aarch64" in there
    assert "--platform" not in here
    assert "--python-version" not in here
    for command in commands:
        assert command[command.index("--only-binary") + 1] == ":all:"
        assert "--no-deps" in command


def test_layer_that_is_too_large_is_an_error(monkeypatch, tmp_path):
    fake_pip(monkeypatch, {"a.so": b"x" * 1_000})
    monkeypatch.setattr(layer, "MAX_UNZIPPED_BYTES", 999)
    with pytest.raises(CompileError, match="ASL207"):
        build_layer(Pins("e", ("a==1",)), THIS_MACHINE, tmp_path / "layer.zip")
    assert not list(tmp_path.iterdir())


def test_wheel_that_does_not_exist_is_an_error(monkeypatch, tmp_path):
    fake_pip(monkeypatch, {}, 1, "WARNING: x\nERROR: No matching distribution found for a==1\n")
    with pytest.raises(CompileError, match=r"ASL206 .*manylinux.*No matching distribution found for a==1"):
        build_layer(Pins("e", ("a==1",)), LAMBDA, tmp_path / "layer.zip")
