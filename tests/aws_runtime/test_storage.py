"""The work folder cleans up after the living and the dead; names on disk are safe."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_runtime import storage, work
from aws_runtime.events import S3Object


def test_a_work_folder_is_empty_and_gone_afterwards(tmp_path):
    with work.work_folder(str(tmp_path)) as folder:
        assert list(folder.iterdir()) == []
        (folder / "x").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_a_work_folder_is_gone_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), work.work_folder(str(tmp_path)) as folder:
        (folder / "x").write_text(str(1 / 0))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_function_left_is_removed(tmp_path):
    code = (
        "import os\nfrom aws_runtime import work\n"
        f"with work.work_folder({str(tmp_path)!r}) as folder:\n"
        "    (folder / 'x').write_text('x')\n    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    with work.work_folder(str(tmp_path)) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_the_folder_of_a_living_process_stays(tmp_path):
    other = tmp_path / f"materialize-{os.getppid()}-abc"
    other.mkdir()
    stranger = tmp_path / "materialize-notes"
    stranger.mkdir()
    with work.work_folder(str(tmp_path)) as mine, work.work_folder(str(tmp_path)) as second:
        assert {mine, second, other, stranger} == set(tmp_path.iterdir())
    assert {other, stranger} == set(tmp_path.iterdir())


@given(st.text(st.characters(), min_size=1))
def test_a_local_name_is_one_safe_component(key):
    name = storage.local_name(S3Object("b", key), 3)
    assert name.startswith("0003")
    assert name.isascii()
    assert "/" not in name
    assert len(name) < 30


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("orders/a.json", "0000.json"),
        ("orders/a.json.gz", "0000.json.gz"),
        ("dt=2025.01/a", "0000"),
        ("a b.ndjson", "0000.ndjson"),
    ],
)
def test_a_local_name_keeps_extensions(key, name):
    assert storage.local_name(S3Object("b", key), 0) == name


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://b/k", ("b", "k")),
        ("s3://b/", ("b", "")),
        ("s3://b/a//b#c?d%20=", ("b", "a//b#c?d%20=")),
        ("s3://b//k", ("b", "/k")),
    ],
)
def test_uris_are_taken_literally(uri, parts):
    assert storage.parse_uri(uri) == parts


def test_each_keeps_order_and_raises_the_first_error():
    assert storage.each(lambda x: x * 2, range(50)) == [x * 2 for x in range(50)]
    assert storage.each(lambda x: x, []) == []
    with pytest.raises(ZeroDivisionError):
        storage.each(lambda x: 1 // x, range(5))
