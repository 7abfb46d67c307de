"""Handler throughput of the front door, in one process against moto: events a second, and what takes the time.

`python -m bench.ingress [--events 2000]`. moto answers in this process, so most of the time is moto's
own; what counts is the time that is left without it, which is what a Lambda function would compute.
"""

import argparse
import contextlib
import cProfile
import io
import logging
import os
import pstats
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = 10
#: How many of the functions with the most time of their own are shown.
SHOWN = 8


def environment():
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "POWERTOOLS_METRICS_DISABLED": "true",
    }
    # The world of the tests: tables as they are deployed, and messages as S3 writes them.
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "aws_runtime" / "ingress")]
    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore", "No application metrics")


def measured(trigger, events):
    """Return seconds of wall time, and the profile, of all invocations for `events` files."""
    from door_world import MACHINE, arrivals, front_door, queue_event  # noqa: PLC0415 - environment() first

    from aws_runtime.handlers import build_manifests, orchestrate  # noqa: PLC0415 - environment() first

    with front_door(trigger) as door:
        if trigger == "queue":
            row = {"prefix": {"S": "pipeline/"}, "step_function": {"S": MACHINE}, "pipeline": {"S": "p"}}
            door.clients.dynamodb.put_item(TableName="metadata", Item=row)
        handler = (orchestrate if trigger == "queue" else build_manifests).handler
        files = arrivals(events)
        asked = [queue_event(files[start : start + MESSAGES]) for start in range(0, events, MESSAGES)]
        context = door.context()
        door.playing = True  # no bookkeeping of calls
        profile = cProfile.Profile()
        handler(asked[0], context)
        start = time.perf_counter()
        for event in asked[1 : len(asked) // 2]:
            handler(event, context)
        seconds = time.perf_counter() - start
        timed = len(asked[1 : len(asked) // 2]) * MESSAGES
        profile.enable()
        for event in asked[len(asked) // 2 :]:
            assert handler(event, context) == {"batchItemFailures": []}
        profile.disable()
    return timed / seconds, profile


def by_package(profile):
    """Return the share of its own time that each package takes."""
    stats = pstats.Stats(profile, stream=io.StringIO()).stats
    times = {}
    for (file, _, _), (_, _, own, _, _) in stats.items():
        name = "Python"
        if "site-packages" in file:
            name = file.partition("site-packages/")[2].partition("/")[0]
        elif str(ROOT) in file:
            name = Path(file).relative_to(ROOT).parts[0]
        times[name] = times.get(name, 0) + own
    total = sum(times.values())
    shares = {name: own / total for name, own in times.items()}
    return dict(sorted(shares.items(), key=lambda each: -each[1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--functions", action="store_true", help="list the functions that take the time")
    arguments = parser.parse_args()
    environment()
    for trigger, name in (("queue", "orchestrate"), ("batches", "build_manifests")):
        with contextlib.redirect_stdout(io.StringIO()):
            rate, profile = measured(trigger, arguments.events)
        shares = by_package(profile)
        told = ", ".join(f"{package} {share:.0%}" for package, share in list(shares.items())[:6])
        ours = shares.get("aws_runtime", 0)
        print(f"{name}: {rate:,.0f} events a second, {MESSAGES} an invocation")
        print(f"  own time: {told}; our code {ours:.1%}, {1e6 * ours / rate:,.0f} µs an event")
        if arguments.functions:
            pstats.Stats(profile).sort_stats("tottime").print_stats(SHOWN)


if __name__ == "__main__":
    main()
