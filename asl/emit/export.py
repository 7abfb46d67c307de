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

from asl import front_door, names, triggers
from asl.compiled import CompiledPipeline
from asl.emit.bundle import handler_bundle, zipped
from asl.emit.cloudformation import template_bytes
from asl.emit.layer import Pins
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipeline import Pipeline, S3Batches

MANIFEST = "manifest.json"
ROUTES = "routes.json"


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
    yield ExportedFile(ROUTES, pretty(routes(compiled)))
    for each in compiled:
        name = each.pipeline.name
        yield ExportedFile(f"{name}/state_machine.asl.json", pretty(each.definition))
        for item in each.assets:
            asset = item.asset.name
            contract = item.plan.output.contract.to_json()
            yield ExportedFile(f"{name}/contracts/{asset}.json", pretty(contract))
            plan = pretty(json.loads(item.bundle.files["plan.json"]))
            yield ExportedFile(f"{name}/plans/{asset}{item.suffix}.json", plan, item.plan_key or "")
            if item.plan.sql:
                yield ExportedFile(
                    f"{name}/transforms/{asset}{item.suffix}.sql", f"{item.plan.sql}\n".encode()
                )
            yield ExportedFile(f"bundles/{item.bundle.name}.zip", zipped(item.bundle.files), item.bundle.key)
            if item.script_key:
                script = item.bundle.files["aws_runtime/glue/materialize.py"]
                yield ExportedFile("glue/materialize.py", script, item.script_key)
        for step in each.steps:
            told = pretty(json.loads(step.bundle.files["curation.json"]))
            yield ExportedFile(f"{name}/curation.json", told)
            yield ExportedFile(f"bundles/{step.bundle.name}.zip", zipped(step.bundle.files), step.bundle.key)
    for found in _layers(compiled):
        yield ExportedFile(f"layers/{found.engine}.txt", found.text.encode())
    for handler in front_door.handlers(_pipelines(compiled)):
        shipped = handler_bundle(handler)
        yield ExportedFile(f"bundles/{handler}.zip", zipped(shipped.files), shipped.key)


def _pipelines(compiled: tuple[CompiledPipeline, ...]) -> list[Pipeline]:
    return [each.pipeline for each in compiled]


def _layers(compiled: tuple[CompiledPipeline, ...]) -> list[Pins]:
    """Return the distributions of every layer, by the layer's name."""
    found = [pins for each in compiled for pins in each.pins]
    found.append(front_door.layer_pins(_pipelines(compiled)))
    return [pins for _, pins in sorted({pins.engine: pins for pins in found}.items())]


def routes(compiled: tuple[CompiledPipeline, ...]) -> list[dict[str, Any]]:
    """Return the declared rows of every `workflow_metadata`; resources by the names of stack outputs."""
    return [
        {
            "bucket": names.bucket_id(bucket),
            "prefix": triggers.source_of(pipeline).prefix,
            "pipeline": pipeline.name,
            "machine": names.machine_id(pipeline.name),
            "table": names.metadata_id(bucket),
            "suffixes": sorted(set(pipeline.trigger.suffixes)),
        }
        for bucket, sharing in triggers.orchestrated(_pipelines(compiled)).items()
        for pipeline in sharing
    ]


def manifest(compiled: tuple[CompiledPipeline, ...], made: tuple[ExportedFile, ...]) -> dict[str, Any]:
    """Return the manifest: files to upload as they are, layers to build first, pipelines to run."""
    return {
        "version": 1,
        "template": "template.json",
        "routes": ROUTES,
        "artifacts": [
            {"path": file.path, "key": file.key, "sha256": hashlib.sha256(file.data).hexdigest()}
            for file in made
            if file.key
        ],
        "layers": [
            {"engine": found.engine, "requirements": f"layers/{found.engine}.txt", "key": found.key}
            for found in _layers(compiled)
        ],
        "pipelines": {each.pipeline.name: _pipeline(each) for each in compiled},
        "files": sorted({file.path for file in made} | {MANIFEST}),
    }


def _pipeline(each: CompiledPipeline) -> dict[str, str]:
    """Return where a pipeline's files go and what runs them, by the names of stack outputs.

    `runs` is the table of what is live: of files, or of batches; `tracking` is the table of files.
    """
    pipeline = each.pipeline
    source = triggers.source_of(pipeline)
    runs, queue = triggers.runs_table_id(pipeline), triggers.arrivals_id(pipeline)
    batched = isinstance(pipeline.trigger, S3Batches)
    return {
        "trigger": triggers.trigger_name(pipeline),
        "bucket": names.bucket_id(source.bucket.name),
        "prefix": source.prefix,
        "machine": names.machine_id(pipeline.name),
        "tracking": names.tracking_id(pipeline.name) if batched else runs,
        "runs": runs,
        "topic": names.topic_id(pipeline.name),
        "sweeper": names.sweeper_id(pipeline.name),
        **({"queue": queue} if queue else {}),
        "dead_letters": triggers.dead_letters_id(pipeline),
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
