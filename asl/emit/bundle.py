"""Plans and code -> the zip of one Lambda function or Glue job, the same bytes on every machine.

In: an asset's plan and its transform. Out: a `Bundle`: `plan.json`, the import closure of
`aws_runtime` that this asset needs, and `pipeline_code/<pipeline>/`: the transform's module and the
siblings that it imports. Code is read and parsed, never imported.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import aws_runtime
from asl.emit.imports import Import, imports
from asl.emit.transform_code import transform_files
from aws_runtime.plan import AssetPlan
from ingestion_assets.asset import IngestionAsset

RUNTIME = Path(aws_runtime.__path__[0])
#: Where a step starts, by processor kind; Glue takes its script apart from the zip.
ENTRY_POINTS = {
    "lambda": "aws_runtime.handlers.materialize",
    "glue_pyspark": "aws_runtime.glue.materialize",
    "glue_sql": "aws_runtime.glue.materialize",
}
#: What a materialization imports by name where a run may bring a configuration (`aws_runtime.materialize`).
CURATED = ("aws_runtime.curation.built_in",)
#: Likewise a job, where a run may ask for a Delta table (`aws_runtime.glue.materialize`).
INTO_DELTA = ("aws_runtime.glue.load_delta",)
CODE_PACKAGE = "pipeline_code"
#: The earliest time that a zip can hold; the content decides the bytes, the clock does not.
EPOCH = (1980, 1, 1, 0, 0, 0)
#: A regular file that everyone may read: Lambda runs code as another user than its owner.
READABLE = 0o100644 << 16


@dataclass(frozen=True)
class Bundle:
    """The content of one zip.

    Args:
        name: `<pipeline>-<asset>`, or the name of a handler.
        files: Bytes by path in the zip.
    """

    name: str
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of paths and contents, however they are compressed."""
        joined = "".join(f"{path}\0{_digest(data)}\n" for path, data in sorted(self.files.items()))
        return hashlib.sha256(joined.encode()).hexdigest()[:16]

    @property
    def key(self) -> str:
        """S3 key in the artifacts bucket."""
        return f"bundles/{self.name}-{self.digest}.zip"


def bundle(
    asset: IngestionAsset, plan: AssetPlan, suffix: str = "", *, curated: bool = False, delta: bool = False
) -> Bundle:
    """Return what ships for one asset.

    Args:
        asset: One of its variants.
        plan: That variant's.
        suffix: Tells its variants apart.
        curated: Whether runs bring a configuration.
        delta: Whether they may ask for a Delta table.

    Raises:
        CompileError: ASL130 to ASL132, when the transform's module cannot ship.
    """
    code, module = transform_files(asset, plan)
    package = f"{CODE_PACKAGE}/{plan.pipeline}"
    named = (
        *(CURATED if curated else ()),
        *(INTO_DELTA if delta and asset.processor.kind != "lambda" else ()),
    )
    files = dict(runtime_files(ENTRY_POINTS[asset.processor.kind], plan.engine, _formats(plan), named))
    files |= {f"{CODE_PACKAGE}/__init__.py": b"", f"{package}/__init__.py": b""}
    files |= {f"{package}/{path}": data for path, data in code.items()}
    function = plan.transform.partition(":")[2]
    shipped = replace(plan, transform=f"{CODE_PACKAGE}.{plan.pipeline}.{module}:{function}")
    files["plan.json"] = plan_json(shipped)
    return Bundle(f"{plan.pipeline}-{plan.asset}{suffix}", files)


@cache
def handler_bundle(handler: str) -> Bundle:
    """Return what ships for a function that is the same for every pipeline.

    Args:
        handler: A module of `aws_runtime.handlers`.

    Raises:
        ModuleNotFoundError: There is none of that name.
    """
    module = f"aws_runtime.handlers.{handler}"
    if _file(module) is None:
        raise ModuleNotFoundError(module)
    files = {path.relative_to(RUNTIME.parent).as_posix(): path.read_bytes() for path in closure((module,))}
    return Bundle(handler, files)


def plan_json(plan: AssetPlan) -> bytes:
    """Return a plan as it ships: the same bytes for the same plan."""
    text = json.dumps(plan.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


@lru_cache(maxsize=4096)
def _digest(data: bytes) -> str:
    """Hash content; most files of a bundle are those of the one before."""
    return hashlib.sha256(data).hexdigest()


def zipped(files: Mapping[str, bytes], *, compress: bool = False) -> bytes:
    """Return a zip of `files`: fixed order, times and permissions.

    Args:
        files: Bytes by path.
        compress: For large content. Compressed bytes differ between versions of zlib, so a bundle,
            which is small and whose bytes are promised, is only stored.
    """
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, data in sorted(files.items()):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = READABLE
            entry.create_system = 3  # Unix, also where this runs on another system
            entry.compress_type = method
            archive.writestr(entry, data)
    return buffer.getvalue()


@cache
def runtime_files(
    entry_point: str, engine: str, formats: tuple[str, ...], more: tuple[str, ...] = ()
) -> Mapping[str, bytes]:
    """Return the modules of `aws_runtime` that a step needs, by path in the zip.

    Engines and formats are imported by name at run time, so the plan's ones are added here, and `more`.
    """
    wanted = [entry_point, f"aws_runtime.engines.{engine}", *more]
    wanted += [module for name in formats if _file(module := f"aws_runtime.formats.{name}")]
    return {path.relative_to(RUNTIME.parent).as_posix(): path.read_bytes() for path in closure(tuple(wanted))}


def closure(modules: Iterable[str]) -> tuple[Path, ...]:
    """Return the files of `modules`, of all that they import of `aws_runtime`, and of their packages."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        path = _file(module)
        if path is None:
            continue  # a name in a module, not a module
        found[module] = path
        if "." in module:
            waiting.append(module.rpartition(".")[0])
        waiting += [name for given in _imports(path) for name in given.modules(module, path) if _ours(name)]
    return tuple(sorted(found.values()))


@cache
def _imports(path: Path) -> tuple[Import, ...]:
    return imports(path.read_text(encoding="utf-8"), str(path))


@cache
def _file(module: str) -> Path | None:
    base = RUNTIME.parent.joinpath(*module.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _ours(module: str) -> bool:
    return module == "aws_runtime" or module.startswith("aws_runtime.")


def _formats(plan: AssetPlan) -> tuple[str, ...]:
    return tuple(sorted({given.format.name for given in plan.inputs} | {"parquet"}))
