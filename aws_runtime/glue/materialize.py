"""Glue 5.1 job: materialize one asset on Spark. In: job arguments. Out: the asset's run record.

    --plan s3://…/plan.json --event <JSON of docs/guarantees.md> --destination s3://… --quarantine s3://…

An event with `load` writes what an earlier run of the job has staged into a Delta table instead (docs/delta.md).

This package and the pipeline's transforms arrive by `--extra-py-files`, Narwhals by
`--additional-python-modules`. A rejected file is an answer, in the run record that the state machine
reads next; anything else that goes wrong ends the job as FAILED.
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from aws_runtime import storage, work
from aws_runtime.engines import Limits
from aws_runtime.engines.spark_session import session
from aws_runtime.events import parse_event
from aws_runtime.materialize import materialize
from aws_runtime.plan import AssetPlan
from aws_runtime.records import places

#: Files of a batch whose steps run at once: small ones leave a cluster idle one by one.
PARALLEL = 4
#: Of this machine's memory, what the driver's heap takes where no cluster has set it.
HEAP_SHARE = 0.25


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the job's arguments; those that Glue adds for itself (`--JOB_NAME` …) are left alone.

    `awsglue.utils.getResolvedOptions` does the same, but is importable on Glue only.
    """
    parser = argparse.ArgumentParser(prog="materialize", allow_abbrev=False)
    for name in ("plan", "event", "destination", "quarantine"):
        parser.add_argument(f"--{name}", required=True)
    known, _ = parser.parse_known_args(given)
    return known


def limits(folder: Path) -> Limits:
    """Return what a local session may use; on Glue, workers and their memory are the job's."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    spill = folder / "spill"
    spill.mkdir(exist_ok=True)
    return Limits(int(memory * HEAP_SHARE), len(os.sched_getaffinity(0)), str(spill))


def reads_s3(spark: Any) -> bool:
    """Whether Spark itself reads and writes `s3://`, as it does on Glue.

    Where it cannot (no S3 file system on its class path), or where S3 is elsewhere than its file
    system looks for it (AWS_ENDPOINT_URL), `materialize` copies inputs and outputs instead.
    """
    if "AWS_ENDPOINT_URL" in os.environ or "AWS_ENDPOINT_URL_S3" in os.environ:
        return False
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - comes with pyspark, which only Glue has

    try:
        spark._jvm.org.apache.hadoop.fs.FileSystem.getFileSystemClass(  # noqa: SLF001 - pyspark's only way to Hadoop
            "s3",
            spark._jsc.hadoopConfiguration(),  # noqa: SLF001 - see above
        )
    except Py4JJavaError:
        return False
    return True


def _loaded(plan: AssetPlan, told: dict[str, Any]) -> dict[str, Any]:
    """Write a run into its Delta table; by name, as only jobs of such pipelines bring the module."""
    with work.work_folder() as folder:
        spark = session(limits(folder))
    try:
        done = import_module("aws_runtime.glue.load_delta").load(spark, plan, told)
    finally:
        spark.stop()
    shown = {"pipeline": plan.pipeline, "asset": plan.asset, "status": "written", "version": done.version}
    sys.stdout.write(json.dumps(shown) + "\n")
    return shown


def main(given: Sequence[str]) -> dict[str, Any]:
    """Materialize the asset of the plan from the objects that the event names.

    Raises:
        ValueError: The arguments, the plan or the event are not as agreed.
        Exception: Whatever `materialize` raises; a rejected file is an answer, not an error.
    """
    asked = arguments(given)
    document = storage.get_json(asked.plan)
    if document is None:
        raise ValueError(f"--plan {asked.plan}: there is no such object")
    plan, told = AssetPlan.from_json(document), json.loads(asked.event)
    if "load" in told:
        return _loaded(plan, told)
    event = parse_event(told, plan)
    at = places(asked.destination, asked.quarantine, plan, event.execution)
    with work.work_folder() as folder:
        spark = session(limits(folder))
    try:
        record = materialize(plan, event, at, limits=limits, direct=reads_s3(spark), parallel=PARALLEL)
    finally:
        spark.stop()
    names = ("status", "rows_in", "rows_out", "rows_quarantined", "record", "files_in", "files_rejected")
    shown = {name: record[name] for name in names if name in record}
    shown |= {"pipeline": plan.pipeline, "asset": plan.asset, "reason": record.get("reason")}
    sys.stdout.write(json.dumps(shown) + "\n")  # Glue sends it to CloudWatch.
    return record


if __name__ == "__main__":
    main(sys.argv[1:])
