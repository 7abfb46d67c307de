"""Merge and scd2 on Parquet files: a run's rows meet those of the partitions that they touch.

In: the files that a run has written, and the curated files of the same partitions. Out: files with the whole
new content of these partitions, on DuckDB and on Spark alike; nothing is published here. Paths are local ones,
or `s3://` URIs for Spark on Glue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import narwhals as nw

from aws_runtime.contract import Contract
from aws_runtime.curation import write_modes
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.keyed import HISTORY, IS_CURRENT, file_contract, output_columns
from aws_runtime.engines import Engine, InputFile, WrittenFile
from aws_runtime.errors import RejectedFile, RowsNotConserved
from aws_runtime.partitions import partition_folder
from aws_runtime.plan import AssetPlan, FormatPlan, PartitionPlan

_PARQUET = FormatPlan("parquet")


class TableDiffers(Exception):  # noqa: N818 - says what is wrong
    """The table's files are not what the run can go on from; nothing was written."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """How the rows of a run meet those of the table.

    Args:
        mode: `merge` or `scd2`.
        keys: What identifies a row.
        at: Since when the run's rows are true, for scd2.
    """

    mode: WriteMode
    keys: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Met:
    """The partitions' new content.

    Args:
        files: All of it.
        rows_existing: Rows of the table that were read.
        rows_merged: By which the table does not grow: of merge, rows of the table that were replaced; of scd2,
            rows of the run that change nothing.
        rows_staged: Rows of the files: rows_existing + rows of the run - rows_merged.
    """

    files: tuple[WrittenFile, ...]
    rows_existing: int
    rows_merged: int
    rows_staged: int


def meet(
    engine: Engine,
    plan: AssetPlan,
    how: Keyed,
    *,
    incoming: Sequence[WrittenFile],
    existing: Sequence[InputFile],
    destination: str,
    scratch: str,
    stem: str,
) -> Met:
    """Write the new content of all partitions that `incoming` touches.

    Args:
        engine: Opened for this alone.
        plan: The asset.
        how: Mode, keys and time.
        incoming: Files of the run's rows, which have keys; in the same layout as the table.
        existing: All files of these partitions, with their folders' values (`folder_values`).
        destination: Folder, or prefix, of the new files.
        scratch: A folder, or prefix, in which nothing is.
        stem: Names the files.

    Raises:
        RejectedFile: DuplicateKeys, LateRun.
        TableDiffers: The table's files lack a key or scd2's columns, have columns that the contract has not, or
            values that are not of its types.
        RowsNotConserved: Rows were lost or doubled.
    """
    contract, by = plan.output.contract, plan.output.partition_by
    columns = output_columns(how.mode, contract)
    name = f"{plan.pipeline}/{plan.asset}"
    rows = [InputFile(file.path, file.path, folder_values(file.partition, contract, by)) for file in incoming]
    fresh = _read(engine, rows, file_contract("incoming", contract.columns))
    there = _read(engine, existing, file_contract("existing", columns), _needed(how))
    _check(engine, how, there, fresh, name)
    history = how.mode is WriteMode.SCD2
    counts = [
        _count(engine, frame)
        for frame in (there, fresh, write_modes.met(there, fresh, how.keys, history=history))
    ]
    moment = how.at.astimezone(UTC)
    after = (
        write_modes.scd2(there, fresh, how.keys, moment)
        if history
        else write_modes.merge(there, fresh, how.keys)
    )
    table = file_contract("table", columns)
    view = engine.query("SELECT * FROM met", {"met": nw.to_native(after)})
    written = engine.write(
        checked={"table": engine.check(view, table, "table")},
        output_stage="table",
        contract=table,
        partition_by=by,
        compression=plan.output.compression,
        destination=destination,
        quarantine=scratch,
        stem=stem,
    )
    found = Met(written.files, counts[0], counts[2], written.rows_out)
    _conserved(found, counts[1], sum(file.rows for file in incoming), name)
    return found


def folder_values(
    partition: Mapping[str, str], contract: Contract, by: Sequence[PartitionPlan]
) -> dict[str, str]:
    """Return those values of a file's folder that are columns of the contract, as its reader takes them."""
    types = {column.name: column.type for column in contract.columns}
    return {
        one.name: f"{partition[one.name]}Z" if types[one.name].timezone else partition[one.name]
        for one in by
        if one.name in types and one.name == one.column
    }


