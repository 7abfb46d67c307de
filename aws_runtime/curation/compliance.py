"""A file's footer and path against what is expected of them, before a byte of data is read.

In: a `Footer`, the path's partition values, the contract and the configuration. Out: the columns that
drift dropped or filled, or `RejectedFile` with a reason of its own for each kind of fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_runtime.contract import Column, Contract, DataType, Drift
from aws_runtime.curation.footer import Footer
from aws_runtime.errors import RejectedFile

#: A wider table is no table: the Data Catalog and Athena give up before.
MOST_COLUMNS = 5_000
_NUMBERS = (
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *("float32", "float64", "decimal", "boolean"),
)
_KINDS = {
    **dict.fromkeys(_NUMBERS, "number"),
    "date": "time",
    "timestamp": "time",
    "string": "text",
    "binary": "bytes",
}
_UNSIGNED = {"uint8": "int16", "uint16": "int32", "uint32": "int64"}


@dataclass(frozen=True, slots=True)
class Drifted:
    """What a drift policy let pass: columns of the file that are not read, and ones read as null."""

    extra: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def comply(
    footer: Footer,
    partition: Mapping[str, str],
    contract: Contract,
    *,
    expected: Sequence[str],
    drift: Drift,
    uri: str,
) -> Drifted:
    """Judge one file.

    Args:
        footer: The file's.
        partition: Values of the path's partitions.
        contract: Types of the columns.
        expected: Names that file and path must bring together; empty means the contract's.
        drift: What may differ.
        uri: For messages.

    Raises:
        RejectedFile: NoRows, TooManyColumns, DuplicateColumns, AmbiguousColumns, LegacyTimestamps,
            MissingColumns, CaseDiffers, UnexpectedColumns, ReorderedColumns, NestedColumn or WrongType.
    """
    names = [name for name, _ in footer.columns]
    _check_names(names, partition, uri)
    for name, kind in footer.columns:
        _check_fields(name, kind, uri)
    if footer.rows == 0:
        raise RejectedFile("NoRows", "the file has no rows", uri)
    if footer.legacy_timestamps:
        hint = "write it with spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS"
        raise RejectedFile(
            "LegacyTimestamps", f"{footer.legacy_timestamps[0]} is stored as INT96; {hint}", uri
        )
    wanted = [column for column in _wanted(contract, expected) if column.name not in partition]
    drifted = _check_drift(names, wanted, set(partition), drift, uri)
    types = dict(footer.columns)
    for column in _wanted(contract, expected):  # those of the path too, where the file has them as well
        if column.name in types:
            _check_type(column, types[column.name], uri)
    return drifted


def _wanted(contract: Contract, expected: Sequence[str]) -> list[Column]:
    known = {column.name: column for column in contract.columns}
    if not expected:
        return list(contract.columns)
    return [known.get(name, Column(name, DataType("any"), nullable=True)) for name in expected]


def _check_names(names: Sequence[str], partition: Mapping[str, str], uri: str) -> None:
    if len(names) > MOST_COLUMNS:
        raise RejectedFile("TooManyColumns", f"{len(names):,} columns; at most {MOST_COLUMNS:,}", uri)
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other is not name:
            if other == name:
                raise RejectedFile("DuplicateColumns", f"the column {name!r} appears twice", uri)
            what = f"the columns {other!r} and {name!r} differ by case only, which catalogs ignore"
            raise RejectedFile("AmbiguousColumns", what, uri)
    for name in partition:
        other = seen.get(name.lower(), name)
        if other != name:
            what = f"the column {other!r} and the path's {name!r} differ by case only, which catalogs ignore"
            raise RejectedFile("AmbiguousColumns", what, uri)


def _check_fields(path: str, kind: DataType, uri: str) -> None:
    """Refuse structs whose fields a catalog, or DuckDB, cannot tell apart."""
    if kind.item is not None:
        _check_fields(path, kind.item, uri)
    seen: set[str] = set()
    for field in kind.fields:
        if field.name.lower() in seen:
            what = f"{path} has the field {field.name!r} twice, case aside"
            raise RejectedFile("DuplicateColumns", what, uri)
        seen.add(field.name.lower())
        _check_fields(f"{path}.{field.name}", field.type, uri)


def _check_drift(
    names: Sequence[str], wanted: Sequence[Column], partitions: set[str], drift: Drift, uri: str
) -> Drifted:
    known = [column.name for column in wanted]
    missing = tuple(name for name in known if name not in names)
    extra = tuple(name for name in names if name not in known and name not in partitions)
    optional = {column.name for column in wanted if column.nullable or not column.required}
    by_case = {name.lower(): name for name in extra}
    for name in missing:
        if name.lower() in by_case:
            what = f"the column {by_case[name.lower()]!r} differs from the contract's {name!r} by case only"
            raise RejectedFile("CaseDiffers", what, uri)
    if missing and (drift is not Drift.PERMISSIVE or not set(missing) <= optional):
        listed = ", ".join(missing[:20])
        raise RejectedFile("MissingColumns", f"the file lacks {listed}; it has {_some(names)}", uri)
    if extra and drift in (Drift.STRICT, Drift.REORDER):
        what = f"the contract does not know {_some(extra)}; the drift policy is {drift}"
        raise RejectedFile("UnexpectedColumns", what, uri)
    if drift is Drift.STRICT and (order := [name for name in names if name in known]) != known:
        what = f"the columns come as {_some(order)}; the contract has {_some(known)}"
        raise RejectedFile("ReorderedColumns", what, uri)
    return Drifted(extra, missing)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown


def _check_type(column: Column, actual: DataType, uri: str) -> None:
    wanted = column.type
    if wanted.name == "any":
        return
    if actual.item is not None or actual.fields:
        if wanted.item is None and not wanted.fields:
            what = f"{column.name} is {actual}; the contract wants the flat type {wanted}"
            raise RejectedFile("NestedColumn", what, uri)
    elif wanted.item is not None or wanted.fields:
        raise RejectedFile("WrongType", f"{column.name} is {actual}, the contract says {wanted}", uri)
    # Spark takes a column without a type for integers.
    if actual.name == "null" and column.nullable and _KINDS.get(wanted.name) in ("number", "text"):
        return
    if _stored(actual) == _stored(wanted) or (column.coerce and _converts(actual, wanted)):
        return
    raise RejectedFile("WrongType", f"{column.name} is {actual}, the contract says {wanted}", uri)


def _converts(actual: DataType, wanted: DataType) -> bool:
    """Whether every engine converts values of one flat type to the other alike, or tells which it cannot."""
    if actual.fields or actual.item is not None:
        return True  # member by member, as the contract's own rules say
    one, other = _KINDS.get(actual.name), _KINDS.get(wanted.name)
    if one is None or other is None:
        return False
    if other == "text":  # floats and instants are spelled differently
        return one != "bytes" and not actual.name.startswith("float") and actual.timezone is None
    return one in (other, "text")


def _stored(given: DataType) -> DataType:
    """Return how a type is stored: zones are metadata of an instant, unsigned types are widened."""
    if given.name == "timestamp":
        return DataType("timestamp", timezone="UTC" if given.timezone else None)
    if given.name in _UNSIGNED:
        return DataType(_UNSIGNED[given.name])
    if given.name == "uint64":
        return DataType("decimal", precision=20, scale=0)
    return given
