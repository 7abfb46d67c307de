"""A pipeline under a workload -> what AWS bills in a month, as quantities.

In: a declaration, its path through the machine, what arrives, assumptions. Out: a `Usage`. Quantities
only: `asl.cost.estimate` knows prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from asl import prices
from asl.cost.assumptions import Assumptions
from asl.cost.door import IDLE_POLLS_A_MONTH, Door
from asl.cost.path import Path
from asl.cost.workload import HOURS_A_MONTH, Workload
from ingestion_assets.asset import Processor
from ingestion_assets.pipeline import Pipeline

MB = 10**6
#: Memory that comes with one vCPU. https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MB_A_VCPU = 1769
#: vCPUs of a G.1X worker; one worker drives, the others execute.
#: https://docs.aws.amazon.com/glue/latest/dg/worker-types.html
CORES = 4
#: A ranged GET of a download.
PART_BYTES = 32 * 2**20
#: The functions at the front door, and how often one sweeps.
DOOR_GB, SWEEPS_A_MONTH, SWEEP_SECONDS = 0.25, HOURS_A_MONTH * 12, 0.5
GB = 10**9


@dataclass(frozen=True)
class Usage:
    """What one month uses.

    Args:
        runs: Executions.
        batch: Files of one execution.
        seconds: Of each asset in one execution, by name.
        quantities: By name in `asl.prices.PRICES`.
    """

    runs: float
    batch: int
    seconds: Mapping[str, float]
    quantities: Mapping[str, float]


def lambda_seconds(processor: Processor, files: int, size: int, assume: Assumptions) -> float:
    """Return how long a function takes for so many files of `size` bytes."""
    vcpus = processor.memory_mb / MB_A_VCPU
    reading = size / MB / (assume.lambda_mb_per_vcpu_second * vcpus)
    return assume.lambda_seconds_per_run + files * (assume.lambda_seconds_per_file + reading)


def glue_seconds(processor: Processor, files: int, size: int, assume: Assumptions) -> float:
    """Return how long a job's script takes for so many files of `size` bytes, before the minimum."""
    cores = CORES * max(1, processor.workers - 1)
    reading = files * size / MB / (assume.glue_mb_per_core_second * cores)
    turns = ceil(files / cores)
    return assume.glue_seconds_per_run + turns * assume.glue_seconds_per_file + reading


def usage(
    pipeline: Pipeline,
    places: Mapping[str, str],
    path: Path,
    door: Door,
    workload: Workload,
    assume: Assumptions,
    alarms: int,
) -> Usage:
    """Return a month's usage.

    Args:
        pipeline: The declaration.
        places: Where each asset runs: `lambda` or `glue_pyspark`, by name.
        path: Of one execution.
        door: How files come to executions.
        workload: What arrives.
        assume: Figures that no declaration tells.
        alarms: Of the deployment.
    """
    files = workload.a_month
    runs = files / door.batch
    took = {
        asset.name: (lambda_seconds if places[asset.name] == "lambda" else glue_seconds)(
            asset.processor, door.batch, workload.size, assume
        )
        for asset in pipeline.assets
    }
    functions = [asset for asset in pipeline.assets if places[asset.name] == "lambda"]
    jobs = [asset for asset in pipeline.assets if places[asset.name] != "lambda"]
    doors = files * door.invocations
    gb_seconds = sum(took[asset.name] * asset.processor.memory_mb / 1024 for asset in functions)
    dpu_seconds = sum(
        max(prices.GLUE_MINIMUM_SECONDS, ceil(took[asset.name])) * asset.processor.workers for asset in jobs
    )
    assets, spark = len(pipeline.assets), len(jobs)
    parts = max(1, ceil(workload.size / PART_BYTES)) - 1
    logged = (
        runs
        * (
            path.events * assume.log_bytes_per_event
            + path.calls["lambda_invoke"] * assume.log_bytes_per_invocation
            + spark * assume.log_bytes_per_job
        )
        + (doors + SWEEPS_A_MONTH) * assume.log_bytes_per_invocation
    )
    return Usage(
        runs=runs,
        batch=door.batch,
        seconds=took,
        quantities={
            "transition": runs * path.transitions,
            "lambda_gb_second": runs * gb_seconds
            + doors * assume.door_seconds * DOOR_GB
            + SWEEPS_A_MONTH * SWEEP_SECONDS * DOOR_GB,
            "lambda_request": runs * path.calls["lambda_invoke"] + doors + SWEEPS_A_MONTH,
            "glue_dpu_hour": runs * dpu_seconds / 3600,
            "catalog_request": runs * path.calls["glue_batch_create_partition"],
            "event": files * door.events + runs * path.calls["events_put_events"] + SWEEPS_A_MONTH,
            # Each file is sent to the queue; each invocation receives and deletes once.
            "queue_request": files + 2 * doors + IDLE_POLLS_A_MONTH if doors else 0.0,
            "dynamodb_write": files * door.writes,
            "dynamodb_read": files * door.reads,
            "s3_write": files * (assets * assume.s3_writes_per_file + spark * assume.spark_s3_writes_per_file)
            + runs * (assets * assume.s3_writes_per_run + door.manifest),
            "s3_read": files
            * (assets * (assume.s3_reads_per_file + parts) + spark * assume.spark_s3_reads_per_file)
            + runs * (path.calls["s3_get_object"] + assets * door.manifest),
            "log_gb": logged / GB,
            "alarm": alarms,
        },
    )
