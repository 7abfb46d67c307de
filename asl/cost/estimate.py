"""Alternatives and a workload -> dollars a month, the declared one and the cheapest marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from asl.cost.assumptions import Assumptions
from asl.cost.door import door, marked
from asl.cost.path import path
from asl.cost.scenarios import Scenario, is_marked, processor_type, scenarios
from asl.cost.usage import Month, quantities
from asl.cost.workload import Workload
from asl.lower import lower_pipeline
from asl.prices import PRICES
from asl.variants import LAMBDA_SECONDS, runner_id, variants
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.engines import RUNS_IN, choose_engine
from ingestion_assets.errors import CompileError
from ingestion_assets.pipeline import Pipeline

#: What a place is called here; a query runs in a job like any other.
PLACE = {"lambda": "lambda", "glue": "glue_pyspark"}
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LARGEST_STORAGE_MB = 10_240
#: Of its storage, what a function lets inputs fill (`aws_runtime.storage`).
INPUT_SHARE = 0.7


@dataclass(frozen=True)
class Estimate:
    """One alternative's month.

    Args:
        scenario: What was estimated.
        month: How it works under the workload.
        quantities: By name in `asl.prices.PRICES`.
        problem: Why it cannot run; empty where it can.
        needs: What else must be declared for it to run.
        cheapest: Whether no other one that can run costs less.
    """

    scenario: Scenario
    month: Month
    quantities: Mapping[str, float]
    problem: str = ""
    needs: str = ""
    cheapest: bool = False

    @property
    def dollars(self) -> dict[str, float]:
        """Dollars a month by name in `asl.prices.PRICES`."""
        return {name: quantity * PRICES[name].each for name, quantity in self.quantities.items()}

    @property
    def total(self) -> float:
        """Dollars a month."""
        return sum(self.dollars.values())

    @property
    def by_service(self) -> dict[str, float]:
        """Dollars a month by service, every service among them."""
        found = {price.service: 0.0 for price in PRICES.values()}
        for name, dollars in self.dollars.items():
            found[PRICES[name].service] += dollars
        return found

    @property
    def seconds(self) -> float:
        """Seconds of one execution's assets, one after the other."""
        return sum(self.month.seconds(asset) for asset in self.month.pipeline.assets)


def estimates(pipeline: Pipeline, workload: Workload, assume: Assumptions) -> list[Estimate]:
    """Return the declared pipeline's month first, then its alternatives', cheapest first."""
    found: list[Estimate] = []
    for scenario in scenarios(pipeline):
        one = estimate(scenario, workload, assume)
        # Where files come too slowly to fill them, larger batches are the same batches.
        if not any(_same(one, other) for other in found):
            found.append(one)
    able = [each for each in found if not each.problem]
    best = min(able, key=lambda each: each.total, default=None)
    marked = [replace(each, cheapest=each is best) for each in found]
    return sorted(marked, key=lambda each: (not each.scenario.declared, each.total))


def _same(one: Estimate, other: Estimate) -> bool:
    return (
        one.scenario.processor == other.scenario.processor and one.month.door.batch == other.month.door.batch
    )


def estimate(scenario: Scenario, workload: Workload, assume: Assumptions) -> Estimate:
    """Return one alternative's month."""
    pipeline = scenario.pipeline
    entrance = door(pipeline.trigger, workload)
    if is_marked(pipeline.trigger):
        entrance = marked(entrance, ceil(assume.files_per_marker))
    size = entrance.batch * workload.size
    chosen = {asset.name: variant(pipeline, asset, size) for asset in pipeline.assets}
    places = {name: PLACE[RUNS_IN[asset.processor.kind]] for name, asset in chosen.items()}
    walked = path(lower_pipeline(pipeline).states, _runners(pipeline, chosen))
    month = Month(pipeline, workload, entrance, walked, places, assume)
    problem, needs = _fits(month, chosen)
    return Estimate(scenario, month, quantities(month), problem, needs)


def variant(pipeline: Pipeline, asset: IngestionAsset, size: int) -> IngestionAsset:
    """Return the variant of an asset that runs for so many bytes of source files."""
    small, *large = variants(asset)
    if asset.processor.kind == "configured" and (kind := processor_type(pipeline)) != "auto":
        return next(each for each in (small, *large) if each.processor.kind == kind)
    return large[0] if large and size > asset.processor.threshold_bytes else small


def _runners(pipeline: Pipeline, chosen: Mapping[str, IngestionAsset]) -> frozenset[str]:
    """Return the logical ids of the functions and jobs that run."""
    return frozenset(runner_id(pipeline.name, chosen[asset.name], asset) for asset in pipeline.assets)


def _fits(month: Month, chosen: Mapping[str, IngestionAsset]) -> tuple[str, str]:
    """Return why the alternative cannot run, and what it needs declared in order to run."""
    needs: dict[str, int] = {}
    for asset in chosen.values():
        took = ceil(month.seconds(asset))
        if unreadable := _unreadable(month.pipeline, asset):
            return unreadable, ""
        if took > asset.processor.timeout_seconds:
            needs["timeout_seconds"] = max(took, needs.get("timeout_seconds", 0))
        if asset.processor.kind != "lambda":
            continue
        if took > LAMBDA_SECONDS:
            return f"a function runs for {LAMBDA_SECONDS} s at most, and needs {took:,}", ""
        storage = ceil(month.workload.size / INPUT_SHARE / 2**20)
        if storage > LARGEST_STORAGE_MB:
            return f"a function holds {LARGEST_STORAGE_MB:,} MB at most, and needs {storage:,}", ""
        if storage > asset.processor.storage_mb:
            needs["storage_mb"] = max(storage, needs.get("storage_mb", 0))
    return "", ", ".join(f"{name}={value}" for name, value in needs.items())


def _unreadable(pipeline: Pipeline, asset: IngestionAsset) -> str:
    """Return why no engine reads an asset's inputs where it runs; empty where one does."""
    sources = {source.name: source.format.name for source in pipeline.sources}
    # What other assets write is Parquet.
    formats = frozenset(sources.get(name, "parquet") for name in asset.inputs.values())
    try:
        choose_engine(asset, formats, folder_columns=pipeline.curation is not None)
    except CompileError as error:
        return error.what
    return ""
