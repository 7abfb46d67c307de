"""What is shown while files run."""

from __future__ import annotations

import io

from rich.console import Console

from asl.deploy import progress
from asl.deploy.runs import Run
from aws_runtime.identity import FileIdentity


def run(key, state, error=None, **item):
    return Run(FileIdentity("b", key, "v"), state, item=item, error=error)


STATES = (
    run("a", "QUEUED"),
    run("b", "RUNNING"),
    run("c", "SUCCEEDED", rows_in=1200, rows_out=1100, rows_quarantined=100),
    run("d", "FAILED", "MalformedJson: at byte 7 [red]"),
    run("e", "NOT_STARTED", "no execution started"),
)


def printed(show, *, terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=140)
    show(console)
    return out.getvalue()


def test_without_a_terminal_a_line_is_printed_when_a_count_changes():
    def show(console):
        with progress.shown(console, "orders_etl") as display:
            for states in (STATES[:1], STATES[:1], STATES):
                display.show(states)

    lines = printed(show, terminal=False).splitlines()
    assert lines == [
        "orders_etl: 1 queued, 0 running, 0 succeeded, 0 failed, 0 rows out",
        "orders_etl: 1 queued, 1 running, 1 succeeded, 2 failed, 1,100 rows out",
    ]


def test_on_a_terminal_a_table_counts_files_and_rows():
    def show(console):
        with progress.shown(console, "orders_etl") as display:
            display.show(STATES)

    text = printed(show, terminal=True)
    assert "orders_etl: 5 files" in text
    assert all(
        words in text
        for words in ("queued", "running", "succeeded", "failed", "1,200", "1,100", "quarantined")
    )


def test_each_file_that_did_not_succeed_is_told_with_its_reason_as_it_is():
    def show(console):
        progress.explain(console, (STATES[2], *STATES[3:]))

    assert printed(show, terminal=False).splitlines() == [
        "failed d: MalformedJson: at byte 7 [red]",
        "not started e: no execution started",
        "quarantined 100 rows of 1 file",
    ]


def test_a_rejected_file_is_called_so():
    states = (run("f", "FAILED", "EmptyFile: the file has 0 bytes", status="rejected"),)
    assert printed(lambda console: progress.explain(console, states), terminal=False).splitlines() == [
        "rejected f: EmptyFile: the file has 0 bytes"
    ]


def test_quarantine_has_an_address():
    one = run("g", "SUCCEEDED", rows_quarantined=1, quarantine=["s3://q/rows/a/1.parquet"])
    two = run("h", "SUCCEEDED", rows_quarantined=2, quarantine=["s3://q/rows/a/2.parquet"])
    for states, told in (
        ((one,), "quarantined 1 row of 1 file, with reasons in s3://q/rows/a/1.parquet\n"),
        ((one, two), "quarantined 3 rows of 2 files, with reasons in s3://q/rows/a/\n"),
    ):
        assert printed(lambda console, told=states: progress.explain(console, told), terminal=False) == told


def test_the_table_fits_80_columns():
    out = io.StringIO()
    Console(file=out, width=80).print(progress.panel("orders_etl", STATES))
    assert all(
        title in out.getvalue()
        for title in ("queued", "running", "succeeded", "failed", "rows in", "rows out", "quarantined")
    )
