"""Names on the command line -> files and keys."""

from __future__ import annotations

import pytest

from asl.deploy.errors import OperationError
from asl.deploy.files import expand


@pytest.fixture
def folder(tmp_path):
    for name in (
        "a.json",
        "2025-01-17/b c.json",
        "2025-01-18/d+é%2F=.json",
        ".hidden/e.json",
        "2025-01-18/.f",
    ):
        path = tmp_path / "orders" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return tmp_path / "orders"


def keys(*names):
    return [file.relative_key for file in expand([str(name) for name in names])]


def test_a_folder_keeps_its_inner_folders_and_leaves_hidden_files(folder):
    assert keys(folder) == ["2025-01-17/b c.json", "2025-01-18/d+é%2F=.json", "a.json"]


def test_a_single_file_is_called_by_its_name(folder):
    assert keys(folder / "2025-01-17/b c.json") == ["b c.json"]


def test_files_of_a_shells_expansion_keep_their_days(folder):
    assert keys(*sorted(folder.glob("*/[bd]*.json"))) == ["2025-01-17/b c.json", "2025-01-18/d+é%2F=.json"]


def test_a_quoted_pattern_keeps_what_varies(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert keys("orders/**/*.json") == ["2025-01-17/b c.json", "2025-01-18/d+é%2F=.json", "a.json"]
    assert keys("orders/2025-01-17/*") == ["b c.json"]


def test_a_name_that_is_a_pattern_is_that_file(folder):
    (folder / "[x]*.json").write_text("{}")
    assert keys(folder / "[x]*.json") == ["[x]*.json"]


def test_the_same_file_twice_is_one(folder):
    assert keys(folder / "a.json", folder / "a.json") == ["a.json"]


def test_what_names_nothing_is_said(tmp_path):
    with pytest.raises(OperationError, match=r"ASL420 .*none.json.* names no file"):
        expand([str(tmp_path / "none.json")])


def test_two_files_with_one_key_are_refused(folder):
    with pytest.raises(OperationError, match=r"ASL421 .*'b c.json'"):
        expand([str(folder / "2025-01-17"), str(folder / "2025-01-17" / "b c.json"), str(_other(folder))])


def _other(folder):
    path = folder.parent / "other"
    path.mkdir()
    (path / "b c.json").write_text("[]")
    return path
