"""The work folder of one materialization: local disk for inputs, spilling and outputs, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

_WORK_PREFIX = "materialize-"
_open_folders: set[str] = set()
_opening = threading.Lock()


@contextlib.contextmanager
def work_folder(root: str | None = None) -> Iterator[Path]:
    """Give an empty folder below `root` (by default /tmp) and remove it at the end.

    A function that was killed leaves its folder in /tmp, which the next invocation of the same
    sandbox finds: folders of dead processes, and earlier ones of this process, are removed first.
    """
    base = Path(root or tempfile.gettempdir())
    with _opening:  # another thread must not take a folder that is not yet known for an abandoned one
        for left in base.glob(f"{_WORK_PREFIX}*"):
            if str(left) not in _open_folders and _abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{_WORK_PREFIX}{os.getpid()}-", dir=base))
        _open_folders.add(str(folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _open_folders.discard(str(folder))


def _abandoned(folder: Path) -> bool:
    owner = folder.name.removeprefix(_WORK_PREFIX).partition("-")[0]
    if not owner.isdigit():
        return False
    if int(owner) == os.getpid():
        return True
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
