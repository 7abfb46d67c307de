"""Gap: Python handlers run under the emulator's own shim, in its environment, with its error names.

Here a handler runs as on AWS: under AWS's runtime client (awslambdaric), so that an exception
keeps its class name for Retry and Catch, and in an interpreter that sees the function's zip, its
layers and what AWS's runtime brings (boto3), nothing else: a module missing from the bundle is
missing here too. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import distribution, requires
from pathlib import Path
from typing import Any

from ministack.services import lambda_svc

from asl.local.patching import Function, existing, replace
from asl.local.settings import Settings

HOOK = "lambda_runtime"
WARM = ("func", "event", "request_id")

#: What AWS's Python runtimes bring along, plus the runtime client that they are built from.
RUNTIME_DISTRIBUTIONS = ("boto3", "awslambdaric")

BOOTSTRAP = """#!/bin/sh
export PYTHONPATH={path} LAMBDA_RUNTIME_DIR={runtime}
export TMPDIR="$(mktemp -d {scratch}/XXXXXX)"
export POWERTOOLS_TRACE_DISABLED=true
exec {python} -S -m awslambdaric "$_HANDLER"
"""


def install(settings: Settings) -> None:
    """Route Python functions through the emulator's custom runtime, with our bootstrap."""
    provided = existing(HOOK, lambda_svc, "_execute_function_provided_warm", WARM)
    layer_zip = existing(HOOK, lambda_svc, "_resolve_layer_zip", ("attachment",))
    runtime = runtime_folder(settings.folder("lambda-runtime"))
    packaged = _Packages(settings, runtime, layer_zip)

    def make(original: Function) -> Function:
        def execute_function_warm(func: dict[str, Any], event: Any, request_id: str) -> Any:
            config = func.get("config") or func
            if not str(config.get("Runtime", "")).startswith("python") or not func.get("code_zip"):
                return original(func, event, request_id)
            code = packaged.with_bootstrap(func["code_zip"], config.get("Layers") or [])
            config = {**config, "Runtime": "provided.al2023", "Layers": []}
            return provided({**func, "config": config, "code_zip": code}, event, request_id)

        return execute_function_warm

    replace(HOOK, lambda_svc, "_execute_function_warm", WARM, make)


class _Packages:
    """Function zips with a bootstrap, and unpacked layers; each made once, by content."""

    def __init__(self, settings: Settings, runtime: Path, layer_zip: Callable[[Any], bytes]) -> None:
        self._layers = settings.folder("lambda-layers")
        self._scratch = settings.folder("lambda-tmp")
        self._runtime = runtime
        self._layer_zip = layer_zip
        self._lock = threading.Lock()
        self._made: dict[str, bytes] = {}

    def with_bootstrap(self, code: bytes, layers: list[Any]) -> bytes:
        """Return the function's zip with the `bootstrap` that starts it."""
        key = hashlib.sha256(code).hexdigest() + repr(layers)
        with self._lock:
            if key not in self._made:
                paths = [
                    "$LAMBDA_TASK_ROOT",
                    *(str(self._unpacked(layer)) for layer in layers),
                    str(self._runtime),
                ]
                self._made[key] = self._add(code, paths)
            return self._made[key]

    def _add(self, code: bytes, paths: list[str]) -> bytes:
        text = BOOTSTRAP.format(
            path=":".join(f'"{path}"' for path in paths),
            runtime=shlex.quote(str(self._runtime)),
            scratch=shlex.quote(str(self._scratch)),
            python=shlex.quote(sys.executable),
        )
        buffer = io.BytesIO(code)
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr("bootstrap", text)
        return buffer.getvalue()

    def _unpacked(self, layer: Any) -> Path:
        """Return the layer's `python/` folder, which AWS puts at /opt/python."""
        content = self._layer_zip(layer)
        folder = self._layers / hashlib.sha256(content).hexdigest()[:32]
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(partial)
            partial.rename(folder)
        return folder / "python"


def runtime_folder(folder: Path) -> Path:
    """Link boto3 and the runtime client into `folder`, and nothing else of this environment."""
    for name in sorted(_closure(RUNTIME_DISTRIBUTIONS)):
        for entry in _top_level(name):
            link = folder / entry.name
            if not link.exists():
                link.symlink_to(entry)
    return folder


def _closure(names: tuple[str, ...]) -> set[str]:
    """Distributions that `names` need, by name, extras left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        needed = (line for line in requires(name) or () if "extra ==" not in line)
        waiting.extend(match[0] for line in needed if (match := re.match(r"[\w.-]+", line)))
    return found


def _top_level(name: str) -> Iterator[Path]:
    """Yield the folders and modules that a distribution put into site-packages."""
    package = distribution(name)
    tops = {path.parts[0] for path in package.files or () if path.parts[0] not in ("..", "__pycache__")}
    for top in sorted(tops):
        yield Path(str(package.locate_file(top)))
