"""A pipeline under a workload -> what AWS bills in a month, as quantities.

In: a declaration, its path through the machine, what arrives, assumptions. Out: quantities by the name
of their price; `asl.cost.estimate` multiplies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from asl import front_door, prices
from asl.cost.assumptions import Assumptions
from asl.cost.door import IDLE_POLLS_A_MONTH, Door
from asl.cost.path import Path
from asl.cost.workload import HOURS_A_MONTH, Workload
from asl.lowering.curation import STEP_MEMORY_MB
from asl.monitoring import alarms
from asl.variants import is_function, variants
from ingestion_assets.asset import IngestionAsset, Processor
from ingestion_assets.pipeline import Pipeline

MB, GB = 10**6, 10**9
#: Memory that comes with one vCPU. https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MB_A_VCPU = 1769
#: vCPUs of a G.1X worker; one worker drives, the others execute.
#: https://docs.aws.amazon.com/glue/latest/dg/worker-types.html
CORES = 4
#: A ranged GET of a download (`aws_runtime.storage`).
PART_BYTES = 32 * 2**20
#: The functions at the front door, and how often one sweeps.
DOOR_GB = front_door.MEMORY_MB / 1024
SWEEPS_A_MONTH = HOURS_A_MONTH * 60 // front_door.SWEEP_MINUTES
SWEEP_SECONDS = 0.5
#: What a function of an asset, the function at a front door and a sweeper publish (`add_metric` in
#: `aws_runtime.handlers`).
ASSET_METRICS, DOOR_METRICS, SWEEP_METRICS = 4, 4, 3


@dataclass(frozen=True)
class Month:
    """One alternative in one month.

    Args:
        pipeline: The declaration.
        workload: What arrives.
        door: How files come to executions.
        path: What one execution does.
        places: Where each asset runs: `lambda` or `glue_pyspark`, by name.
        assume: Figures that no declaration tells.
    """

    pipeline: Pipeline
    workload: Workload
    door: Door
    path: Path
    places: Mapping[str, str]
    assume: Assumptions

    @property
    def files(self) -> float:
        """Files that arrive."""
        return self.workload.a_month

    @property
    def runs(self) -> float:
        """Executions."""
        return self.files / self.door.batch

    @property
    def doors(self) -> float:
        """Invocations of the function at the front door."""
        return self.files * self.door.invocations

    def assets(self, place: str) -> list[IngestionAsset]:
        """Return the assets that run in a place."""
        return [asset for asset in self.pipeline.assets if self.places[asset.name] == place]

    def seconds(self, asset: IngestionAsset) -> float:
        """Return what an asset takes in one execution."""
        took = lambda_seconds if self.places[asset.name] == "lambda" else glue_seconds
        return took(asset.processor, self.door.batch, self.workload.size, self.assume)


def lambda_seconds(processor: Processor, files: int, size: int, assume: Assumptions) -> float:
    """Return how long a function takes for so many files of `size` bytes."""
    reading = size / MB / (assume.lambda_mb_per_vcpu_second * processor.memory_mb / MB_A_VCPU)
    return assume.lambda_seconds_per_run + files * (assume.lambda_seconds_per_file + reading)


def glue_seconds(processor: Processor, files: int, size: int, assume: Assumptions) -> float:
    """Return how long a job's script takes for so many files of `size` bytes, before the minimum."""
    cores = CORES * max(1, processor.workers - 1)
    reading = files * size / MB / (assume.glue_mb_per_core_second * cores)
    turns = ceil(files / assume.glue_files_at_once)
    return assume.glue_seconds_per_run + turns * assume.glue_seconds_per_file + reading


def quantities(month: Month) -> dict[str, float]:
    """Return what is billed, by name in `asl.prices.PRICES`."""
    calls = month.path.calls
    return {
        "transition": month.runs * month.path.transitions,
        **_compute(month),
        "catalog_request": month.runs * calls["glue_batch_create_partition"],
        "event": month.files * month.door.events + month.runs * calls["events_put_events"] + SWEEPS_A_MONTH,
        # Each file is sent to the queue; each invocation receives and deletes once.
        "queue_request": month.files + 2 * month.doors + IDLE_POLLS_A_MONTH if month.doors else 0.0,
        "dynamodb_write": month.files * month.door.writes,
        "dynamodb_read": month.files * month.door.reads,
        **_objects(month),
        **_watching(month),
    }


def _compute(month: Month) -> dict[str, float]:
    functions, jobs = month.assets("lambda"), month.assets("glue_pyspark")
    gb_seconds = sum(month.seconds(asset) * asset.processor.memory_mb / 1024 for asset in functions)
    billed = {asset.name: max(prices.GLUE_MINIMUM_SECONDS, ceil(month.seconds(asset))) for asset in jobs}
    dpu_seconds = sum(billed[asset.name] * asset.processor.workers for asset in jobs)
    gb_seconds += _around(month) * STEP_MEMORY_MB / 1024
    waiting = month.doors * month.assume.door_seconds + SWEEPS_A_MONTH * SWEEP_SECONDS
    return {
        "lambda_gb_second": month.runs * gb_seconds + waiting * DOOR_GB,
        "lambda_request": month.runs * month.path.calls["lambda_invoke"] + month.doors + SWEEPS_A_MONTH,
        "glue_dpu_hour": month.runs * dpu_seconds / 3600,
    }


def _around(month: Month) -> float:
    """Return the seconds of a curated pipeline's functions around its transform, in one execution."""
    if month.pipeline.curation is None:
        return 0.0
    assume = month.assume
    return assume.curation_seconds_per_run + month.door.batch * assume.curation_seconds_per_file


def _objects(month: Month) -> dict[str, float]:
    assume = month.assume
    assets, spark = len(month.pipeline.assets), len(month.assets("glue_pyspark"))
    manifest = 1 if month.door.manifest else 0
    ranges = ceil(month.workload.size / PART_BYTES) - 1
    curated = 1 if month.pipeline.curation else 0
    return {
        "s3_write": month.files
        * (
            assets * assume.s3_writes_per_file
            + spark * assume.spark_s3_writes_per_file
            + curated * assume.curation_s3_writes_per_file
        )
        + month.runs * (assets * assume.s3_writes_per_run + manifest),
        "s3_read": month.files
        * (
            assets * (assume.s3_reads_per_file + ranges)
            + spark * assume.spark_s3_reads_per_file
            + curated * assume.curation_s3_reads_per_file
        )
        + month.runs * (month.path.calls["s3_get_object"] + assets * manifest),
    }


def _watching(month: Month) -> dict[str, float]:
    assume = month.assume
    invocations = month.runs * month.path.calls["lambda_invoke"] + month.doors + SWEEPS_A_MONTH
    logged = (
        month.runs * month.path.events * assume.log_bytes_per_event
        + invocations * assume.log_bytes_per_invocation
        + month.runs * len(month.assets("glue_pyspark")) * assume.log_bytes_per_job
    )
    # What is deployed is watched, whether or not this workload reaches it.
    functions = [asset.name for asset in month.pipeline.assets if any(map(is_function, variants(asset)))]
    return {
        "log_gb": logged / GB,
        "alarm": sum(1 for _ in alarms(month.pipeline, functions)),
        "metric": ASSET_METRICS * len(functions) + DOOR_METRICS * (month.doors > 0) + SWEEP_METRICS,
        "dashboard": 1,
    }
