"""The declared pipelines, one folder each; a folder with a `pipeline.py` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil

from ingestion_assets.pipeline import Pipeline


def discover(package: str = __name__) -> tuple[Pipeline, ...]:
    """Import every `<folder>/pipeline.py` of `package` and return their pipelines by name."""
    root = importlib.import_module(package)
    found = []
    for folder in sorted(m.name for m in pkgutil.iter_modules(root.__path__) if m.ispkg):
        module = importlib.import_module(f"{package}.{folder}.pipeline")
        found += [value for value in vars(module).values() if isinstance(value, Pipeline)]
    return tuple(sorted(found, key=lambda pipeline: pipeline.name))
