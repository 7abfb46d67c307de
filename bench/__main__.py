"""`python -m bench`: contenders side by side -> a table and `bench/results.json`."""

from __future__ import annotations

import argparse

from bench import report
from bench.cases import CASES, Case
from bench.measure import Contender, Run, free_bytes, measured


def main() -> None:
    """Measure the cases that are asked for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "--case", choices=list(CASES), action="append", help="default: all, one after the other"
    )
    parser.add_argument("--size", type=int, default=1000, help="MB of input (default 1000)")
    parser.add_argument("--runs", type=int, default=3, help="of each; the slow ones run once (default 3)")
    parser.add_argument(
        "--times", type=int, default=4, help="size of the memory run, in multiples (default 4)"
    )
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these contenders alone; saves nothing")
    parser.add_argument("--dry", action="store_true", help="save nothing")
    parser.add_argument("--markdown", action="store_true", help="print what is saved for docs/performance.md")
    arguments = parser.parse_args()
    chosen = [CASES[name] for name in arguments.case or CASES]
    known = {contender.name for case in chosen for contender in case.contenders}
    if unknown := set(arguments.only or ()) - known:
        parser.error(f"no contender {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    for case in chosen:
        if arguments.markdown:
            report.show_markdown(case)
        else:
            _measure(case, arguments)


def _measure(case: Case, arguments: argparse.Namespace) -> None:
    source = case.source(arguments.size)
    environment = {"BENCH_PLAN": str(case.plan())}
    only = set(arguments.only or ())
    contenders = [c for c in case.contenders if not only or c.name in only]
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for number in range(arguments.runs):
        # Round robin, so that a busy moment of the machine falls on all alike.
        for contender in contenders:
            if (contender.once and number) or not _fits(contender, source.stat().st_size):
                continue
            one = measured(case.module, contender, source, environment)
            runs[contender.name].append(one)
            print(
                f"{case.name} {contender.name:22s} {one.seconds:8.1f} s {one.cpu_seconds:8.1f} s CPU {one.peak_mb:6d} MB",
                flush=True,
            )
    _agree("rows", {name: {one.rows for one in each} for name, each in runs.items()})
    _agree("bad rows", {c.name: {one.bad for one in runs[c.name]} for c in contenders if c.judges})
    if only:
        return
    larger = measured(
        case.module, case.contenders[0], case.larger(arguments.size, arguments.times), environment
    )
    kept = report.entry(case, source, runs, larger, arguments.times)
    report.show(case, kept)
    if not arguments.dry:
        report.save(case, kept)


def _fits(contender: Contender, size: int) -> bool:
    fits = contender.memory * size < free_bytes()
    if not fits:
        print(f"{contender.name}: not run, it needs more memory than is free", flush=True)
    return fits


def _agree(what: str, counts: dict[str, set[int]]) -> None:
    """Stop where contenders count differently: then they have not done the same work."""
    if len(set().union(*counts.values())) > 1:
        raise SystemExit(f"contenders disagree on the number of {what}: {counts}")


if __name__ == "__main__":
    main()
