"""The declared pipelines, one folder each; one with a `pipeline.py` or a `defs.yaml` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from ingestion_assets.pipeline import Pipeline


def discover(package: str = __name__) -> tuple[Pipeline, ...]:
    """Import every `<folder>/pipeline.py` of `package`, read every `<folder>/defs.yaml`; return pipelines by name.

    Raises:
        CompileError: ASL055 for a `defs.yaml` that cannot be meant; whatever a declaration raises.
    """
    root = importlib.import_module(package)
    found: list[Pipeline] = []
    files = sorted(file for folder in root.__path__ for file in Path(folder).glob("*/defs.yaml"))
    if files:
        from ingestion_assets.component import pipelines_of_yaml  # noqa: PLC0415 - only where there are any

        found += [pipeline for file in files for pipeline in pipelines_of_yaml(file)]
    declared = {file.parent.name for file in files}
    for folder in sorted(m.name for m in pkgutil.iter_modules(root.__path__) if m.ispkg):
        if folder in declared and not any(
            Path(path, folder, "pipeline.py").is_file() for path in root.__path__
        ):
            continue
        module = importlib.import_module(f"{package}.{folder}.pipeline")
        found += [value for value in vars(module).values() if isinstance(value, Pipeline)]
    return tuple(sorted(found, key=lambda pipeline: pipeline.name))
