"""Statistics of a table and its partitions in the Data Catalog, under the names that Glue's crawlers use.

In: what the catalog says, and what a run has published. Out: the parameters after it. Planners estimate
by them; they are exact while runs of one partition do not overlap, and never what a query's rows hang on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.job import Job
from aws_runtime.curation.table_schema import JOB

#: Rows, files and bytes; `numRows` is Hive's and Spark's name of the first.
ROWS, FILES, BYTES = "recordCount", "objectCount", "sizeKey"
_DERIVED = ("numRows", "averageRecordSize")
NAMES = (ROWS, FILES, BYTES, *_DERIVED)

Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run has put into one partition: rows, files, bytes, and the URI of its folder."""

    rows: int
    files: int
    bytes: int
    folder: str = ""

    def plus(self, other: Counts, sign: int = 1) -> Counts:
        """Add another one's, or take them away."""
        return Counts(
            self.rows + sign * other.rows, self.files + sign * other.files, self.bytes + sign * other.bytes
        )


def of_partition(job: Job, there: Parameters, new: Counts) -> dict[str, str]:
    """Return the parameters of a partition after a run: its own counts, added where the run adds."""
    old = _counts(there) if job.config.write_mode is WriteMode.APPEND else Counts(0, 0, 0)
    return _written(there, None if old is None else old.plus(new))


def of_table(
    job: Job,
    there: Parameters,
    new: Mapping[tuple[str, ...], Counts],
    replaced: Sequence[Parameters] | None,
) -> dict[str, str]:
    """Return the parameters of a table after a run.

    Args:
        job: The run.
        there: The table's parameters.
        new: What the run has published, by partition.
        replaced: Parameters of those of its partitions that were there before; None where they are unknown.
    """
    adds = job.config.write_mode is WriteMode.APPEND
    total = _counts(there) if adds or replaced is not None else None
    if not adds and not job.partitions:
        total = Counts(0, 0, 0)
    for one in () if adds else replaced or ():
        old = _counts(one)
        total = None if total is None or old is None else total.plus(old, -1)
    for counts in new.values():
        total = None if total is None else total.plus(counts)
    return _written(there, total)


def _counts(parameters: Parameters) -> Counts | None:
    """Return what is known; of a table that no run has filled yet, nothing is there."""
    if JOB in parameters and ROWS not in parameters:
        return None
    try:
        rows, files, size = (int(parameters.get(name, "0")) for name in (ROWS, FILES, BYTES))
    except ValueError:
        return None
    return Counts(rows, files, size)


def _written(there: Parameters, total: Counts | None) -> dict[str, str]:
    kept = {name: text for name, text in there.items() if name not in NAMES}
    if total is None or min(total.rows, total.files, total.bytes) < 0:
        return kept  # unknown is better than wrong
    return kept | {
        ROWS: str(total.rows),
        "numRows": str(total.rows),
        FILES: str(total.files),
        BYTES: str(total.bytes),
        "averageRecordSize": str(total.bytes // total.rows if total.rows else 0),
    }
