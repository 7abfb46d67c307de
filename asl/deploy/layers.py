"""Lambda layers: built once for their pins and their platform, at deployment.

In: the requirements that the export pinned. Out: a zip to upload. For AWS, pip fetches wheels for
Lambda's processor; for the local AWS the same versions are installed here already, so their files
are packed as they are and no network is needed.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from asl.deploy.target import Target
from asl.emit.bundle import zipped
from asl.emit.layer import LAMBDA, THIS_MACHINE, Pins, build_layer

#: Compiled caches are made anew; scripts lie outside the package.
LEFT_OUT = frozenset({"..", "__pycache__"})


def read_pins(engine: str, path: Path) -> Pins:
    """Read an exported requirements file."""
    return Pins(engine, tuple(path.read_text(encoding="utf-8").split()))


def layer(target: Target, pins: Pins, folder: Path) -> Path:
    """Return the layer's zip for the target, made in `folder` unless it is there.

    Raises:
        CompileError: ASL206 or ASL207, see `build_layer`.
    """
    name = Path(pins.key).name
    if not target.is_local:
        out = folder / f"lambda-{name}"
        return out if out.exists() else build_layer(pins, LAMBDA, out)
    out = folder / f"local-{name}"
    return out if out.exists() else _installed(pins, out) or build_layer(pins, THIS_MACHINE, out)


def _installed(pins: Pins, out: Path) -> Path | None:
    """Pack what is installed here; None when a version differs from its pin."""
    files: dict[str, bytes] = {}
    for line in pins.lines:
        name, _, version = line.partition("==")
        try:
            found = distribution(name)
        except PackageNotFoundError:
            return None
        if found.version != version or not found.files:
            return None
        for path in found.files:
            if not LEFT_OUT & set(path.parts):
                files[f"python/{path.as_posix()}"] = Path(str(path.locate())).read_bytes()
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    partial.write_bytes(zipped(files))
    partial.replace(out)
    return out
