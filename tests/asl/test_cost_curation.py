"""Costs of a curated pipeline: its functions around the transform count, deliveries share their run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asl.cost.assumptions import Assumptions
from asl.cost.estimate import estimate, estimates
from asl.cost.scenarios import Scenario
from asl.cost.workload import Workload
from ingestion_assets import Curation, S3Event
from tests.asl.curated import curated

ASSUMED = Assumptions(files_per_marker=10, curation_seconds_per_run=2, curation_seconds_per_file=0.5)
#: Ten files of 90 bytes are below the threshold, of 200 above.
SMALL, LARGE = Workload(1000, 90, "month"), Workload(1000, 200, "month")


def of(kind, workload=SMALL, **changes):
    pipeline = curated(curation=Curation({"processor_type": kind}), **changes)
    return estimate(Scenario(pipeline), workload, ASSUMED)


def test_a_delivery_is_one_run_and_each_run_calls_four_functions():
    found = of("lambda")
    assert found.month.runs == pytest.approx(100)
    sweeps = 730 * 12
    assert found.quantities["lambda_request"] == pytest.approx(4 * 100 + sweeps)
    transform = 2 * found.month.seconds(found.month.pipeline.assets[0])
    around = 2 + 10 * 0.5
    assert found.quantities["lambda_gb_second"] == pytest.approx(
        100 * (transform + around) + sweeps * 0.5 / 2
    )
    # The files' events, and those of the markers; two events of a run's end; the sweeper's schedule.
    assert found.quantities["event"] == pytest.approx(1000 + 100 + 100 + sweeps)


def test_each_file_by_itself_costs_more():
    assert of("lambda", trigger=S3Event("files")).total > of("lambda").total
    assert of("lambda", trigger=S3Event("files")).month.runs == pytest.approx(1000)


@pytest.mark.parametrize(
    ("kind", "workload", "place", "calls"),
    [
        ("auto", SMALL, "lambda", {"lambda_invoke": 4}),
        ("auto", LARGE, "glue_pyspark", {"lambda_invoke": 3, "glue_start_job_run": 1, "s3_get_object": 1}),
        ("lambda", LARGE, "lambda", {"lambda_invoke": 4}),
        (
            "glue_sql",
            SMALL,
            "glue_pyspark",
            {"lambda_invoke": 3, "glue_start_job_run": 1, "s3_get_object": 1},
        ),
    ],
)
def test_the_configuration_says_what_runs(kind, workload, place, calls):
    found = of(kind, workload)
    assert found.month.places == {"stock": place}
    ran = {
        name: count
        for name, count in found.month.path.calls.items()
        if name in {*calls, "glue_start_job_run"}
    }
    assert ran == calls


def test_alternatives_are_what_a_configuration_could_say():
    found = estimates(curated(), SMALL, ASSUMED)
    assert sorted(each.scenario.processor for each in found) == ["Glue", "Lambda", "auto"]
    assert [each.scenario.declared for each in found] == [True, False, False]
    assert sum(each.cheapest for each in found) == 1
    label = "auto, all files of a marker"
    assert found[0].scenario.label == label
    each = replace(curated(), trigger=S3Event("files"))
    assert Scenario(each).label == "auto, each file by itself"
