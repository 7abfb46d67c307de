"""The emulator's environment: found where it was made, or a clear line."""

from __future__ import annotations

import pytest

from asl.deploy.errors import OperationError
from asl.local import environment


def test_the_named_environment_is_taken(tmp_path, monkeypatch):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    monkeypatch.setenv("ASL_LOCAL_VENV", str(tmp_path))
    assert environment.emulator_python() == python


def test_the_working_directorys_environment_comes_before_the_projects(tmp_path, monkeypatch):
    monkeypatch.delenv("ASL_LOCAL_VENV", raising=False)
    for folder in ("here", "project"):
        (tmp_path / folder / ".venv-local/bin").mkdir(parents=True)
        (tmp_path / folder / ".venv-local/bin/python").touch()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(environment, "PROJECT", tmp_path / "project")
    assert environment.emulator_python() == tmp_path / "here/.venv-local/bin/python"
    (tmp_path / "here/.venv-local/bin/python").unlink()
    assert environment.emulator_python() == tmp_path / "project/.venv-local/bin/python"


def test_what_cannot_be_installed_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("ASL_LOCAL_VENV", str(tmp_path / "new"))
    monkeypatch.setattr(environment, "CONSTRAINTS", tmp_path / "no-such-constraints.txt")
    with pytest.raises(
        OperationError, match=r"ASL404 .*new cannot be made: .*no-such-constraints\.txt.*make setup"
    ):
        environment.emulator_python()
