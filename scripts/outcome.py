"""What the two lives of a pipeline made of the same files, what is wrong with it, and its table.

In: counts from Dagster and from the state machine, and the differences of their rows. Out: a list of
problems, empty when all is well, and lines for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compare import Difference
from rich.console import Console
from rich.table import Table

from ingestion_assets.sample_files import Sample


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one of the two lives made of the files.

    Args:
        rows_in: Rows judged.
        rows_out: Rows written.
        rows_quarantined: Rows in quarantine.
        rejected: Files rejected whole.
        unfinished: Files that are neither ingested nor rejected, each with its state.
        executions: How many executions; known for the state machine only.
        glue_runs: How many of their steps ran as Glue jobs; likewise.
    """

    rows_in: int
    rows_out: int
    rows_quarantined: int
    rejected: tuple[str, ...]
    unfinished: tuple[str, ...] = ()
    executions: int = 0
    glue_runs: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One pipeline of the demo, all told."""

    name: str
    made: Sample
    here: Outcome
    there: Outcome
    differences: Mapping[str, Difference]
    cost: str

    @property
    def problems(self) -> tuple[str, ...]:
        """Say what is not as it must be."""
        return tuple(f"{self.name}: {problem}" for problem in _problems(self))


def _problems(verdict: Verdict) -> Sequence[str]:
    here, there = verdict.here, verdict.there
    wrong = [f"{what} differ" for what, found in verdict.differences.items() if not found.equal]
    for name, outcome in (("Dagster", here), ("the state machine", there)):
        if outcome.rows_in != outcome.rows_out + outcome.rows_quarantined:
            wrong.append(f"{name} lost rows: {outcome}")
        if len(outcome.rejected) != verdict.made.broken_files:
            wrong.append(
                f"{name} rejected {len(outcome.rejected)} files, {verdict.made.broken_files} are broken"
            )
        if outcome.rows_quarantined != verdict.made.bad_records:
            wrong.append(
                f"{name} quarantined {outcome.rows_quarantined} rows, {verdict.made.bad_records} are bad"
            )
        wrong += [f"{name} has not finished {file}" for file in outcome.unfinished]
    if (here.rows_in, here.rows_out) != (there.rows_in, there.rows_out):
        wrong.append(f"the counts differ: {here} and {there}")
    return wrong


def report(console: Console, verdict: Verdict, seen: Sequence[Path]) -> None:
    """Print the pipeline's table; `seen` are the folders where both lives' files lie."""
    there = verdict.there
    table = Table(title=f"{verdict.name} on the local AWS", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    rows = [
        ("files", f"{verdict.made.files:,}"),
        ("rows in", f"{there.rows_in:,}"),
        ("rows out", f"{there.rows_out:,}"),
        ("rows quarantined", f"{there.rows_quarantined:,}"),
        ("files rejected", ", ".join(Path(file).name for file in there.rejected) or "none"),
        ("executions", f"{there.executions:,}, {there.glue_runs or 'none'} of them by Glue"),
    ]
    rows += [
        (f"{what}, both", f"{found.left_rows:,} {'equal' if found.equal else 'DIFFERENT'}")
        for what, found in verdict.differences.items()
    ]
    rows += [("Parquet", "\n".join(map(str, seen))), ("cost on AWS", verdict.cost)]
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
