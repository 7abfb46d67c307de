"""Choose the engine of an asset by what engines say they can do, never by their names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import get_args

import aws_runtime.engines
from aws_runtime.engines import Capabilities
from ingestion_assets.asset import IngestionAsset, ProcessorKind
from ingestion_assets.errors import CompileError

#: Where each processor kind runs its engine.
RUNS_IN: dict[str, str] = {"lambda": "lambda", "glue_pyspark": "glue", "glue_sql": "glue"}
#: What a kind that is decided at run time stands for, the one for small files first.
DECIDED_LATER: dict[str, tuple[ProcessorKind, ...]] = {
    "auto": ("lambda", "glue_pyspark"),
    "configured": ("lambda", "glue_pyspark", "glue_sql"),
}
#: Kinds that run the transform as a query.
AS_SQL: frozenset[str] = frozenset({"glue_sql"})
assert {*RUNS_IN, *DECIDED_LATER} == set(get_args(ProcessorKind))  # noqa: S101 - a new kind must say where it runs


def runtimes(asset: IngestionAsset) -> tuple[IngestionAsset, ...]:
    """Return the asset once for each kind that may run it; only `auto` and `configured` have more than one.

    The first one, which is for small files, is also what runs on a laptop; an engine that the
    declaration names is meant for it.
    """
    given = asset.processor
    first, *others = DECIDED_LATER.get(given.kind, (given.kind,))
    processors = [replace(given, kind=first), *(replace(given, kind=kind, engine=None) for kind in others)]
    return tuple(replace(asset, processor=processor) for processor in processors)


def known_engines() -> Iterator[Capabilities]:
    """Yield the capabilities of every engine, by name; `<engine>_<part>` is a part of one, and not loaded."""
    for module in sorted(pkgutil.iter_modules(aws_runtime.engines.__path__), key=lambda m: m.name):
        if "_" not in module.name:
            yield importlib.import_module(f"aws_runtime.engines.{module.name}").CAPABILITIES


def choose_engine(
    asset: IngestionAsset, formats: AbstractSet[str], *, folder_columns: bool = False, sql: bool = False
) -> str:
    """Return the most preferred engine that reads `formats` where the asset's processor runs.

    Args:
        asset: Says where, and at times which.
        formats: Of its inputs.
        folder_columns: Whether it must make columns of the folders of Parquet files.
        sql: Whether it must run the transform as a query.

    Raises:
        CompileError: ASL003, when no engine does, or the one that the processor names does not.
    """
    place = RUNS_IN[runtimes(asset)[0].processor.kind]
    able = [e for e in known_engines() if place in e.runs_in and formats <= e.formats]
    able = [e for e in able if (e.folder_columns or not folder_columns) and (e.sql or not sql)]
    wanted = asset.processor.engine
    if wanted is not None:
        able = [e for e in able if e.name == wanted]
    if not able:
        offers = "; ".join(
            f"{e.name} reads {', '.join(sorted(e.formats))} in {', '.join(sorted(e.runs_in))}"
            for e in known_engines()
        )
        raise CompileError(
            "ASL003",
            asset.where,
            f"{wanted or 'no engine'} {'does not read' if wanted else 'reads'} "
            f"{', '.join(sorted(formats))} in {place}",
            f"Choose another processor or engine: {offers}",
        )
    return min(able, key=lambda e: (max(e.preference.get(f, 100) for f in formats), e.name)).name
