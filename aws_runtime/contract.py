"""The neutral contract: typed columns and value rules, as data.

In: JSON written by the compiler (from a Pandera model). Out: frozen dataclasses that
engines turn into reader schemas, rule expressions and Parquet schemas. Nothing here knows
Pandera, an engine or AWS.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aws_runtime.codec import decode, encode


class Drift(StrEnum):
    """What happens when a file's columns differ from the contract's.

    STRICT rejects a file with missing, extra or reordered columns (order matters only for
    formats that have one); REORDER accepts another order; EVOLVE also accepts extra columns
    and drops them after recording them; PERMISSIVE also fills missing nullable columns.
    """

    STRICT = "strict"
    REORDER = "reorder"
    EVOLVE = "evolve"
    PERMISSIVE = "permissive"


class Severity(StrEnum):
    """ERROR quarantines the row; WARN keeps it and counts the violation."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class DataType:
    """An Arrow type as plain data.

    Args:
        name: `string`, `boolean`, `int8` … `int64`, `uint8` … `uint64`, `float32`, `float64`,
            `decimal`, `date`, `timestamp`, `binary`, `list` or `struct`. An unsigned integer is
            stored as the next wider signed one (`uint64` as decimal(20,0)), because neither
            Spark nor the Data Catalog has unsigned types.
        precision: Of a decimal, total digits (1 to 38).
        scale: Of a decimal, digits after the point.
        timezone: Of a timestamp, an IANA zone; None means without zone. Always microseconds.
        item: Of a list, its element type.
        fields: Of a struct, its fields in order.
    """

    name: str
    precision: int | None = None
    scale: int | None = None
    timezone: str | None = None
    item: DataType | None = None
    fields: tuple[Field, ...] = ()

    def __str__(self) -> str:
        """Arrow's own spelling, as in `list<struct<price: float64>>`."""
        match self.name:
            case "decimal":
                return f"decimal({self.precision},{self.scale})"
            case "timestamp":
                return f"timestamp[us, {self.timezone}]" if self.timezone else "timestamp[us]"
            case "list":
                return f"list<{self.item}>"
            case "struct":
                return "struct<" + ", ".join(f"{f.name}: {f.type}" for f in self.fields) + ">"
            case _:
                return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct."""

    name: str
    type: DataType


@dataclass(frozen=True, slots=True)
class Rule:
    """One value rule of one column.

    Args:
        id: Stable, unique in its contract: `price.greater_than_or_equal_to`.
        check: Pandera's name of the check: `greater_than`, `isin`, `str_matches` ….
        args: The check's arguments, JSON values (dates and decimals as ISO strings).
        severity: ERROR quarantines, WARN only counts.
        ignore_na: Whether a null value keeps the rule; without it a null breaks the rule.
    """

    id: str
    check: str
    args: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = Severity.ERROR
    ignore_na: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a contract.

    Args:
        name: Name in the data.
        type: Its Arrow type.
        nullable: Whether null is allowed.
        unique: Whether a value may appear once only in one file; every row that shares
            a value is quarantined, as Pandera reports it.
        required: Whether the column must be present.
        coerce: Whether other types are converted to `type`. Text, which is all that JSON and CSV
            have, is always converted; a value that cannot be quarantines its row.
        rules: Value rules, in the order of the model.
        description: From the model, for the catalog.
        default: JSON value that replaces null (and NaN); None for none.
    """

    name: str
    type: DataType
    nullable: bool = False
    unique: bool = False
    required: bool = True
    coerce: bool = False
    rules: tuple[Rule, ...] = ()
    description: str = ""
    default: Any = None


@dataclass(frozen=True, slots=True)
class Contract:
    """What the rows of one source or asset must look like.

    Args:
        name: The model's name.
        columns: In the order of the model, which is the order of the output file.
        unique: Sets of columns that are unique together.
        drift: What happens when a file's columns differ.
        description: From the model's docstring.
    """

    name: str
    columns: tuple[Column, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    drift: Drift = Drift.STRICT
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values only; defaults are left out, so that a diff shows what was said."""
        encoded: dict[str, Any] = encode(self)
        return encoded

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contract:
        """Read what `to_json` wrote; raises `ValueError` naming an unknown or missing key."""
        return decode(cls, data)


def fingerprint(contract: Contract) -> str:
    """Return 16 hex digits that change with anything but prose: a part of an asset's code version."""
    said = contract.to_json()
    said.pop("description", None)
    for column in said["columns"]:
        column.pop("description", None)
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
