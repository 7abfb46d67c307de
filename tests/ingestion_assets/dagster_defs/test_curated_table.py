"""Publishing on this machine, killed at each of its writes: the next run leaves what a run alone would leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aws_runtime.contract import Contract
from aws_runtime.curation.config import OutputFormat, WriteMode
from ingestion_assets.dagster_defs.curated_table import Publication, Staged, Table
from ingestion_assets.dagster_defs.sites import LandedFile

DAY = datetime(2024, 7, 1, tzinfo=UTC)


class KilledError(Exception):
    """The process ends here."""


@contextmanager
def killed(at: int) -> Iterator[None]:
    """End the process before the given one of its renames and removals; none follows."""
    calls = 0

    def guarded(original: Any) -> Any:
        def call(*arguments: Any, **how: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > at:
                raise KilledError
            return original(*arguments, **how)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, guarded(getattr(Path, name)))
        yield


def table(root: Path) -> Table:
    return Table(root, root / "zone/orders", root / "quarantine/rows", root / "zone/_runs/curated.json")


def landed(*names: str) -> list[LandedFile]:
    return [LandedFile("orders", "landing", name, f"{name}-1", DAY, name) for name in names]


def publication(
    root: Path,
    outputs: dict[str, str],
    taken: Sequence[LandedFile],
    mode: WriteMode,
    everything: Sequence[LandedFile] | None = None,
) -> Publication:
    """Stage `outputs`, content by path, and a quarantine file that is named as the first file taken."""
    staging = root / ".staging"
    for below, content in {**outputs, f"q/{taken[0].key}": "bad"}.items():
        path = staging / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Publication(
        staged=[Staged(staging / below, below, 1) for below in outputs],
        quarantine=[staging / "q" / taken[0].key],
        taken=taken,
        landed=taken if everything is None else everything,
        only_new=mode is WriteMode.MERGE,
        mode=mode,
        form=OutputFormat.PARQUET,
        contract=Contract("rows", ()),
        last={},
    )


def there(root: Path) -> dict[str, str]:
    found = [*(root / "zone/orders").rglob("*"), *(root / "quarantine").rglob("*")]
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(found) if path.is_file()}


SECOND = {
    # Made anew from all files: one of the names is the first run's.
    WriteMode.APPEND: ({"dt=1/a": "new", "dt=2/b": "new"}, ("1", "2"), {"dt=1/a": "new", "dt=2/b": "new"}, {"1"}),
    # The first day's files are replaced, the third's stay.
    WriteMode.OVERWRITE_PARTITIONS: (
        {"dt=1/b": "new", "dt=2/b": "new"}, ("1", "2"), {"dt=1/b": "new", "dt=2/b": "new", "dt=3/a": "old"}, {"1"},
    ),
    # Of new files alone, so that the first run's quarantine stays.
    WriteMode.MERGE: ({"dt=1/b": "both"}, ("2",), {"dt=1/b": "both", "dt=3/a": "old"}, {"1", "2"}),
}  # fmt: skip


@pytest.mark.parametrize("mode", SECOND)
def test_a_run_that_is_killed_anywhere_is_made_good_by_the_next(tmp_path: Path, mode: WriteMode) -> None:
    outputs, taken, expected, bad = SECOND[mode]
    wanted = {f"zone/orders/{path}": content for path, content in expected.items()}
    wanted |= {f"quarantine/rows/{name}": "bad" for name in bad}
    at = 0
    while True:
        root = tmp_path / str(at)
        mine = table(root)
        mine.publish(publication(root, {"dt=1/a": "old", "dt=3/a": "old"}, landed("1"), mode, landed("1")))
        second = publication(root, outputs, landed(*taken), mode, landed("1", "2"))
        try:
            with killed(at):
                mine.publish(second)
        except KilledError:
            at += 1
        else:
            break
        mine.publish(publication(root, outputs, landed(*taken), mode, landed("1", "2")))
        assert there(root) == wanted, at
        record = mine.record()
        assert sum(rows for made in record.runs for rows in made.outputs.values()) == len(expected)
    assert at > 5
    assert there(root) == wanted


def test_files_are_taken_once(tmp_path: Path) -> None:
    mine = table(tmp_path)
    first = landed("1", "2")
    for mode in (WriteMode.APPEND, WriteMode.OVERWRITE_PARTITIONS):
        assert mine.taken(first, mode, only_new=False) == first
    mine.publish(publication(tmp_path, {"dt=1/a": "x"}, first, WriteMode.APPEND))
    # All are there: the run is made again, with what came since.
    assert mine.taken(landed("1", "2", "3"), WriteMode.APPEND, only_new=False) == landed("1", "2", "3")
    # One is gone: what it gave stays, and the others' rows must not come twice.
    assert mine.taken(landed("2", "3"), WriteMode.APPEND, only_new=False) == landed("3")
    assert mine.taken(landed("2", "3"), WriteMode.OVERWRITE_PARTITIONS, only_new=False) == landed("2", "3")
    assert mine.taken(landed("1", "2", "3"), WriteMode.MERGE, only_new=True) == landed("3")
    changed = LandedFile("orders", "landing", "2", "2-2", DAY, "2")
    assert mine.taken([*landed("1"), changed], WriteMode.MERGE, only_new=True) == [changed]
