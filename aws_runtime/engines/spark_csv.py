"""CSV files -> Spark rows of text, with the position and the fault of every record.

In: files as people send them. Out: rows of the contract's columns as read, then the hidden columns.
A plain file is cut into ranges that tasks read side by side. Where a range begins is a guess, because
only whoever has read a file from its start knows whether a line break lies within quotes; each task
tells where its last record ended, and where one guess was wrong the file is read again in one piece.
So the answer is exact, and big files are read in parallel whether or not fields hold line breaks.
Compressed files, and those in an encoding or with line ends that cannot be cut, are one task each,
which makes them plain on its worker's disk and streams them.
"""

from __future__ import annotations

import codecs
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from aws_runtime.contract import Contract
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI, InputFile
from aws_runtime.engines.spark_csv_lines import skip_lines
from aws_runtime.engines.spark_csv_rows import Part, Reader
from aws_runtime.engines.spark_dialect import SPARK
from aws_runtime.engines.spark_files import head, size
from aws_runtime.engines.spark_json import BLOCK, LINE, SOURCE_ERROR, SOURCE_TEXT
from aws_runtime.engines.spark_survey import Survey
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import csv as csv_format
from aws_runtime.formats.compression import compression
from aws_runtime.formats.csv_bytes import encoding_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Bytes of a range: some seconds of one core.
RANGE_BYTES = 32 * 1024 * 1024
#: Bytes from a file's start that must hold its header, for the file to be cut.
_HEAD_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _File:
    """How a file is read.

    Args:
        parts: Its parts, in their order.
        length: Its bytes.
        names: Of its columns; none where the task that reads it finds them.
        large: Whether one task has much of it.
    """

    parts: tuple[Part, ...]
    length: int
    names: tuple[str, ...] = ()
    large: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """What a task says of its part; see `spark_csv_rows.Reader`.

    Args:
        lines: Number of its last line; from 1 within the part, and of the first part within the file.
        start, stop: Where it begins and ends in the file.
        end: Last line of its last record.
        records: Its records, broken ones included.
        broken: Its broken records.
        error, error_line: Of the first broken record.
        names: Of the file's columns, where the task has read the header.
        rejected: Code and reason, where the file is to be refused.
    """

    lines: int
    start: int = 0
    stop: int | None = None
    end: int = 0
    records: int = 0
    broken: int = 0
    error: str = ""
    error_line: int = 0
    names: Sequence[str] = ()
    rejected: Sequence[str] = ()


def read_rows(
    spark: SparkSession, files: Sequence[InputFile], reader: Reader
) -> tuple[DataFrame, list[Survey], dict[str, int]]:
    """Return the records of `files`, cached; what each part holds; how often columns beyond the contract occur.

    Raises:
        RejectedFile: As `formats.csv.open_file`, and `MalformedCsv`.
    """
    known = {file.uri: _plan(file, reader) for file in files}
    frame = _frame(spark, known, reader)
    try:
        told = _told(frame)
        if wrong := {uri for uri, file in known.items() if not _agree(file, told)}:
            frame.unpersist()
            known = {uri: _in_one_piece(file) if uri in wrong else file for uri, file in known.items()}
            frame = _frame(spark, known, reader)
            told = _told(frame)
        surveys = [survey for file in known.values() for survey in _surveys(file, told)]
        extra = _extra(known.values(), told, reader.contract)
    except BaseException:
        frame.unpersist()
        raise
    return frame, surveys, extra


def _plan(file: InputFile, reader: Reader) -> _File:
    """Read a file's header and cut it into parts, or leave both to the task that reads it.

    Raises:
        RejectedFile: What `formats.csv.open_file` says of a file that is plain.
    """
    length = size(file.path)
    sample = head(file.path, _HEAD_BYTES) if length else b""
    large = length > len(sample)
    encoding, lenient = encoding_of(sample[:4], reader.options)
    whole = _File((Part(file.path, file.uri),), length, large=length > RANGE_BYTES)
    if not sample or compression(sample[:4]) or encoding not in ("utf-8", "utf-8-sig"):
        return whole
    if b"\n" not in sample and (large or b"\r" in sample):
        return whole
    lines = sample[: sample.rfind(b"\n") + 1] if large else sample
    with tempfile.TemporaryDirectory() as folder:
        path, work = Path(folder) / "head.csv", Path(folder) / "work"
        path.write_bytes(lines)
        work.mkdir()
        try:
            source = csv_format.open_file(str(path), file.uri, reader.options, reader.contract, work)
        except RejectedFile:
            # Of a larger file, what is wrong may lie in the cut.
            if large:
                return whole
            raise
        tall = source.header.lines >= lines.count(b"\n")
    if large and tall:
        return whole
    with BytesIO(lines) as stream:
        skip_lines(stream, source.header.lines)
        # A byte order mark is of no record.
        start = max(stream.tell(), len(codecs.BOM_UTF8) if encoding == "utf-8-sig" else 0)
    fallback = reader.options.fallback_encoding if lenient else ""
    first = Part(file.path, file.uri, source.header, start, fallback=fallback)
    return _File(tuple(_cut(first, length)), length, source.header.names)


