"""The main job, end to end on this machine: `make demo`.

    sample files -> Dagster -> export -> validate -> local AWS -> run -> compare

In: nothing. Out: files below `data/` (which `make dev` shows) and a table for each pipeline; exit code 1
if a state machine's rows are not Dagster's, if a file is lost, or if anything but the broken files fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from compare import Difference, compare_parquet  # noqa: E402 - siblings of this script
from examples import EXAMPLES, Example  # noqa: E402
from outcome import Outcome, Verdict, report  # noqa: E402

from ingestion_assets.sample_files import Sample  # noqa: E402

STACK = "demo"
DATA, WORK = Path("data"), Path("build/demo")
console = Console(highlight=False)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step and say how long it took."""
    started = time.monotonic()
    console.print(f"[bold]{title}[/]")
    yield
    console.print(f"  [dim]{time.monotonic() - started:.1f} s[/]")


def generate(examples: tuple[Example, ...], files: int | None) -> dict[str, Sample]:
    """Write the sample files and return what they hold."""
    made = {}
    for example in examples:
        made[example.name] = sample = example.generate(DATA, files)
        if example.follows:
            console.print(f"  none for {example.name}: a completed run of {example.follows} starts it")
            continue
        console.print(
            f"  {sample.files} files below {example.landing(DATA)}, {sample.broken_files} of them broken: "
            f"{sample.records:,} records, {sample.bad_records:,} rows of them bad"
        )
    return made


def with_dagster(examples: tuple[Example, ...]) -> dict[str, Outcome]:
    """Materialize the pipelines with Dagster, recorded where `make dev` looks."""
    home = ROOT / ".dagster"
    home.mkdir(exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    import dagster as dg

    from ingestion_assets.dagster_defs.run import materialize_pipeline

    outcomes = {}
    with dg.DagsterInstance.get() as instance:
        for example in examples:
            made = materialize_pipeline(example.pipeline, DATA, instance=instance).assets[example.asset.name]
            outcomes[example.name] = Outcome(
                made.rows_in,
                made.rows_out,
                made.rows_quarantined,
                tuple(sorted(r.uri for r in made.rejected)),
            )
            console.print(
                f"  {example.name}: {made.rows_in:,} rows in = {made.rows_out:,} out + "
                f"{made.rows_quarantined:,} quarantined; {len(made.rejected)} files rejected"
            )
    return outcomes


def export_and_validate(examples: tuple[Example, ...], out: Path) -> dict[str, str]:
    """Compile to `out`, check everything that can be checked offline, and return what files cost."""
    from asl import compiler
    from asl.checks import check

    build = compiler.compile_pipelines([example.pipeline for example in examples])
    compiler.export(build, out)
    found = check(build)
    for diagnostic in found:
        console.print(f"  {diagnostic.severity} {diagnostic.code} {diagnostic.where}: {diagnostic.what}")
    if any(diagnostic.severity == "error" for diagnostic in found):
        sys.exit("The exported artefacts do not validate")
    console.print(
        f"  {len(build.template['Resources'])} resources in {out}/template.json, {len(found)} findings"
    )
    return {example.name: cost_text(example, build.budget[example.name]) for example in examples}


def cost_text(example: Example, spent: Mapping[str, Any]) -> str:
    """Say what files cost, by the exported budget."""
    small = spent["dollars_per_million_files"]["total"]
    text = f"about ${small:,.0f} a million small files"
    if large := spent.get("dollars_per_million_files_on_glue"):
        text += f", ${large['total']:,.0f} where Glue takes them"
    if example.pipeline.catalog.crawler:
        text += f", ${spent['assumptions']['dollars_per_crawler_start']:.2f} each time the crawler runs"
    return text


def on_local_aws(
    endpoint: str, examples: tuple[Example, ...], out: Path, timeout: float
) -> dict[str, Outcome]:
    """Deploy `out`, upload all files, follow them, and bring back what was written."""
    import aws_life

    from asl.deploy.target import Target

    account = Target.local(endpoint)
    with step("Deploy to the local AWS: one CloudFormation stack, IAM enforced"):
        aws_life.deploy(account, STACK, out, console)
    outcomes = {}
    with step("Drop the files into their buckets and follow them"):
        since = datetime.now(UTC)
        sent = {example.name: aws_life.upload(account, STACK, example, DATA) for example in examples}
        for example in examples:
            deployed, files = sent[example.name]
            if example.follows:
                outcome = aws_life.follow_after(account, deployed, timeout=timeout)
            else:
                outcome = aws_life.follow(
                    account, deployed, files, since=since, timeout=timeout, console=console
                )
            if example.pipeline.curation:
                outcome = replace(outcome, rejected=aws_life.rejected_files(account, STACK, example))
            outcomes[example.name] = replace(outcome, glue_runs=aws_life.glue_runs(account, STACK, example))
    buckets = sorted({bucket for example in examples for bucket in example.buckets})
    aws_life.download(account, STACK, buckets, WORK / "aws")
    return outcomes


def compare(example: Example) -> dict[str, Difference]:
    """Compare the rows and the quarantine of both lives; files are named alike on neither side."""
    found = {
        "rows": compare_parquet(DATA / example.rows, WORK / "aws" / example.rows),
    }
    if not example.follows:  # what another pipeline has judged has nothing to quarantine
        found["quarantined rows"] = compare_parquet(
            DATA / example.quarantine, WORK / "aws" / example.quarantine, ("source_uri",)
        )
    for what, difference in found.items():
        verdict = "[green]equal[/]" if difference.equal else "[red]different[/]"
        console.print(
            f"  {example.name}, {what}: {difference.left_rows:,} and {difference.right_rows:,}, {verdict}"
        )
        for line in difference.sample:
            console.print(f"    {line}", markup=False)
    return found


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description="The main job, end to end on this machine.")
    parser.add_argument(
        "--files", type=int, help="sample files of each pipeline; by default, each has its own number"
    )
    parser.add_argument(
        "--only", choices=[e.name for e in EXAMPLES], action="append", help="these pipelines only"
    )
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for the executions")
    options = parser.parse_args()
    os.chdir(ROOT)
    from asl.local.server import local_aws

    examples = tuple(e for e in EXAMPLES if not options.only or e.name in options.only)
    started = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    with step("Write sample files"):
        made = generate(examples, options.files)
    with step("Materialize the assets with Dagster"):
        here = with_dagster(examples)
    with step("Export and validate"):
        costs = export_and_validate(examples, WORK / "export")
    with local_aws(WORK / "local-aws") as local:
        there = on_local_aws(local.endpoint, examples, WORK / "export", options.timeout)
    with step("Compare what Dagster wrote with what the state machines wrote"):
        differences = {example.name: compare(example) for example in examples}
    verdicts = [
        Verdict(n, made[n], here[n], there[n], differences[n], costs[n]) for n in (e.name for e in examples)
    ]
    for example, verdict in zip(examples, verdicts, strict=True):
        report(console, verdict, [DATA / example.rows, WORK / "aws" / example.rows])
    problems = [problem for verdict in verdicts for problem in verdict.problems]
    for problem in problems:
        console.print(f"[red]{problem}[/]")
    console.print(
        f"{time.monotonic() - started:.0f} s. Next: [bold]make dev[/], then open http://127.0.0.1:3000 for the "
        "assets, their checks and lineage."
    )
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
