"""The JSON format by itself: lines, depth, layouts and explanations, in bounded memory."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from aws_runtime.contract import Column, Contract, DataType, Field
from aws_runtime.formats.json import Layout, Options, explain, lines, prepare, too_deep, why_malformed

CONTRACT = Contract(
    "Record",
    (
        Column("a", DataType("string")),
        Column("n", DataType("struct", fields=(Field("x", DataType("int64")),))),
        Column("l", DataType("list", item=DataType("list", item=DataType("string")))),
    ),
)


@given(st.lists(st.sampled_from([b"", b" ", b"{}", b'{"a": 1}', b"x" * 30, b"\t{}\r"]), max_size=8))
def test_lines_are_numbered_as_in_an_editor_and_blank_ones_are_no_records(parts: list[bytes]) -> None:
    found = list(lines(io.BytesIO(b"\n".join(parts)), 20))
    wanted = [(number, part) for number, part in enumerate(parts, start=1) if part.strip()]
    assert [(line.number, line.too_long) for line in found] == [(n, len(p.strip()) > 20) for n, p in wanted]
    assert [line.record for line in found] == list(range(1, len(wanted) + 1))
    assert [line.data for line in found if not line.too_long] == [
        p.strip() for _, p in wanted if len(p.strip()) <= 20
    ]


class Endless(io.RawIOBase):
    """A line of a gigabyte that is made as it is read, to see that it is never held."""

    def __init__(self) -> None:
        self.left, self.largest = 1024**3, 0

    def readline(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, size)
        count = min(size, self.left)
        self.left -= count
        return b"x" * count


def test_a_line_of_a_gigabyte_is_never_held() -> None:
    file = Endless()
    (line,) = lines(file, 1000)
    assert line.too_long
    assert len(line.data) <= 1002
    assert file.largest <= 1024**2


def nested(depth: int) -> object:
    value: object = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


@given(st.integers(0, 60), st.integers(0, 60), st.text(alphabet='[{]}"\\', max_size=20))
def test_depth_counts_brackets_outside_of_text_only(depth: int, allowed: int, text: str) -> None:
    data = json.dumps([text, nested(depth), text]).encode()
    assert too_deep(data, allowed) == (depth + 1 if depth + 1 > allowed else None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": {"any": 1}, "n": {"x": "t"}, "l": [["b"], null]}', None),
        (b'{"n": null, "l": []}', None),
        (b'{"other": 1, "other": 2}', None),
        (b'{"n": {"x": 1, "x": 2}}', "n.x: appears twice in one object"),
        (b'{"l": [["a"], "b"]}', 'l[1]: "b" is not a list'),
        (b'{"l": {"0": 1}}', "l: an object is not a list"),
        (b'{"n": 12345678901234567890}', "n: 12345678901234567890 is not an object"),
        (b'{"n": ' + b"9" * 5000 + b"}", f"n: {'9' * 100} is not an object"),
        (b"true", "record: true is not an object"),
        (b'{"a": 1', "record: not valid JSON: Expecting ',' delimiter at character 8"),
        (b'{"a": "x', "record: not valid JSON: Unterminated string at character 7"),
        (b'{"a": "x\ty"}', "record: not valid JSON: Invalid control character at character 9"),
        (b"[" * 200, "record: nested 200 levels deep, and max_depth is 100"),
        (b'{"a": "\xc3("}', "record: invalid UTF-8 at byte 8"),
    ],
)
def test_explanations_name_the_place(data: bytes, reason: str | None) -> None:
    assert explain(data, CONTRACT, Options()) == reason


def test_a_broken_array_is_explained_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "given.json"
    path.write_text('[{"a": "é"},\n{"a": "x')
    assert why_malformed(str(path), "uri", "").reason == "Unterminated string at byte 21, line 2"


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ('{"a": 1}\n{"a": 2}', Layout.LINES),
        ('\n\n  {"a": 1}', Layout.LINES),
        (" \n[", Layout.ARRAY),
        ('{\n"a": 1}', Layout.OBJECTS),
        ("5", Layout.LINES),
        (" " * 3_000_000 + "[]", Layout.ARRAY),
    ],
)
def test_layout_is_told_by_content(tmp_path: Path, text: str, layout: Layout) -> None:
    path = tmp_path / "given.json"
    path.write_text(text)
    assert prepare(str(path), "uri", Options(), tmp_path).layout is layout


def test_a_zstd_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(zstandard.compress(b'{"a": 1}\n{"a": 2}\n'))
    prepared = prepare(str(path), "uri", Options(), tmp_path)
    assert prepared.layout is Layout.LINES
    assert Path(prepared.path).read_bytes() == b'{"a": 1}\n{"a": 2}\n'
