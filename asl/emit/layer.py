"""Pins -> the zip of a Lambda layer: distributions for the function's platform, stripped.

In, at export and offline: an engine's requirements and the versions installed here, as `Pins`. In,
at deployment: a platform and a package index. Out: a zip with everything below `python/`.
https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from asl.emit.bundle import zipped
from ingestion_assets.errors import CompileError, Where

#: What every function imports beside its engine: the dataframe API, and the handler's logger and metrics.
LAMBDA_BASE = ("aws-lambda-powertools", "narwhals")
#: Lambda allows 250 MB (262,144,000 bytes) for a function and its layers; a function's own zip has less than 1 MB.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_UNZIPPED_BYTES = 240 * 1024 * 1024
#: Folders and files of a distribution that no function imports.
STRIPPED_FOLDERS = frozenset({"__pycache__", "tests", "test", "testing"})
STRIPPED_FILES = frozenset({".pyi", ".pyc", ".pyx", ".pxd", ".h", ".hpp"})
#: Of a distribution's metadata, what code may ask for while it runs.
KEPT_METADATA = frozenset({"METADATA", "entry_points.txt"})


@dataclass(frozen=True, slots=True)
class Platform:
    """What a layer's wheels must run on.

    Args:
        python: Version, `3.13`; empty for this interpreter.
        tags: pip's platform tags, the most wanted first; empty for this machine.
    """

    python: str = ""
    tags: tuple[str, ...] = ()


#: Amazon Linux 2023 on arm64, which has glibc 2.34.
#: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
LAMBDA = Platform(
    "3.13",
    # Every tag up to 2.34: pip takes no wheel of a lower one by itself once platforms are given.
    (*(f"manylinux_2_{minor}_aarch64" for minor in range(34, 16, -1)), "manylinux2014_aarch64"),
)
THIS_MACHINE = Platform()


@dataclass(frozen=True, slots=True)
class Pins:
    """The distributions of one layer.

    Args:
        engine: The engine's name, or what else the layer is for.
        lines: `name==version`, sorted.
    """

    engine: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """A requirements file."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def key(self) -> str:
        """S3 key of the layer's zip. Each target has an artifacts bucket, so it needs no platform."""
        return f"layers/{self.engine}-{hashlib.sha256(self.text.encode()).hexdigest()[:16]}.zip"


def pins(engine: str, requirements: Iterable[str], where: Where) -> Pins:
    """Pin `requirements` and all that they require to the versions installed here.

    Raises:
        CompileError: ASL205, when one is not installed, so that no version is known to work.
    """
    try:
        return Pins(engine, _closure(tuple(sorted(set(requirements)))))
    except PackageNotFoundError as error:
        raise CompileError(
            "ASL205",
            where,
            f"the {engine} engine needs {error.name}, which is not installed here, so its version is not known",
            f"pip install {error.name}",
        ) from None


@cache
def _closure(requirements: tuple[str, ...]) -> tuple[str, ...]:
    """Return the pins of `requirements` and of all that they require, by name."""
    found: dict[str, str] = {}
    waiting = list(requirements)
    while waiting:
        name = _normalized(waiting.pop())
        if name not in found:
            found[name] = version(name)
            waiting += _required_by(name)
    return tuple(f"{name}=={found[name]}" for name in sorted(found))


def _required_by(name: str) -> Iterator[str]:
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def build_layer(given: Pins, platform: Platform, out: Path) -> Path:
    """Install `given` for `platform` and write the layer's zip to `out`; return `out`.

    Raises:
        CompileError: ASL206 when pip finds no wheel, ASL207 when the layer is too large.
    """
    where = Where(f"layers/{given.engine}.txt", 1)
    with tempfile.TemporaryDirectory() as folder:
        installed = Path(folder) / "python"
        _install(given, platform, installed, Path(folder) / "requirements.txt", where)
        _strip(installed)
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in installed.rglob("*")
            if path.is_file()
        }
        size = sum(map(len, files.values()))
        if size > MAX_UNZIPPED_BYTES:
            raise CompileError(
                "ASL207",
                where,
                f"the layer holds {size / 2**20:.0f} MiB, and a function with it at most {MAX_UNZIPPED_BYTES / 2**20:.0f}",
                'Use Processor(kind="glue_pyspark"), or an engine with fewer requirements',
            )
        partial = out.with_suffix(".partial")
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(zipped(files, compress=True))
        partial.replace(out)
    return out


def _install(given: Pins, platform: Platform, target: Path, listing: Path, where: Where) -> None:
    # --no-deps: the list is complete, and complete for this engine only.
    listing.write_text(given.text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    command += [
        "--disable-pip-version-check",
        "--no-input",
        "--target",
        str(target),
        "--requirement",
        str(listing),
    ]
    command += ["--only-binary", ":all:"]
    if platform.python:
        command += ["--python-version", platform.python, "--implementation", "cp"]
    for tag in platform.tags:
        command += ["--platform", tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [
            done.stderr.strip()
        ]
        raise CompileError(
            "ASL206",
            where,
            f"pip finds no wheels for {platform.tags[0] if platform.tags else 'this machine'}: {lines[0]}",
            "Check the network and the package index; wheels are needed, nothing is built from source",
        )


def _strip(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir():
            if path.name in STRIPPED_FOLDERS or path == root / "bin":
                shutil.rmtree(path)
        elif path.suffix in STRIPPED_FILES or (
            path.parent.suffix == ".dist-info" and path.name not in KEPT_METADATA
        ):
            path.unlink()
