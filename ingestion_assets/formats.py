"""How the bytes of a source become records; each class names a module of `aws_runtime.formats`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Json:
    """JSON: an array of objects, a single object, or one object a line (NDJSON), told by content.

    Args:
        compression: `auto` reads gzip, told by its magic bytes, and rejects zstd; `none` rejects both.
        max_depth: Deepest nesting accepted; deeper records are quarantined or the file rejected.
        max_record_bytes: Longest record accepted.
    """

    name: ClassVar[str] = "json"
    compression: Literal["auto", "none"] = "auto"
    max_depth: int = 100
    max_record_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parquet:
    """Parquet files, told by their magic bytes."""

    name: ClassVar[str] = "parquet"


Format = Json | Parquet
