"""What the user names on the command line -> files and the keys that they get below a prefix.

A folder keeps its inner folders; files named one by one keep what they have below their common
folder, so that a shell's expansion of `orders/*/*.json` keeps the days.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path

from asl.deploy.errors import OperationError


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload: where it is, and its key below the source's prefix."""

    path: Path
    relative_key: str


def expand(names: Sequence[str]) -> tuple[LocalFile, ...]:
    """Return the files that folders, patterns and paths name, ordered by key.

    Raises:
        OperationError: ASL420 when a name matches nothing, ASL421 when two files get one key.
    """
    found: list[LocalFile] = []
    single: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            found += _below(path, _visible(path))
        elif path.is_file():  # before patterns: a key may well hold * or [
            single.append(path)
        else:
            found += _matching(name)
    if single:
        found += _below(Path(commonpath([path.absolute().parent for path in single])), single)
    return _distinct(found)


def _visible(folder: Path) -> Iterable[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return (
        path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _matching(pattern: str) -> list[LocalFile]:
    matched = [Path(path) for path in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - an absolute pattern too
    files = [path for path in matched if path.is_file()]
    if not files:
        raise OperationError(
            "ASL420", f"{pattern!r} names no file", "Name files, folders or patterns that exist"
        )
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return _below(Path(*parts[:fixed]), files)


def _below(root: Path, paths: Iterable[Path]) -> list[LocalFile]:
    base = root.absolute()
    return [LocalFile(path, path.absolute().relative_to(base).as_posix()) for path in paths]


def _distinct(found: Iterable[LocalFile]) -> tuple[LocalFile, ...]:
    by_key: dict[str, LocalFile] = {}
    for file in found:
        other = by_key.setdefault(file.relative_key, file)
        if other.path.absolute() != file.path.absolute():
            raise OperationError(
                "ASL421",
                f"{other.path} and {file.path} would both become {file.relative_key!r}",
                "Name their common folder instead",
            )
    return tuple(by_key[key] for key in sorted(by_key))
