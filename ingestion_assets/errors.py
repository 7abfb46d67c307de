"""The user's mistakes: what is wrong, where it is declared, and how to mend it.

Every declaration records the file and line it was written on, so that an error
found much later (lowering a contract, emitting a role) still points at the
user's own code.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the user's declarations.

    Args:
        file: Path of the declaring file, relative to the working directory where possible.
        line: Line in that file, from 1.
        pipeline: Name of the pipeline, once known.
        asset: Name of the asset or source, once known.
    """

    file: str
    line: int
    pipeline: str | None = None
    asset: str | None = None

    def __str__(self) -> str:
        """`orders_etl/order_lines (ingestion_assets/pipelines/orders_etl/pipeline.py:21)`."""
        names = "/".join(name for name in (self.pipeline, self.asset) if name)
        place = f"{self.file}:{self.line}"
        return f"{names} ({place})" if names else place


class CompileError(Exception):
    """A declaration that cannot be compiled.

    Args:
        code: Stable identifier, `ASL` and three digits; `docs/errors.md` explains each.
        where: The declaration at fault.
        what: What is wrong, one sentence without a full stop at its end.
        hint: How to mend it, one sentence.
    """

    def __init__(self, code: str, where: Where, what: str, hint: str) -> None:
        super().__init__(f"{code} {where}: {what}. {hint}")
        self.code = code
        self.where = where
        self.what = what
        self.hint = hint


def relative(path: str) -> str:
    """Shorten `path` to be relative to the working directory when it lies below it."""
    try:
        return Path(path).resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return Path(path).as_posix()


def declared_here(depth: int = 2) -> Where:
    """Return the file and line of the code `depth` frames up, skipping generated dataclass code."""
    frame = sys._getframe(depth)  # noqa: SLF001 - the documented way to learn the caller
    while frame.f_back is not None and frame.f_code.co_filename.startswith("<"):
        frame = frame.f_back
    return Where(file=relative(frame.f_code.co_filename), line=frame.f_lineno)
