"""Names on the command line -> declared pipelines."""

from __future__ import annotations

import importlib.util
import os
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path

from ingestion_assets import pipelines as pipelines_module
from ingestion_assets.errors import CompileError, Where, relative
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.pipelines import discover

DEFAULT = "ingestion_assets.pipelines"


def declared() -> tuple[Pipeline, ...]:
    """Return every pipeline of the package that `--package` or ASL_PIPELINES names.

    Raises:
        CompileError: ASL005 when there is no such package, ASL006 when it declares no pipeline, ASL007
            when two have one name, ASL009 when one cannot be imported.
    """
    package = os.environ.get("ASL_PIPELINES") or DEFAULT
    try:
        found = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        found = None
    if found is None or found.submodule_search_locations is None:
        raise CompileError(
            "ASL005",
            Where(package, 1),
            f"there is no package {package!r}",
            "Name one with --package or ASL_PIPELINES",
        )
    root = next(iter(found.submodule_search_locations))
    place = Where(relative(root), 1)
    try:
        pipelines = discover(package)
    except CompileError:
        raise
    except Exception as error:
        raise CompileError(
            "ASL009",
            _line_at_fault(error, Path(root)) or place,
            f"the declaration cannot be imported: {type(error).__name__}: {' '.join(_said(error).split())}",
            "Mend that line, or install the package that it needs",
        ) from error
    if not pipelines:
        raise CompileError(
            "ASL006", place, "no pipeline is declared", "Add <name>/pipeline.py with a Pipeline"
        )
    for first, second in pairwise(pipelines):
        if first.name == second.name:
            raise CompileError(
                "ASL007",
                second.where,
                f"two pipelines are named {first.name!r}, the other at {first.where}",
                "Rename one",
            )
    return pipelines


def _said(error: Exception) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)


def _line_at_fault(error: Exception, root: Path) -> Where | None:
    """Return the innermost line below `root` that `error` came from."""
    if isinstance(error, SyntaxError) and error.filename:
        return Where(relative(error.filename), error.lineno or 1)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().is_relative_to(root.resolve())
        and frame.filename != pipelines_module.__file__
    ]
    return Where(relative(frames[-1].filename), frames[-1].lineno or 1) if frames else None


def selected(names: Sequence[str]) -> tuple[Pipeline, ...]:
    """Return the pipelines named, or all when none is.

    Raises:
        CompileError: ASL008 for a name that no pipeline has.
    """
    known = {pipeline.name: pipeline for pipeline in declared()}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 3)
            raise CompileError(
                "ASL008",
                Where(os.environ.get("ASL_PIPELINES") or DEFAULT, 1),
                f"there is no pipeline {name!r}",
                f"Did you mean {' or '.join(near)}?" if near else f"Declared: {', '.join(known)}",
            )
    return tuple(pipeline for name, pipeline in known.items() if not names or name in names)
