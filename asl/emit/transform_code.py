"""A transform -> the files of its module that ship, or the reason why they cannot.

In: an asset and its plan. Out: source by path below the pipeline's package. A transform's module
may import the dataframe API, its engine's, pure modules of the standard library, and siblings.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path

from asl.emit.imports import Import, imports
from aws_runtime.engines import load_engine
from aws_runtime.plan import AssetPlan
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.engines import RUNS_IN
from ingestion_assets.errors import CompileError, Where, relative

#: The dataframe API that every engine takes.
DATAFRAME_API = frozenset({"narwhals"})
#: Modules of the standard library that compute, and neither read, write, wait nor guess.
PURE = frozenset(
    {
        "__future__", "abc", "base64", "bisect", "calendar", "collections", "contextlib", "copy",
        "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq",
        "html", "ipaddress", "itertools", "json", "math", "numbers", "operator", "re", "statistics",
        "string", "textwrap", "types", "typing", "unicodedata", "urllib.parse", "zoneinfo",
    }
)  # fmt: skip
MOVE = "Move the transform to a module of its own (transforms.py) that imports nothing but the dataframe API"


def transform_files(asset: IngestionAsset, plan: AssetPlan) -> tuple[Mapping[str, bytes], str]:
    """Return source by path below the pipeline's package, and the transform's module there.

    Raises:
        CompileError: ASL130 for an import that cannot ship, ASL131 for a sibling imported by its
            absolute name, ASL132 for a transform that no module defines by its name.
    """
    file = _defining_file(asset, plan)
    package = asset.transform.__module__.rpartition(".")[0]
    allowed = DATAFRAME_API | set(load_engine(plan.engine).CAPABILITIES.requirements)
    if RUNS_IN[asset.processor.kind] == "glue":
        allowed |= {"pyspark"}  # Glue has it
    found: dict[Path, bytes] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = path.read_bytes()
        for given in _imports(found[path], path):
            where = Where(relative(str(path)), given.line, plan.pipeline, plan.asset)
            if given.level:
                waiting += _relative(given, path, file.parent, where)
            else:
                _refuse(given, path, package, allowed, where)
    files = {path.relative_to(file.parent).as_posix(): data for path, data in sorted(found.items())}
    return files, file.stem


@lru_cache(maxsize=1024)
def _imports(source: bytes, path: Path) -> tuple[Import, ...]:
    return imports(source.decode("utf-8"), str(path))


def _defining_file(asset: IngestionAsset, plan: AssetPlan) -> Path:
    transform = asset.transform
    name = transform.__qualname__
    module = sys.modules.get(transform.__module__)
    source = inspect.getsourcefile(transform)
    if source is None or not Path(source).is_file() or getattr(module, name, None) is not transform:
        raise CompileError(
            "ASL132",
            Where(asset.where.file, asset.where.line, plan.pipeline, plan.asset),
            f"the transform {name} cannot be imported by its name from {transform.__module__}",
            "Define it with def at the top of transforms.py",
        )
    return Path(source)


def _refuse(given: Import, path: Path, package: str, allowed: AbstractSet[str], where: Where) -> None:
    """Raise for an absolute import that cannot ship."""
    if package and (given.module == package or given.module.startswith(f"{package}.")):
        rest = given.module.removeprefix(package).lstrip(".")
        raise CompileError(
            "ASL131",
            where,
            f"{path.name} imports {given.module} by its absolute name, and ships without that package",
            f"Write from .{rest} import …",
        )
    if not {given.module, given.module.partition(".")[0]} & (PURE | allowed):
        raise CompileError(
            "ASL130", where, f"{path.name} imports {given.module}, which does not ship to AWS", MOVE
        )


def _relative(given: Import, path: Path, root: Path, where: Where) -> Iterator[Path]:
    base = path.parent
    for _ in range(given.level - 1):
        base = base.parent
    base = base.joinpath(*given.module.split(".")) if given.module else base
    inside = base.is_relative_to(root)
    candidates = [base.with_suffix(".py"), base / "__init__.py"] if given.module else []
    candidates += [base / f"{name}.py" for name in given.names]
    files = [candidate for candidate in candidates if inside and candidate.is_file()]
    if not files:
        dots = "." * given.level
        raise CompileError(
            "ASL130", where, f"{path.name} imports {dots}{given.module}, which is not beside it", MOVE
        )
    yield from files