def local_files(
    table: Path, incoming: Sequence[WrittenFile], contract: Contract, by: Sequence[PartitionPlan]
) -> list[InputFile]:
    """Return the files of a local table in the partitions that `incoming` touches."""
    return [
        InputFile(str(path), str(path), folder_values(partition, contract, by))
        for folder, partition in touched(incoming, by).items()
        for path in sorted((table / folder).glob("*.parquet"))
    ]


def touched(incoming: Sequence[WrittenFile], by: Sequence[PartitionPlan]) -> dict[str, dict[str, str]]:
    """Return the partitions of a run's files: folder below the table, ending in `/` -> its values by name."""
    found: dict[str, dict[str, str]] = {}
    for file in incoming:
        values = {one.name: file.partition[one.name] for one in by}
        found[partition_folder(values)] = values
    return dict(sorted(found.items()))


def _needed(how: Keyed) -> tuple[str, ...]:
    added = tuple(column.name for column in HISTORY) if how.mode is WriteMode.SCD2 else ()
    return (*how.keys, *added)


def _read(
    engine: Engine, files: Sequence[InputFile], contract: Contract, needed: Sequence[str] = ()
) -> write_modes.Frame:
    """Return the rows of files in the contract's types, and nothing else; all of them."""
    uri = files[0].uri if files else "no file"
    known = [column.name for column in contract.columns]
    try:
        names = {*engine.columns(files), *(name for file in files for name in file.partition)}
        extra, missing = sorted(names - {*known}), [name for name in needed if name not in names]
        if extra:
            raise TableDiffers(
                f"{uri}: the table has the column {extra[0]!r}, which the rows of the run have not; add it to the "
                "contract, or start a new table"
            )
        if files and missing:
            raise TableDiffers(f"{uri}: the table lacks the column {missing[0]!r}; start a new table")
        checked = engine.check(engine.read(files, _PARQUET, contract), contract, contract.name)
    except RejectedFile as error:
        raise TableDiffers(f"{error.uri}: {error.code}: {error.reason}") from error
    bad = nw.from_native(checked.quarantined).lazy().select("source_uri", "reasons").head(1)
    for where, reasons in engine.rows(nw.to_native(bad)):
        raise TableDiffers(f"{where or uri}: {'; '.join(reasons)}; cast the table, or start a new one")
    valid: write_modes.Frame = nw.from_native(checked.valid).lazy()
    return valid.select(*known)


def _check(engine: Engine, how: Keyed, there: write_modes.Frame, fresh: write_modes.Frame, name: str) -> None:
    keys = list(how.keys)
    for *found, count in engine.rows(nw.to_native(write_modes.twice(fresh, keys).head(1))):
        raise RejectedFile(
            "DuplicateKeys",
            f"{count:,} rows of the run have the key {_said(keys, found)}; which one is meant? "
            "A deduplicate step says it",
            name,
        )
    if how.mode is not WriteMode.SCD2:
        return
    current = there.filter(nw.col(IS_CURRENT))
    for *found, count in engine.rows(nw.to_native(write_modes.twice(current, keys).head(1))):
        raise TableDiffers(f"{name}: {count:,} rows of the key {_said(keys, found)} are current")
    late = write_modes.late(there, fresh, keys, how.at.astimezone(UTC)).sort(*keys).head(1)
    for values in engine.rows(nw.to_native(late)):
        raise RejectedFile(
            "LateRun",
            f"the table knows a newer row of the key {_said(keys, values)} than the run's, of "
            f"{how.at.astimezone(UTC).isoformat()}; scd2 writes history forward only",
            name,
        )


def _said(keys: Sequence[str], values: Sequence[Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))


def _count(engine: Engine, frame: write_modes.Frame) -> int:
    return int(engine.rows(nw.to_native(frame.select(nw.len())))[0][0])


def _conserved(found: Met, fresh: int, written: int, name: str) -> None:
    expected = found.rows_existing + written - found.rows_merged
    if fresh != written or found.rows_staged != expected:
        raise RowsNotConserved(
            f"{name}: {found.rows_existing} rows in the table, {written} of the run ({fresh} read again), "
            f"{found.rows_merged} met: {expected} expected, {found.rows_staged} staged"
        )
