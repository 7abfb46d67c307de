"""What one look at all records tells Spark: how many, which columns, and where each split begins.

In: rows as `spark_json` makes them, cached. Out: a `Survey` for each split, files refused for their
columns, and positions that count within the file rather than within the split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_runtime.contract import Contract, Drift
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI
from aws_runtime.engines.spark_json import ABSENT, BLOCK, EXTRA, LINE, SOURCE_ERROR
from aws_runtime.errors import RejectedFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: How many columns beyond the contract are named, the most frequent first.
_EXTRA_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class Survey:
    """One split of one file.

    Args:
        uri: The file.
        block: Where the split begins.
        records: Its records, broken ones included.
        broken: Its broken records.
        lines: Its lines.
        first_error: The reason of its first broken record.
        absent: Required column -> sound records that lack it.
        extra: Column beyond the contract -> sound records that have it.
    """

    uri: str
    block: int
    records: int
    broken: int
    lines: int
    first_error: str | None
    absent: Mapping[str, int]
    extra: Mapping[str, int]


def survey(frame: DataFrame) -> list[Survey]:
    """Look at all records once; the splits of a file come in their order."""
    from pyspark.sql import functions as f  # noqa: PLC0415 - see spark.py

    # Most records have neither; lists that are alike are counted together.
    shapes = frame.groupBy(SOURCE_URI, BLOCK, EXTRA, ABSENT).agg(
        f.expr(f"count({SOURCE_ROW})").alias("records"),
        f.expr(f"count({SOURCE_ERROR})").alias("broken"),
        f.expr(f"max({LINE})").alias("lines"),
        f.expr(
            f"min_by(struct({LINE} AS line, {SOURCE_ERROR} AS error), {LINE}) FILTER (WHERE {SOURCE_ERROR} IS NOT NULL)"
        ).alias("first"),
    )
    splits: dict[tuple[str, int], list[Any]] = {}
    for row in shapes.collect():
        splits.setdefault((row[SOURCE_URI], row[BLOCK]), []).append(row)
    return [_merged(uri, block, rows) for (uri, block), rows in sorted(splits.items())]


def _merged(uri: str, block: int, rows: Sequence[Any]) -> Survey:
    absent: Counter[str] = Counter()
    extra: Counter[str] = Counter()
    for row in rows:
        sound = row["records"] - row["broken"]
        absent.update(dict.fromkeys(row[ABSENT], sound))
        extra.update(dict.fromkeys(row[EXTRA], sound))
    errors = [row["first"] for row in rows if row["first"] is not None]
    return Survey(
        uri,
        block,
        sum(row["records"] for row in rows),
        sum(row["broken"] for row in rows),
        max(row["lines"] for row in rows),
        min(errors, key=lambda e: e["line"])["error"] if errors else None,
        absent,
        extra,
    )


def judge_columns(surveys: Sequence[Survey], contract: Contract, uri: str) -> None:
    """Refuse a file that holds no sound record, or whose columns the drift policy refuses.

    Raises:
        RejectedFile: MalformedJson, MissingColumns, UnexpectedColumns.
    """
    records, broken = sum(s.records for s in surveys), sum(s.broken for s in surveys)
    if not records:
        return
    if records == broken:
        first = next(s.first_error for s in surveys if s.first_error)
        raise RejectedFile("MalformedJson", f"no record can be read; the first: {first}", uri)
    absent = _summed(s.absent for s in surveys)
    missing = [c for c in contract.columns if absent.get(c.name) == records - broken]
    if contract.drift is Drift.PERMISSIVE:
        missing = [c for c in missing if not c.nullable and c.default is None]
    if missing:
        raise RejectedFile("MissingColumns", f"no record has {', '.join(c.name for c in missing)}", uri)
    extra = extra_columns(surveys)
    if extra and contract.drift in (Drift.STRICT, Drift.REORDER):
        raise RejectedFile("UnexpectedColumns", f"records have {', '.join(extra)}", uri)


def _summed(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def extra_columns(surveys: Sequence[Survey]) -> dict[str, int]:
    """Columns beyond the contract -> records that have them, the most frequent first."""
    ranked = sorted(_summed(s.extra for s in surveys).items(), key=lambda item: (-item[1], item[0]))
    return dict(ranked[:_EXTRA_COLUMNS])


def numbered(frame: DataFrame, surveys: Sequence[Survey]) -> DataFrame:
    """Turn positions within a split into positions within the file, and say the line in reasons."""
    from pyspark.sql import functions as f  # noqa: PLC0415 - see spark.py

    offsets: list[tuple[str, int, int, int]] = []
    before: dict[str, tuple[int, int]] = {}
    for split in surveys:
        records, lines = before.get(split.uri, (0, 0))
        if records or lines:
            offsets.append((split.uri, split.block, records, lines))
        before[split.uri] = records + split.records, lines + split.lines
    records_only = frame.filter(f"{SOURCE_ROW} IS NOT NULL")
    skipped, skipped_lines = "0", "0"
    if offsets:
        schema = f"{SOURCE_URI} STRING, {BLOCK} BIGINT, skipped BIGINT, skipped_lines BIGINT"
        table = frame.sparkSession.createDataFrame(offsets, schema)
        records_only = records_only.join(f.broadcast(table), [SOURCE_URI, BLOCK], "left")
        skipped, skipped_lines = "COALESCE(skipped, 0)", "COALESCE(skipped_lines, 0)"
    line = f"CAST({LINE} + {skipped_lines} AS STRING)"
    given = {
        SOURCE_ROW: f"{SOURCE_ROW} + {skipped}",
        # CONCAT of NULL is NULL: sound records stay without a reason.
        SOURCE_ERROR: f"CONCAT({SOURCE_ERROR}, ' (line ', {line}, ')')",
    }
    return records_only.select(
        *(
            f.expr(given[name]).alias(name) if name in given else records_only[f"`{name}`"]
            for name in frame.columns
        )
    )
