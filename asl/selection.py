"""Names on the command line -> declared pipelines."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise

from ingestion_assets.errors import CompileError, Where, relative
from ingestion_assets.pipeline import Pipeline
from ingestion_assets.pipelines import discover

DEFAULT = "ingestion_assets.pipelines"


def declared() -> tuple[Pipeline, ...]:
    """Return every pipeline of the package that `--package` or ASL_PIPELINES names.

    Raises:
        CompileError: ASL005 when there is no such package, ASL006 when it declares no pipeline, ASL007
            when two have one name.
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
    pipelines = discover(package)
    place = Where(relative(next(iter(found.submodule_search_locations))), 1)
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
