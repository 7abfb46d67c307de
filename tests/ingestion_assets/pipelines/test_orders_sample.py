"""The sample data is reproducible, and its summary is true of the files."""

import json
from pathlib import Path

from ingestion_assets.pipelines.orders_etl.sample_data import write_orders


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.json"))}


def test_same_seed_same_bytes(tmp_path):
    write_orders(tmp_path / "a", files=12)
    write_orders(tmp_path / "b", files=12)
    write_orders(tmp_path / "c", files=12, seed=8)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_summary_is_true_of_the_files(tmp_path):
    made = write_orders(tmp_path, files=60)
    orders = broken = 0
    for content in contents(tmp_path).values():
        try:
            text = content.decode()
        except UnicodeDecodeError:
            broken += 1
            continue
        try:
            whole = json.loads(text)
            orders += len(whole) if isinstance(whole, list) else 1
        except ValueError:
            lines = text.splitlines()
            if text.startswith("["):
                broken += 1
            else:
                orders += len(lines)
    assert (made.files, made.broken_files, made.orders) == (60, broken, orders)
    assert broken == 2
    assert 0 < made.bad_lines < made.lines


def test_files_lie_in_landing_day_folders(tmp_path):
    write_orders(tmp_path, files=10, days=5)
    assert {name.split("/")[0] for name in contents(tmp_path)} == {f"2025-01-{d}" for d in range(13, 18)}
