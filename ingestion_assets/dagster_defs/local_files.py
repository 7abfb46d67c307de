"""Files of this machine: staged, moved, kept; each appears whole or not at all.

In: paths below the folder that stands for S3. Out: the same, moved.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aws_runtime.engines import WrittenFile


@contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """Yield a folder with `out`, `quarantine` and `spill` in it, which is gone afterwards."""
    # Below the root, so that publishing is a rename within one file system.
    parent = root / ".staging"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    for name in ("out", "quarantine", "spill"):
        (folder / name).mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move(files: Sequence[WrittenFile], base: Path, to: Path) -> list[str]:
    """Move files from below `base` to below `to`, and return their paths."""
    moved = []
    for file in files:
        target = to / Path(file.path).relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(file.path).replace(target)
        moved.append(target.as_posix())
    return sorted(moved)


def keep_copy(file: Path, folder: Path, reason: Mapping[str, str]) -> list[str]:
    """Copy a rejected file into `folder`, with the reason beside it; return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    why = folder / "reason.json"
    copy = folder / (f"1-{file.name}" if file.name == why.name else file.name)
    shutil.copyfile(file, copy)
    write_json(why, reason)
    return sorted([copy.as_posix(), why.as_posix()])


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write whole or not at all: a reader never sees half a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1, sort_keys=True))
    part.replace(path)
