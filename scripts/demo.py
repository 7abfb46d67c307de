"""The main job, end to end on this machine: `make demo`.

    sample orders -> Dagster -> export -> validate -> local AWS -> run -> compare

In: nothing. Out: files below `data/` (which `make dev` shows) and a table; exit code 1 if the state
machine's rows are not Dagster's, if a file is lost, or if anything but the broken files fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from compare import Difference, compare_parquet  # noqa: E402 - a sibling of this script

PIPELINE, ASSET = "orders_etl", "order_lines"
STACK = "demo"
DATA, WORK = Path("data"), Path("build/demo")
console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one of the two lives made of the files."""

    rows_in: int
    rows_out: int
    rows_quarantined: int
    rejected: tuple[str, ...]


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step and say how long it took."""
    started = time.monotonic()
    console.print(f"[bold]{title}[/]")
    yield
    console.print(f"  [dim]{time.monotonic() - started:.1f} s[/]")


def generate(files: int) -> int:
    """Write the sample orders and return how many files are broken on purpose."""
    from ingestion_assets.pipelines.orders_etl.sample_data import write_orders

    landing = DATA / "landing" / "orders"
    shutil.rmtree(landing, ignore_errors=True)
    made = write_orders(landing, files=files)
    console.print(
        f"  {made.files} files below {landing}, {made.broken_files} of them broken: "
        f"{made.orders:,} orders, {made.lines:,} lines, {made.bad_lines} of them bad"
    )
    return made.broken_files


def with_dagster() -> Outcome:
    """Materialize the pipeline with Dagster, recorded where `make dev` looks."""
    home = ROOT / ".dagster"
    home.mkdir(exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    import dagster as dg

    from ingestion_assets.dagster_defs.run import materialize_pipeline
    from ingestion_assets.pipelines import discover

    pipeline = next(found for found in discover() if found.name == PIPELINE)
    for folder in ("staging", "quarantine"):
        shutil.rmtree(DATA / folder, ignore_errors=True)
    with dg.DagsterInstance.get() as instance:
        made = materialize_pipeline(pipeline, DATA, instance=instance).assets[ASSET]
    outcome = Outcome(
        made.rows_in, made.rows_out, made.rows_quarantined, tuple(sorted(r.uri for r in made.rejected))
    )
    console.print(
        f"  {outcome.rows_in:,} rows in = {outcome.rows_out:,} out + {outcome.rows_quarantined} quarantined; "
        f"{len(outcome.rejected)} files rejected"
    )
    return outcome


def export_and_validate(out: Path) -> str:
    """Compile to `out`, check everything that can be checked offline, and return what files cost."""
    from asl import compiler
    from asl.checks import check
    from ingestion_assets.pipelines import discover

    build = compiler.compile_pipelines(discover())
    compiler.export(build, out)
    found = check(build)
    for diagnostic in found:
        console.print(f"  {diagnostic.severity} {diagnostic.code} {diagnostic.where}: {diagnostic.what}")
    if any(diagnostic.severity == "error" for diagnostic in found):
        sys.exit("The exported artefacts do not validate")
    console.print(
        f"  {len(build.template['Resources'])} resources in {out}/template.json, {len(found)} findings"
    )
    spent = build.budget[PIPELINE]
    return (
        f"about ${spent['dollars_per_million_files']['total']:,.0f} a million files, "
        f"and ${spent['assumptions']['dollars_per_crawler_start']:.2f} each time the crawler runs"
    )


def on_local_aws(endpoint: str, out: Path, timeout: float) -> tuple[Outcome, Sequence[object]]:
    """Deploy `out`, upload the files, follow the executions, and bring back what they wrote."""
    from asl.deploy import deployment, progress, runs
    from asl.deploy import stack as stacks
    from asl.deploy.files import expand
    from asl.deploy.locate import locate
    from asl.deploy.target import Target
    from asl.selection import selected

    account = Target.local(endpoint)
    with step("Deploy to the local AWS: CloudFormation, IAM enforced"):
        changes = deployment.propose(account, STACK, out, {}, lambda line: console.print(f"  {line}"))
        stacks.execute(account, STACK)
        console.print(f"  {len(changes)} resources created")
    deployed = locate(account, STACK, selected([PIPELINE])[0])
    with step("Drop the files into the landing bucket and follow their executions"):
        files = expand((str(DATA / "landing" / "orders"),))
        since = datetime.now(UTC)
        state: tuple[runs.Run, ...] = ()
        with progress.shown(console, PIPELINE) as display:
            sent = runs.upload(account, deployed, files)
            for state in runs.follow(account, deployed, sent, since=since, timeout=timeout):
                display.show(state)
        progress.explain(console, state)
    s3 = account.client("s3")
    for bucket in ("staging", "quarantine"):
        name = deployed.bucket.replace(f"{STACK}-landing-", f"{STACK}-{bucket}-")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for item in page.get("Contents", ()):
                path = WORK / "aws" / bucket / item["Key"]
                path.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(name, item["Key"], str(path))
    outcome = Outcome(
        sum(run.rows("rows_in") for run in state),
        sum(run.rows("rows_out") for run in state),
        sum(run.rows("rows_quarantined") for run in state),
        tuple(sorted(run.file.key for run in state if (run.item or {}).get("status") == "rejected")),
    )
    return outcome, state


def compare() -> dict[str, Difference]:
    """Compare the rows and the quarantine of both lives; files are named alike on neither side."""
    pairs = {
        "rows": (Path("staging/orders_parquet_datalake"), ()),
        "quarantined rows": (Path(f"quarantine/rows/{PIPELINE}/{ASSET}"), ("source_uri",)),
    }
    return {
        what: compare_parquet(DATA / folder, WORK / "aws" / folder, exclude)
        for what, (folder, exclude) in pairs.items()
    }


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description="The main job, end to end on this machine.")
    parser.add_argument("--files", type=int, default=200, help="sample files to write (at least 3)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for the executions")
    options = parser.parse_args()
    os.chdir(ROOT)
    from asl.local.server import local_aws

    started = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    with step("Write sample orders"):
        broken = generate(options.files)
    with step("Materialize the assets with Dagster"):
        here = with_dagster()
    with step("Export and validate"):
        cost = export_and_validate(WORK / "export")
    with local_aws(WORK / "local-aws") as local:
        there, state = on_local_aws(local.endpoint, WORK / "export", options.timeout)
    with step("Compare what Dagster wrote with what the state machine wrote"):
        differences = compare()
        for what, difference in differences.items():
            verdict = "[green]equal[/]" if difference.equal else "[red]different[/]"
            console.print(f"  {what}: {difference.left_rows:,} and {difference.right_rows:,}, {verdict}")
            for line in difference.sample:
                console.print(f"    {line}", markup=False)
    wrong = problems(here, there, differences, broken, [str(run.status) for run in state])  # type: ignore[attr-defined]
    report(there, state, len(state), cost, time.monotonic() - started)
    for problem in wrong:
        console.print(f"[red]{problem}[/]")
    sys.exit(1 if wrong else 0)


def problems(
    here: Outcome, there: Outcome, differences: dict[str, Difference], broken: int, states: Sequence[str]
) -> list[str]:
    """Say what is not as it must be."""
    wrong = [f"{what} differ" for what, difference in differences.items() if not difference.equal]
    for name, outcome in (("Dagster", here), ("the state machine", there)):
        if outcome.rows_in != outcome.rows_out + outcome.rows_quarantined:
            wrong.append(f"{name} lost rows: {outcome}")
        if len(outcome.rejected) != broken:
            wrong.append(f"{name} rejected {len(outcome.rejected)} files, {broken} are broken")
    if (here.rows_in, here.rows_out) != (there.rows_in, there.rows_out):
        wrong.append(f"the counts differ: {here} and {there}")
    succeeded, failed = states.count("SUCCEEDED"), states.count("FAILED")
    if succeeded + failed != len(states) or failed != broken:
        wrong.append(
            f"{succeeded} of {len(states)} executions succeeded, {failed} failed, {broken} should fail"
        )
    return wrong


def report(there: Outcome, state: Sequence[object], files: int, cost: str, seconds: float) -> None:
    """Print the table, and where to look next."""
    states = [str(run.status) for run in state]  # type: ignore[attr-defined]
    table = Table(title=f"{PIPELINE} on the local AWS", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, value in (
        ("files", f"{files}"),
        ("rows in", f"{there.rows_in:,}"),
        ("rows out", f"{there.rows_out:,}"),
        ("rows quarantined", f"{there.rows_quarantined:,}"),
        ("files rejected", ", ".join(Path(key).name for key in there.rejected) or "none"),
        ("executions", ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states), reverse=True))),
        ("Parquet", f"{DATA}/staging/orders_parquet_datalake, {WORK}/aws/staging/orders_parquet_datalake"),
        ("quarantine", f"{DATA}/quarantine, {WORK}/aws/quarantine"),
        ("cost on AWS", cost),
        ("wall time", f"{seconds:.0f} s"),
    ):
        table.add_row(name, value)
    console.print(table)
    console.print(
        "Next: [bold]make dev[/], then open http://127.0.0.1:3000 for the assets, their checks and lineage."
    )


if __name__ == "__main__":
    main()
