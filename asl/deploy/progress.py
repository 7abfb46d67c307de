"""What a person sees while files run: one table that is redrawn, or plain lines without a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from asl.deploy.configured_runs import ConfiguredRun
from asl.deploy.run import NOT_STARTED, PENDING, QUEUED, RUNNING, SUCCEEDED, Run

GROUPS = (
    ("queued", "dim"),
    ("waiting", "yellow"),
    ("running", "cyan"),
    ("succeeded", "green"),
    ("failed", "red"),
)
#: Shown only when there are some: files of a batch that waits for more.
SELDOM = "waiting"
SHOWN_ERRORS = 20
BAR_WIDTH = 10


def group(run: Run) -> str:
    """Return which column a run counts in."""
    known = {QUEUED: "queued", PENDING: SELDOM, RUNNING: "running", SUCCEEDED: "succeeded"}
    return known.get(run.status, "failed")


def _shown(counts: Counter[str]) -> list[tuple[str, str]]:
    return [(state, style) for state, style in GROUPS if state != SELDOM or counts[state]]


def _files(count: int) -> str:
    return f"{count:,} file" + ("" if count == 1 else "s")


def panel(name: str, runs: Sequence[Run]) -> Table:
    """Return the counts of files by state, and rows so far."""
    counts = Counter(group(run) for run in runs)
    # Without borders it fits a terminal of 80 columns.
    table = Table(title=f"{name}: {_files(len(runs))}", title_justify="left", box=None, pad_edge=False)
    table.add_column("", width=BAR_WIDTH)
    for state, style in _shown(counts):
        table.add_column(state, justify="right", style=style)
    for title in ("rows in", "rows out", "quarantined"):
        table.add_column(title, justify="right")
    table.add_row(
        ProgressBar(total=max(1, len(runs)), completed=sum(run.ended for run in runs), width=BAR_WIDTH),
        *(f"{counts[state]:,}" for state, _ in _shown(counts)),
        *(f"{sum(run.rows(rows) for run in runs):,}" for rows in ("rows_in", "rows_out", "rows_quarantined")),
    )
    return table


@contextmanager
def shown(console: Console, name: str) -> Iterator[_Display]:
    """Show the states that the display is given until the block ends."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=8) as live:
            yield _Display(console, name, live)
    else:
        yield _Display(console, name, None)


class _Display:
    """Redraws a table on a terminal; elsewhere prints a line when a count changes."""

    def __init__(self, console: Console, name: str, live: Live | None) -> None:
        self._console, self._name, self._live = console, name, live
        self._said = ""

    def show(self, runs: Sequence[Run]) -> None:
        """Show the present state of all files."""
        if self._live:
            self._live.update(panel(self._name, runs))
            return
        counts = Counter(group(run) for run in runs)
        line = ", ".join(f"{counts[state]} {state}" for state, _ in _shown(counts))
        if line != self._said:
            self._said = line
            self._console.print(
                f"{self._name}: {line}, {sum(run.rows('rows_out') for run in runs):,} rows out",
                soft_wrap=True,
            )


def tell_configured(console: Console, name: str, run: ConfiguredRun, said: int) -> int:
    """Print the states entered since the last look, and at the end what the run did; return how many there are.

    Args:
        console: Where to.
        name: The pipeline's.
        run: Of `asl.deploy.configured_runs.follow`.
        said: States that were printed before.
    """
    for state in run.states[said:]:
        console.print(f"{name}: {state}", style="dim", markup=False, highlight=False)
    if run.error is not None:
        console.print(f"[red]{run.status.lower()}[/] ", end="")
        console.print(run.error, markup=False, highlight=False, soft_wrap=True)
    elif run.summary is not None:
        told = run.summary
        rows = " + ".join(f"{told.get(part) or 0:,} {what}" for part, what in _ROWS)
        console.print("[green]succeeded[/] ", end="")
        console.print(
            f"{run.name}: {_files(told.get('files') or 0)} taken, {told.get('files_rejected') or 0:,} rejected, "
            f"{told.get('rows_in') or 0:,} rows in = {rows}; {_files(told.get('output_count') or 0)} written",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return len(run.states)


_ROWS = (("rows_out", "out"), ("rows_quarantined", "quarantined"))


def explain(console: Console, runs: Iterable[Run], name: str = "NAME") -> None:
    """Print each file that did not succeed, with its reason, what waits, and where quarantined rows are.

    Args:
        console: Where to.
        runs: Of `asl.deploy.runs.follow`.
        name: The pipeline's, for the command that starts what waits.
    """
    runs = list(runs)
    failed = [run for run in runs if not run.well]
    for run in failed[:SHOWN_ERRORS]:
        label = "not started" if run.status == NOT_STARTED else run.status.lower()
        if (run.item or {}).get("status") == "rejected":
            label = "rejected"
        console.print(f"[red]{label}[/] ", end="")
        console.print(f"{run.file.key}: {run.error}", markup=False, highlight=False, soft_wrap=True)
    if len(failed) > SHOWN_ERRORS:
        console.print(f"… and {len(failed) - SHOWN_ERRORS} more")
    _tell_waiting(console, runs, name)
    _tell_quarantine(console, [run for run in runs if run.rows("rows_quarantined")])


def _tell_waiting(console: Console, runs: Sequence[Run], name: str) -> None:
    """Print which batches wait for how many more files, until when, and how to start them now."""
    batches = {run.batch: run.waiting for run in runs if run.status == PENDING and run.waiting}
    for waiting in batches.values():
        mine = sum(run.waiting == waiting for run in runs)
        more = max(0, waiting.wanted - waiting.files)
        console.print("[yellow]waiting[/] ", end="")
        console.print(
            f"{_files(mine)} in batch {waiting.date}/{waiting.batch}, which has {waiting.files} of {waiting.wanted} "
            f"files: it starts with {more} more, or soon after {waiting.until.astimezone():%H:%M}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if batches:
        console.print(
            f"        To start what waits now: asl run {name} --flush", markup=False, highlight=False
        )


def _tell_quarantine(console: Console, runs: Sequence[Run]) -> None:
    """Print how many rows are in quarantine and where: the one file, or the folders of many."""
    if not runs:
        return
    rows = sum(run.rows("rows_quarantined") for run in runs)
    uris = sorted({uri for run in runs for uri in (run.item or {}).get("quarantine") or ()})
    folders = sorted({uri.rpartition("/")[0] + "/" for uri in uris})
    console.print("[yellow]quarantined[/] ", end="")
    console.print(
        f"{rows:,} row{'' if rows == 1 else 's'} of {_files(len(runs))}"
        + (f", with reasons in {', '.join(uris if len(uris) == 1 else folders)}" if uris else ""),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
