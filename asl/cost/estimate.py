"""Alternatives and a workload -> dollars a month, the declared one and the cheapest marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from asl import names
from asl.cost.assumptions import Assumptions
from asl.cost.door import door
from asl.cost.path import Path, path
from asl.cost.scenarios import Scenario, scenarios
from asl.cost.usage import Usage, usage
from asl.cost.workload import Workload
from asl.lower import lower_pipeline
from asl.monitoring import alarms
from asl.prices import PRICES
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.engines import choose_engine, runtimes
from ingestion_assets.errors import CompileError
from ingestion_assets.pipeline import Pipeline

#: Lambda's longest invocation. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LONGEST_SECONDS = 900
LARGEST_STORAGE_MB = 10_240
#: Of its storage, what a function lets inputs fill (`aws_runtime.storage`).
INPUT_SHARE = 0.7


@dataclass(frozen=True)
class Estimate:
    """One alternative's month.

    Args:
        scenario: What was estimated.
        places: Where its assets run under the workload, each place once.
        path: What one execution does.
        usage: Quantities.
        dollars: By name in `asl.prices.PRICES`.
        problem: Why it cannot run; empty where it can.
        needs: What else must be declared for it to run.
        cheapest: Whether no other one that can be chosen costs less.
    """

    scenario: Scenario
    places: tuple[str, ...]
    path: Path
    usage: Usage
    dollars: Mapping[str, float]
    problem: str = ""
    needs: str = ""
    cheapest: bool = False

    @property
    def total(self) -> float:
        """Dollars a month."""
        return sum(self.dollars.values())

    @property
    def by_service(self) -> dict[str, float]:
        """Dollars a month by service."""
        found = {price.service: 0.0 for price in PRICES.values()}
        for name, dollars in self.dollars.items():
            found[PRICES[name].service] += dollars
        return found


def estimates(pipeline: Pipeline, workload: Workload, assume: Assumptions) -> list[Estimate]:
    """Return the declared pipeline's month first, then its alternatives', dearest last."""
    found = [estimate(scenario, workload, assume) for scenario in scenarios(pipeline)]
    able = [each for each in found if not each.problem]
    least = min((each.total for each in able), default=None)
    marked = [replace(each, cheapest=not each.problem and each.total == least) for each in found]
    return sorted(marked, key=lambda each: (not each.scenario.declared, each.total))


def estimate(scenario: Scenario, workload: Workload, assume: Assumptions) -> Estimate:
    """Return one alternative's month."""
    pipeline = scenario.pipeline
    entrance = door(pipeline.trigger, workload)
    places = {asset.name: place_of(asset, entrance.batch * workload.size) for asset in pipeline.assets}
    walked = path(lower_pipeline(pipeline).states, _runners(pipeline, places))
    functions = [a.name for a in pipeline.assets if any(v.processor.kind == "lambda" for v in runtimes(a))]
    warned = sum(1 for _ in alarms(pipeline, functions))
    used = usage(pipeline, places, walked, entrance, workload, assume, warned)
    problem, needs = _fits(pipeline, places, used, workload)
    return Estimate(
        scenario=scenario,
        places=tuple(dict.fromkeys(places.values())),
        path=walked,
        usage=used,
        dollars={name: quantity * PRICES[name].each for name, quantity in used.quantities.items()},
        problem=problem,
        needs=needs,
    )


def place_of(asset: IngestionAsset, size: int) -> str:
    """Return where an asset runs for so many bytes of source files."""
    small, *large = (each.processor.kind for each in runtimes(asset))
    return large[0] if large and size > asset.processor.threshold_bytes else small


def _runners(pipeline: Pipeline, places: Mapping[str, str]) -> frozenset[str]:
    id_of = {"lambda": names.function_id, "glue_pyspark": names.job_id}
    return frozenset(id_of[place](pipeline.name, asset) for asset, place in places.items())


def _fits(pipeline: Pipeline, places: Mapping[str, str], used: Usage, workload: Workload) -> tuple[str, str]:
    """Return why the alternative cannot run, and what it needs declared in order to run."""
    needs: dict[str, int] = {}
    for asset in pipeline.assets:
        processor, took = asset.processor, ceil(used.seconds[asset.name])
        if problem := _unreadable(pipeline, asset, places[asset.name]):
            return problem, ""
        if took > processor.timeout_seconds:
            needs["timeout_seconds"] = max(took, needs.get("timeout_seconds", 0))
        if places[asset.name] != "lambda":
            continue
        if took > LONGEST_SECONDS:
            return f"a function may take {LONGEST_SECONDS} s, not {took:,}", ""
        storage = ceil(workload.size / INPUT_SHARE / 2**20)
        if storage > LARGEST_STORAGE_MB:
            return f"a function holds {LARGEST_STORAGE_MB:,} MB, not {storage:,}", ""
        if storage > processor.storage_mb:
            needs["storage_mb"] = storage
    return "", ", ".join(f"{name}={value}" for name, value in needs.items())


def _unreadable(pipeline: Pipeline, asset: IngestionAsset, place: str) -> str:
    formats = frozenset(
        source.format.name for source in pipeline.sources if source.name in asset.inputs.values()
    )
    for variant in runtimes(asset):
        if variant.processor.kind == place:
            try:
                choose_engine(variant, formats or frozenset({"parquet"}))
            except CompileError as error:
                return error.what
    return ""
