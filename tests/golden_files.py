"""Comparison with committed files; `pytest --update-golden` rewrites them on purpose."""

from __future__ import annotations

import re
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
#: The hash of code in an S3 key. Goldens show what a change does to production beside its code, which
#: is in the same diff anyway; a layer's pins are kept, as no other file of the diff shows them.
CODE_DIGEST = re.compile(rb"((?:bundles|glue|plans)/[A-Za-z0-9_-]+-)[0-9a-f]{16}\b")


def comparable(data: bytes) -> bytes:
    """Return `data` with the hashes of code blanked out."""
    return CODE_DIGEST.sub(rb"\g<1>" + b"0" * 16, data)


def compare(made: dict[str, bytes], folder: Path, *, update: bool) -> None:
    """Compare files with a golden folder, byte for byte, missing and extra ones included."""
    made = {path: comparable(data) for path, data in made.items()}
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    if update:
        for path in set(found) - set(made):
            found[path].unlink()
        for path, data in made.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return
    assert sorted(made) == sorted(found), "pytest --update-golden rewrites the goldens"
    for path, data in made.items():
        assert data.decode() == found[path].read_text(encoding="utf-8"), f"{path}: pytest --update-golden"
