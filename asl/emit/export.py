"""A compiled `Build` -> the files of `build/`, and the manifest of what deployment uploads.

In: a build and a folder. Out: every file, written whole; what an earlier export left there and this
one does not make is removed, what is not an export's is not touched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asl import names
from asl.compiled import CompiledPipeline
from asl.emit.bundle import zipped
from asl.emit.cloudformation import template_bytes
from asl.provision import dead_letters_id
from ingestion_assets.errors import CompileError, Where

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export.

    Args:
        path: Below the export's folder.
        data: Its bytes.
        key: S3 key that deployment uploads it to; empty for what stays here.
    """

    path: str
    data: bytes
    key: str = ""


def pretty(data: Any) -> bytes:
    """Return JSON for people: indented, in the order that it was made in."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def files(
    compiled: tuple[CompiledPipeline, ...], template: dict[str, Any], budget: Mapping[str, Any]
) -> tuple[ExportedFile, ...]:
    """Return every file but the manifest, by path."""
    found = {file.path: file for file in _files(compiled, template, budget)}
    return tuple(found[path] for path in sorted(found))


def _files(
    compiled: tuple[CompiledPipeline, ...], template: dict[str, Any], budget: Mapping[str, Any]
) -> Iterator[ExportedFile]:
    yield ExportedFile("template.json", template_bytes(template))
    yield ExportedFile("budget.json", pretty(budget))
    for each in compiled:
        name = each.pipeline.name
        yield ExportedFile(f"{name}/state_machine.asl.json", pretty(each.definition))
        for item in each.assets:
            asset = item.asset.name
            contract = item.plan.output.contract.to_json()
            yield ExportedFile(f"{name}/contracts/{asset}.json", pretty(contract))
            plan = pretty(json.loads(item.bundle.files["plan.json"]))
            yield ExportedFile(f"{name}/plans/{asset}.json", plan, item.plan_key or "")
            yield ExportedFile(f"bundles/{item.bundle.name}.zip", zipped(item.bundle.files), item.bundle.key)
            if item.script_key:
                script = item.bundle.files["aws_runtime/glue/materialize.py"]
                yield ExportedFile("glue/materialize.py", script, item.script_key)
            if item.pins:
                yield ExportedFile(f"layers/{item.pins.engine}.txt", item.pins.text.encode())


def manifest(compiled: tuple[CompiledPipeline, ...], made: tuple[ExportedFile, ...]) -> dict[str, Any]:
    """Return the manifest: files to upload as they are, layers to build first, pipelines to run."""
    pins = {item.pins.engine: item.pins for each in compiled for item in each.assets if item.pins}
    return {
        "version": 1,
        "template": "template.json",
        "artifacts": [
            {"path": file.path, "key": file.key, "sha256": hashlib.sha256(file.data).hexdigest()}
            for file in made
            if file.key
        ],
        "layers": [
            {"engine": engine, "requirements": f"layers/{engine}.txt", "key": found.key}
            for engine, found in sorted(pins.items())
        ],
        "pipelines": {each.pipeline.name: _pipeline(each) for each in compiled},
        "files": sorted({file.path for file in made} | {MANIFEST}),
    }


def _pipeline(each: CompiledPipeline) -> dict[str, str]:
    """Return where a pipeline's files go and what runs them, by the names of stack outputs."""
    pipeline = each.pipeline
    source = next(s for s in pipeline.sources if s.name == pipeline.trigger.source)
    return {
        "bucket": names.bucket_id(source.bucket.name),
        "prefix": source.prefix,
        "machine": names.machine_id(pipeline.name),
        "tracking": names.tracking_id(pipeline.name),
        "topic": names.topic_id(pipeline.name),
        "dead_letters": dead_letters_id(pipeline.name),
    }


def write(made: tuple[ExportedFile, ...], listed: dict[str, Any], out: Path) -> None:
    """Write an export to `out`, and remove what an earlier one left there.

    Raises:
        CompileError: ASL301, when `out` is a file or its manifest is not an export's.
    """
    stale = _earlier(out) - set(listed["files"])
    for file in (*made, ExportedFile(MANIFEST, pretty(listed))):
        path = out / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_bytes(file.data)
        partial.replace(path)
    for name in stale:
        (out / name).unlink(missing_ok=True)


def _earlier(out: Path) -> set[str]:
    """Return the files that the manifest of an earlier export lists."""
    if out.exists() and not out.is_dir():
        raise CompileError(
            "ASL301", Where(str(out), 1), "the export's place is a file", "Name a folder: --out build"
        )
    path = out / MANIFEST
    if not path.exists():
        return set()
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["files"]
        found = {str(name) for name in names}
    except (ValueError, KeyError, TypeError):
        raise CompileError(
            "ASL301",
            Where(str(path), 1),
            "this manifest is not an export's",
            "Name another folder, or remove the file",
        ) from None
    return {name for name in found if (out / name).resolve().is_relative_to(out.resolve())}