def _cut(whole: Part, length: int) -> Iterator[Part]:
    """Cut a file into ranges of about `RANGE_BYTES`; a short rest stays with the range before it."""
    count = max(1, round((length - whole.start) / RANGE_BYTES))
    starts = [whole.start + (length - whole.start) * number // count for number in range(count)]
    for number, (start, stop) in enumerate(zip(starts, [*starts[1:], None], strict=True)):
        yield replace(whole, start=start, stop=stop, first=not number)


def _in_one_piece(file: _File) -> _File:
    return replace(file, parts=(replace(file.parts[0], stop=None),), large=True)


def _frame(spark: SparkSession, known: Mapping[str, _File], reader: Reader) -> DataFrame:
    parts = [part for file in known.values() for part in file.parts]
    context = spark.sparkContext
    # Small files share tasks: a task costs as much as some hundred kilobytes.
    tasks = max(2 * context.defaultParallelism, sum(file.length for file in known.values()) // RANGE_BYTES)
    rows = context.parallelize(parts, min(tasks, len(parts)) or 1).flatMap(reader.rows)
    columns = ", ".join(f"{SPARK.quote(column.name)} STRING" for column in reader.contract.columns)
    hidden = f"{SOURCE_ERROR} STRING, {SOURCE_TEXT} STRING, {SOURCE_ROW} BIGINT, {LINE} BIGINT"
    schema = f"{columns}, {hidden}, {SOURCE_URI} STRING, {BLOCK} BIGINT"
    frame = spark.createDataFrame(rows, schema, verifySchema=False).selectExpr(
        *(_nulled(column.name, reader.options) for column in reader.contract.columns),
        *(SOURCE_ERROR, SOURCE_TEXT, SOURCE_ROW, LINE, SOURCE_URI, BLOCK),
    )
    if any(file.large for file in known.values()):
        # One task has read it; what follows is for all.
        frame = frame.repartition(context.defaultParallelism)
    return frame.persist()


def _nulled(column: str, options: csv_format.Options) -> str:
    """`formats.csv.nulled` in SQL, where it costs less than in Python."""
    name = SPARK.quote(column)
    nulls = ", ".join(SPARK.text(value) for value in ("", *options.null_values))
    return f"CASE WHEN {name} NOT IN ({nulls}) THEN {name} END AS {name}"


def _told(frame: DataFrame) -> dict[tuple[str, int], _Told]:
    """What the tasks say of their parts, by file and start; computes and caches the frame."""
    last = frame.filter(f"{SOURCE_ROW} IS NULL").select(SOURCE_URI, BLOCK, LINE, SOURCE_TEXT)
    return {(row[0], row[1]): _Told(row[2], **json.loads(row[3])) for row in last.collect()}


def _agree(file: _File, told: Mapping[tuple[str, int], _Told]) -> bool:
    """Whether each part begins where the last record of the one before ends."""
    parts = [told[part.uri, part.start] for part in file.parts]
    if any(part.rejected for part in parts):
        return True
    return all(
        before.stop is not None and before.start <= before.stop == after.start and before.end <= before.lines
        for before, after in itertools.pairwise(parts)
    )


def _surveys(file: _File, told: Mapping[tuple[str, int], _Told]) -> Iterator[Survey]:
    """What each part holds, in their order.

    Raises:
        RejectedFile: What a task says of its file; MalformedCsv where no record of it is sound.
    """
    uri, parts = file.parts[0].uri, [(part.start, told[part.uri, part.start]) for part in file.parts]
    for _, part in parts:
        if part.rejected:
            raise RejectedFile(part.rejected[0], part.rejected[1], uri)
    lines, first = 0, None
    for start, part in parts:
        if part.error and first is None:
            first = f"{part.error} (line {lines + part.error_line})"
        lines += part.lines
        yield Survey(uri, start, part.records, part.broken, part.lines, first, {}, {})
    if first is not None and all(part.records == part.broken for _, part in parts):
        raise csv_format.no_record(first, uri)


def _extra(
    files: Iterable[_File], told: Mapping[tuple[str, int], _Told], contract: Contract
) -> dict[str, int]:
    """Columns beyond the contract -> sound records of the files that have them."""
    counts: Counter[str] = Counter()
    for file in files:
        parts = [told[part.uri, part.start] for part in file.parts]
        names = file.names or parts[0].names
        sound = sum(part.records - part.broken for part in parts)
        counts.update(dict.fromkeys(csv_format.extra_columns(names, contract), sound))
    return {name: count for name, count in counts.items() if count}
