"""Polars: the small engine for CSV; every stage of a step in one streaming pass over its files.

In: a step's files and contracts. Out: Parquet and quarantine. Frames are lazy; nothing is read until
`write`, except one look at the lines of each CSV file, and a pass for each rule on all rows of a frame.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from aws_runtime.contract import Contract, Severity
from aws_runtime.dialect import Dialect
from aws_runtime.engines import (
    SOURCE_ROW,
    SOURCE_URI,
    Capabilities,
    Checked,
    InputFile,
    Limits,
    Written,
)
from aws_runtime.engines.polars_csv import TOLD, CsvFrame, open_csv
from aws_runtime.engines.polars_dialect import POLARS, NestedError, data_type, dtype_of, replaced
from aws_runtime.engines.polars_parquet import broken_pages_told, read_file
from aws_runtime.engines.polars_record import as_json
from aws_runtime.engines.polars_sql import Translator
from aws_runtime.engines.polars_windows import FrameWindows
from aws_runtime.engines.polars_write import bad_sink, publish, publish_bad, stage_good
from aws_runtime.errors import RejectedFile, RowsNotConserved, TransformError
from aws_runtime.formats import csv
from aws_runtime.formats.csv_values import local_dialect
from aws_runtime.plan import FormatPlan, PartitionPlan
from aws_runtime.rules import Violation, projection, raw_columns, violations

CAPABILITIES = Capabilities(
    name="polars",
    formats=frozenset({"csv", "parquet"}),
    nested=False,
    runs_in=frozenset({"lambda"}),
    requirements=("narwhals", "polars", "zstandard"),
    preference={"csv": 1, "parquet": 3},
    max_input_bytes=10 * 1024**3,
)

_HIDDEN = {SOURCE_ROW: pl.Int64(), SOURCE_URI: pl.String()}
_BAD = "__bad"


@dataclass(frozen=True, slots=True)
class _Read:
    """What a frame was read from.

    Args:
        frame: As `read` returned it; kept, so that its identity stays its own.
        dialect: How its texts become values.
        files: CSV files, in their order.
    """

    frame: pl.LazyFrame
    dialect: Dialect
    files: tuple[CsvFrame, ...]


@dataclass(frozen=True, slots=True)
class _Split:
    """What `check` keeps for `write`.

    Args:
        judged: Every row with its verdict.
        told: The columns of a quarantined row, over a judged one.
        broken: What is counted.
        files: With the records that could not be read.
    """

    judged: pl.LazyFrame
    told: tuple[pl.Expr, ...]
    broken: tuple[Violation, ...]
    files: tuple[CsvFrame, ...]


@dataclass(slots=True)
class PolarsEngine:
    """The frames of one step.

    Args:
        work: Folder for copies of files, removed at the end.
    """

    work: Path
    reads: dict[int, _Read] = field(default_factory=dict)
    uris: set[str] = field(default_factory=set)
    parquet: list[tuple[str, pl.LazyFrame]] = field(default_factory=list)

    def read(self, files: Sequence[InputFile], format: FormatPlan, contract: Contract) -> pl.LazyFrame:  # noqa: A002 - the protocol's name
        """Return the records of all files: CSV as text, Parquet as it is, with the hidden columns."""
        self.uris.update(file.uri for file in files)
        dialect = POLARS
        opened: tuple[CsvFrame, ...] = ()
        if format.name == "parquet":
            frames = [read_file(file, contract) for file in files]
            self.parquet.extend((file.uri, frame) for file, frame in zip(files, frames, strict=True))
        else:
            options = csv.Options(**format.options)
            dialect = local_dialect(POLARS, options.habits, replaced)
            opened = tuple(open_csv(f.path, f.uri, options, contract, self.work) for f in files)
            frames = [one.frame for one in opened]
        frame = pl.concat(frames, how="diagonal") if frames else _no_rows(contract)
        self.reads[id(frame)] = _Read(frame, dialect, opened)
        return frame

    def check(self, frame: pl.LazyFrame, contract: Contract, stage: str) -> Checked:
        """Coerce and split `frame`."""
        given = self.reads.get(id(frame), _Read(frame, POLARS, ()))
        frame = _plain_types(frame)
        schema = frame.collect_schema()
        types = {name: data_type(kind) for name, kind in schema.items()}
        absent = [c.name for c in contract.columns if c.required and c.name not in types]
        if absent:
            raise RejectedFile("MissingColumns", f"{stage} has no {', '.join(absent)}", ", ".join(self.uris))
        translated = Translator(schema)
        try:
            columns = [
                translated(sql).alias(name) for name, sql in projection(contract, given.dialect, types)
            ]
        except NestedError as error:
            raise TransformError(f"{stage}: {error}") from error
        hidden = [pl.col(name).cast(kind) for name, kind in _HIDDEN.items() if name in types]
        typed = frame.select(*columns, *hidden)
        broken = violations(contract, given.dialect, types)
        schema = typed.collect_schema()
        judge = Translator(schema, FrameWindows(typed))
        flags = [judge(v.predicate).alias(_flag(i)) for i, v in enumerate(broken)]
        errors = [pl.col(_flag(i)) for i, v in enumerate(broken) if v.severity is Severity.ERROR]
        # Never null, so that every row is on one side.
        bad = pl.any_horizontal(errors).fill_null(True) if errors else pl.lit(False)
        # Named as shared: Polars finds by itself only what is shared at the top, and would read twice.
        judged = typed.with_columns(flags).with_columns(bad.alias(_BAD)).cache()
        kept = [c.name for c in contract.columns] + [name for name in _HIDDEN if name in types]
        told = self._told(contract, stage, broken, types, judge)
        return Checked(
            judged.filter(~pl.col(_BAD)).select(kept),
            judged.filter(pl.col(_BAD)).select(told),
            _Split(judged, tuple(told), tuple(broken), given.files),
        )

    def _told(
        self,
        contract: Contract,
        stage: str,
        broken: Sequence[Violation],
        types: Mapping[str, Any],
        judge: Translator,
    ) -> list[pl.Expr]:
        """The columns of a quarantined row, over a judged one."""
        reasons = [
            pl.when(pl.col(_flag(i))).then(judge(v.reason)).cast(pl.String)
            for i, v in enumerate(broken)
            if v.severity is Severity.ERROR
        ]
        found = pl.concat_list(reasons or [pl.lit(None, dtype=pl.String)]).list.drop_nulls()
        only = next(iter(self.uris)) if len(self.uris) == 1 else None
        uri = pl.col(SOURCE_URI) if SOURCE_URI in types else pl.lit(only, dtype=pl.String)
        row = pl.col(SOURCE_ROW) if SOURCE_ROW in types else pl.lit(None, dtype=pl.Int64)
        record = as_json(raw_columns(contract, POLARS, types), judge.schema)
        made = (pl.lit(stage), uri, row, found, record)
        return [value.alias(name) for name, value in zip(TOLD, made, strict=True)]

    def write(
        self,
        *,
        checked: Mapping[str, Checked],
        output_stage: str,
        contract: Contract,
        partition_by: Sequence[PartitionPlan],
        compression: str,
        destination: str,
        quarantine: str,
        stem: str,
    ) -> Written:
        """Run everything at once: count, write the good rows and the bad ones, in one pass."""
        place, bad_place = Path(destination), Path(quarantine) / f"{stem}.parquet"
        staging = [place / f".staging-{stem}", Path(quarantine) / f".staging-{stem}"]
        try:
            for folder in staging:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            valid = checked[output_stage].valid
            good, rows = stage_good(valid, contract, partition_by, compression, staging[0])
            bad = [str(staging[1] / f"{number}.parquet") for number in range(len(checked))]
            # One file a stage: rows of the second must not wait, in memory, for the end of the first.
            aside = [one.token.judged.filter(pl.col(_BAD)) for one in checked.values()]
            sinks = [bad_sink(rows_aside, path) for rows_aside, path in zip(aside, bad, strict=True)]
            counts = [_counts(one.token) for one in checked.values()]
            with broken_pages_told(self.parquet):
                try:
                    _, *done = pl.collect_all([good.sink(rows), *counts, *sinks], engine="streaming")
                except Exception:
                    if not good.crowded:
                        raise
                    # All rows into one file first; how many partitions there are is known only now.
                    _, *done = pl.collect_all([good.sink(rows), *counts, *sinks], engine="streaming")
            counted = {stage: frame.row(0, named=True) for stage, frame in zip(checked, done, strict=False)}
            written = _ledger(checked, counted)
            told = [
                part
                for (stage, one), path in zip(checked.items(), bad, strict=True)
                for part in _all_told(one, stage, path)
            ]
            refused = publish_bad(told, sum(written.rows_quarantined.values()), staging[1], bad_place)
            good.distribute()
            files = publish(good, place, stem, compression)
        finally:
            for folder in staging:
                shutil.rmtree(folder, ignore_errors=True)
        return replace(written, files=files, quarantine=refused, rows_out=sum(file.rows for file in files))


def _flag(index: int) -> str:
    return f"__v{index}"


def _no_rows(contract: Contract) -> pl.LazyFrame:
    columns = {c.name: dtype_of(POLARS.type_name(c.type)) for c in contract.columns}
    return pl.LazyFrame(schema={**columns, **_HIDDEN})


def _plain_types(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Categories as text, and zones as UTC, which is how they are stored."""
    changed = [
        pl.col(name).cast(pl.String)
        if isinstance(kind, (pl.Categorical, pl.Enum))
        else pl.col(name).dt.convert_time_zone("UTC")
        for name, kind in frame.collect_schema().items()
        if isinstance(kind, (pl.Categorical, pl.Enum))
        or (isinstance(kind, pl.Datetime) and kind.time_zone not in (None, "UTC"))
    ]
    return frame.with_columns(changed) if changed else frame


