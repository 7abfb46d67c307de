"""What a run wrote against its thresholds, told by footers and paths alone: no row is read again.

In: the footer and the partition of each file written, the configuration's rules. Out: `OutputReport`: the
counts, and every threshold that is broken with a reason of its own. Nothing is published before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aws_runtime.curation.config import DqRules, combinations
from aws_runtime.curation.footer import Footer

#: Missing combinations that a reason lists; the report counts all.
LISTED = 20


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One written file: its URI, its footer (None: it is not Parquet) and its partition values."""

    uri: str
    footer: Footer | None
    partition: Mapping[str, str]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """One threshold that a run breaks: a stable code, and one sentence with the figures."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class OutputReport:
    """What a run wrote.

    Args:
        rows: Over all files.
        files: How many.
        null_pct: Share of nulls of each column, from 0 to 1; columns without statistics are left out.
        missing: Expected combinations of partition values that did not come.
        broken: Thresholds broken, in the order of the rules; empty means that the run may be published.
    """

    rows: int
    files: int
    null_pct: Mapping[str, float]
    missing: tuple[Mapping[str, str], ...]
    broken: tuple[Broken, ...]


def judge_output(
    files: Sequence[OutputFile], rules: DqRules, partitions: Sequence[str], own: int | None = None
) -> OutputReport:
    """Judge everything that one run wrote.

    Args:
        files: All of them.
        rules: Thresholds.
        partitions: Partition columns that every path must have, outermost first.
        own: Rows of the run itself, where its files hold those of the table too.
    """
    readable = [(file, file.footer) for file in files if file.footer is not None]
    rows = sum(footer.rows for _, footer in readable)
    nulls = _nulls([footer for _, footer in readable])
    shares = {name: count / rows for name, count in nulls.items() if count is not None and rows}
    known = {name for _, footer in readable for name, _ in footer.columns} | set(partitions)
    brought = {tuple(sorted(file.partition.items())) for file, footer in readable if footer.rows}
    missing = tuple(
        wanted
        for wanted in combinations(rules)
        if not any(set(wanted.items()) <= set(partition) for partition in brought)
    )
    broken = (
        *_format_faults(files, partitions),
        *_row_faults(rows if own is None else own, rules),
        *_column_faults(rules, nulls, shares, known, rows),
        *_completeness_faults(missing),
    )
    return OutputReport(rows, len(files), shares, missing, broken)


def _nulls(footers: Sequence[Footer]) -> dict[str, int | None]:
    """Return the nulls of each flat column; None where a file does not tell."""
    counts: Counter[str] = Counter()
    untold: set[str] = set()
    for footer in footers:
        for name, found in footer.ranges.items():
            if found.nulls is None:
                untold.add(name)
            else:
                counts[name] += found.nulls
        # A column that a file lacks is null in all of its rows.
        names = {name for name, _ in footer.columns}
        for name in {name for other in footers for name, _ in other.columns} - names:
            counts[name] += footer.rows
    return {name: None if name in untold else counts[name] for name in {*counts, *untold}}


def _format_faults(files: Sequence[OutputFile], partitions: Sequence[str]) -> Iterator[Broken]:
    for file in files:
        if file.footer is None:
            yield Broken("OutputNotParquet", f"{file.uri} is no Parquet file: {file.fault}")
        if list(file.partition) != list(partitions):
            found = "/".join(f"{name}={value}" for name, value in file.partition.items()) or "no partition"
            yield Broken(
                "OutputPartition", f"{file.uri} lies in {found}; expected {', '.join(partitions) or 'none'}"
            )


def _row_faults(rows: int, rules: DqRules) -> Iterator[Broken]:
    if rows < rules.min_rows:
        yield Broken("TooFewRows", f"{rows:,} rows; min_rows is {rules.min_rows:,}")


def _column_faults(
    rules: DqRules,
    nulls: Mapping[str, int | None],
    shares: Mapping[str, float],
    known: set[str],
    rows: int,
) -> Iterator[Broken]:
    for name in rules.mandatory_columns:
        if name not in known and rows:
            yield Broken("MandatoryColumn", f"{name} is mandatory and is not in the output")
        elif nulls.get(name):
            yield Broken(
                "MandatoryColumn", f"{name} is mandatory and null in {nulls[name]:,} of {rows:,} rows"
            )
    for name, share in sorted(shares.items()):
        most = rules.max_null_pct_by_column.get(name, rules.max_null_pct)
        if share > most:
            yield Broken("TooManyNulls", f"{name} is null in {share:.2%} of the rows; at most {most:.2%}")
    limited = rules.max_null_pct < 1
    for name in sorted(name for name, count in nulls.items() if count is None):
        if limited or name in rules.max_null_pct_by_column or name in rules.mandatory_columns:
            yield Broken("UnknownNulls", f"{name} has no statistics, so its nulls are not known")


def _completeness_faults(missing: Sequence[Mapping[str, str]]) -> Iterator[Broken]:
    if not missing:
        return
    listed = ", ".join("/".join(f"{k}={v}" for k, v in wanted.items()) for wanted in missing[:LISTED])
    more = f" and {len(missing) - LISTED:,} more" if len(missing) > LISTED else ""
    yield Broken("IncompletePartitions", f"{len(missing):,} expected partitions are missing: {listed}{more}")
