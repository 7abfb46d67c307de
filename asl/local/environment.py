"""The emulator's own virtual environment: found, or made from its pins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from asl.deploy.errors import OperationError

NAME = ".venv-local"
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
PROJECT = Path(__file__).parents[2]


def emulator_python() -> Path:
    """Return the interpreter of `.venv-local`, made in the working directory when there is none.

    Raises:
        OperationError: ASL404 when it cannot be made.
    """
    given = os.environ.get("ASL_LOCAL_VENV")
    folders = [Path(given)] if given else [Path.cwd() / NAME, PROJECT / NAME]
    for folder in folders:
        python = folder / "bin" / "python"
        if python.exists():
            return python
    return _make(folders[0])


def _make(folder: Path) -> Path:
    python = folder / "bin" / "python"
    install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        str(CONSTRAINTS),
    ]
    for command in ([sys.executable, "-m", "venv", str(folder)], [str(python), *install]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise OperationError("ASL404", f"{folder} cannot be made: {said}", "Make it by hand: make setup")
    return python