def _all_told(checked: Checked, stage: str, written: str) -> Iterator[pl.LazyFrame]:
    """The quarantined rows of a stage: broken records, and the file of those that break a rule."""
    for path in (path for file in checked.token.files for path in file.told):
        yield pl.scan_parquet(path, glob=False).select(pl.lit(stage).alias("stage"), *list(TOLD)[1:])
    # Reasons and records are spelled from the rows set aside: a slow branch of the one pass would make
    # Polars keep what the other branches have done with.
    yield pl.scan_parquet(written, glob=False).select(checked.token.told)


def _counts(split: _Split) -> pl.LazyFrame:
    flags = [pl.col(_flag(i)).sum() for i, _ in enumerate(split.broken)]
    return split.judged.select(pl.len().alias("rows"), pl.col(_BAD).sum(), *flags)


def _ledger(checked: Mapping[str, Checked], counted: Mapping[str, Mapping[str, int]]) -> Written:
    """Rows and violations of every stage, with the records that are none."""
    rows_in: dict[str, int] = {}
    bad: dict[str, int] = {}
    violated: dict[str, int] = {}
    for stage, one in checked.items():
        split: _Split = one.token
        counts = counted[stage]
        records, malformed = sum(f.records for f in split.files), sum(f.broken for f in split.files)
        if split.files and records != counts["rows"] + malformed:
            raise RowsNotConserved(
                f"{stage}: {records} records in the files, {counts['rows'] + malformed} read"
            )
        rows_in[stage], bad[stage] = counts["rows"] + malformed, counts[_BAD] + malformed
        violated |= {f"{stage}.{v.id}": n for i, v in enumerate(split.broken) if (n := counts[_flag(i)])}
        if malformed:
            violated[f"{stage}.{csv.MALFORMED}"] = malformed
        for file in split.files:
            for column, count in file.extra.items():
                rule = f"{stage}.extra_column.{column}"
                violated[rule] = violated.get(rule, 0) + count
    return Written((), (), rows_in, 0, bad, violated)


@contextmanager
def open_engine(limits: Limits) -> Iterator[PolarsEngine]:
    """Open a folder for copies of files."""
    Path(limits.spill_directory).mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="step-", dir=limits.spill_directory))
    try:
        yield PolarsEngine(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
