"""Costs against sums made by hand, and how they must change with what arrives."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.cost.assumptions import Assumptions, UnknownAssumptionError, changed
from asl.cost.door import Door, batch_size, batch_writes, door, item_bytes
from asl.cost.estimate import estimate, estimates
from asl.cost.path import Path
from asl.cost.scenarios import Scenario, scenarios
from asl.cost.usage import Month, glue_seconds, lambda_seconds, quantities
from asl.cost.workload import Workload, parse_size, spell_size
from asl.prices import PRICES
from ingestion_assets import Csv, Processor, S3Batches, S3Event, S3Queue
from tests.asl.generated import pipeline_of

ASSUMED = Assumptions(
    lambda_mb_per_vcpu_second=20,
    lambda_seconds_per_file=0.5,
    lambda_seconds_per_run=0.25,
    glue_mb_per_core_second=5,
    glue_seconds_per_file=4,
    glue_files_at_once=4,
    glue_seconds_per_run=40,
    door_seconds=0.4,
    s3_writes_per_file=2,
    s3_reads_per_file=3,
    s3_writes_per_run=2,
    spark_s3_writes_per_file=6,
    spark_s3_reads_per_file=8,
    log_bytes_per_event=500,
    log_bytes_per_invocation=1000,
    log_bytes_per_job=30_000,
)
HOURLY = Workload(7000, 3_500_000, "hour")
BATCHES = S3Batches("files")
DEFAULT = Processor()


def month(place, door_, path, *, processor=DEFAULT, workload=HOURLY, trigger=BATCHES):
    pipeline = pipeline_of({"a": []}, trigger=trigger)
    pipeline = replace(
        pipeline, assets=(replace(pipeline.assets[0], processor=replace(processor, kind=place)),)
    )
    return Month(pipeline, workload, door_, path, {"a": place}, ASSUMED)


def dollars(found):
    return {name: round(quantity * PRICES[name].each, 2) for name, quantity in found.items()}


def test_glue_with_ten_files_a_batch_by_hand():
    calls = Counter(glue_start_job_run=1, s3_get_object=1, glue_batch_create_partition=1, events_put_events=1)
    found = quantities(
        month(
            "glue_pyspark",
            Door(batch=10, invocations=0.1, writes=1.9, reads=1.1, manifest=True),
            Path(transitions=10, events=45, calls=calls),
        )
    )
    assert found.pop("alarm") >= 3
    # 7,000 x 730 = 5,110,000 files, 511,000 jobs. A job: 40 s, three turns of four files at 4 s each, and
    # 35 MB at 5 MB a second on four cores, 1.75 s; 53.75 s, so the minimum of 60 s, on two workers.
    assert dollars(found) == {
        "transition": 127.75,  # 511,000 x 10 x $0.000025
        "glue_dpu_hour": 7494.67,  # 511,000 x 2 x 60 / 3600 = 17,033.33 DPU-hours x $0.44
        "catalog_request": 0.51,  # 511,000
        # 511,000 invocations of 0.4 s and 8,760 sweeps of 0.5 s, all with half a GB: 104,390 GB-seconds
        "lambda_gb_second": 1.39,
        "lambda_request": 0.10,  # 519,760
        "event": 0.52,  # 511,000 announced, 8,760 sweeps
        "queue_request": 2.72,  # 5,110,000 + 2 x 511,000 + 657,000 polls of an empty queue = 6,789,000
        "dynamodb_write": 6.07,  # 5,110,000 x 1.9
        "dynamodb_read": 0.70,  # 5,110,000 x 1.1
        "s3_write": 212.07,  # 5,110,000 x 8 + 511,000 x 3 = 42,413,000, which is $212.065
        "s3_read": 22.89,  # 5,110,000 x 11 + 511,000 x 2 = 57,232,000
        # 511,000 x (45 x 500 + 30,000) B + 519,760 x 1,000 B = 27.35 GB
        "log_gb": 13.67,
        "metric": 2.10,  # four of the builder, three of the sweeper
        "dashboard": 3.00,
    }


def test_lambda_with_a_file_each_by_hand():
    calls = Counter(lambda_invoke=1, events_put_events=1)
    found = quantities(
        month(
            "lambda",
            Door(batch=1, invocations=1, writes=5, reads=2),
            Path(transitions=8, events=30, calls=calls),
            processor=Processor(memory_mb=1769),
            workload=Workload(1000, 70_000_000, "day"),
        )
    )
    # 1,000 x 730 / 24 = 30,416.67 files. 0.25 s + 0.5 s + 70 MB / 20 MB = 4.25 s of one vCPU and 1.7275 GB.
    assert found["lambda_gb_second"] == pytest.approx(
        223_320.4 + 30_416.667 * 0.4 * 0.5 + 8760 * 0.5 * 0.5, rel=1e-5
    )
    assert dollars(found)["lambda_gb_second"] == 3.09  # 231,591 x $0.0000133334
    assert dollars(found)["transition"] == 6.08  # 30,416.67 x 8 x $0.000025
    assert found["glue_dpu_hour"] == 0
    assert found["s3_write"] == pytest.approx(30_416.667 * 4)
    # 70 MB come in three ranges of 32 MiB: two more than one.
    assert found["s3_read"] == pytest.approx(30_416.667 * 5)
    assert found["lambda_request"] == pytest.approx(30_416.667 * 2 + 8760)


def test_seconds_by_hand():
    # 3,538 MB of memory are two vCPUs: 10 x (0.5 + 8 / 40) + 0.25
    assert lambda_seconds(Processor(memory_mb=3538), 10, 8_000_000, ASSUMED) == pytest.approx(7.25)
    # Five workers execute on 16 cores: 40 + 3 x 4 + 9 x 800 / 80
    assert glue_seconds(Processor(workers=5), 9, 800_000_000, ASSUMED) == pytest.approx(142)
    # A single worker both drives and executes.
    one, two = (glue_seconds(Processor(workers=n), 1, 10**9, ASSUMED) for n in (1, 2))
    assert one == two


def test_a_job_is_billed_by_the_second_above_a_minute():
    door_ = Door(batch=200, manifest=True)
    # 40 + 50 x 4 + 200 x 3.5 / 20 = 275 s; 7,000 x 730 / 200 = 25,550 jobs on two workers.
    found = quantities(month("glue_pyspark", door_, Path(10, 40, Counter())))
    assert found["glue_dpu_hour"] == pytest.approx(25_550 * 2 * 275 / 3600)


def test_write_units_of_a_batch_by_hand():
    assert item_bytes(10) == 450 + 10 * 230 == 2750
    # One write of 3 KB that creates and seals, one of 3 KB that empties, one at the end, two of the
    # index, ten file items: 1.9 a file.
    assert batch_writes(10, 10) == 3 + 3 + 1 + 2 + 10
    # Three messages a time: items of 3, 6, 9 and 10 files are 1,140, 1,830, 2,520 and 2,750 bytes.
    assert batch_writes(10, 3) == (2 + 2 + 3 + 3) + 3 + 1 + 2 + 10
    # An item that grows by ten files, 2.3 KB, twenty times: each write pays for all that is there.
    growing = [3, 5, 8, 10, 12, 14, 17, 19, 21, 23, 26, 28, 30, 32, 35, 37, 39, 41, 44, 46]
    assert batch_writes(200, 10) == sum(growing) + 46 + 1 + 2 + 200


@pytest.mark.parametrize(
    ("trigger", "workload", "files"),
    [
        (S3Batches("f", files=10), HOURLY, 10),
        (S3Batches("f", files=200), HOURLY, 200),
        # 10 MB are reached by the third file.
        (S3Batches("f", files=200, max_bytes=10_000_000), HOURLY, 3),
        # In 900 s, 8 files an hour bring two more than the first one.
        (S3Batches("f", files=10, max_wait_seconds=900), Workload(8, 1, "hour"), 3),
        (S3Batches("f", files=10, max_wait_seconds=60), Workload(1, 1, "day"), 1),
    ],
)
def test_how_large_batches_become(trigger, workload, files):
    assert batch_size(trigger, workload) == files
    assert door(trigger, workload).batch == files


def test_the_goal_of_write_units_holds_for_ten_files_a_batch():
    assert door(S3Batches("f", files=10), HOURLY).writes <= 2.2


@pytest.mark.parametrize("trigger", [S3Event("files"), S3Queue("files"), BATCHES])
@pytest.mark.parametrize("kind", ["lambda", "glue_pyspark"])
@given(files=st.integers(7_000, 10**6), times=st.integers(2, 20))
@settings(max_examples=15, deadline=None)
def test_twice_the_files_cost_twice_what_is_not_there_for_none(trigger, kind, files, times):
    pipeline = pipeline_of({"a": []}, trigger=trigger, glue=frozenset("a" if kind != "lambda" else ""))
    one, many, more = (
        estimate(Scenario(pipeline), Workload(n, 1_000_000, "hour"), ASSUMED).total
        for n in (files, files * times, files * (times + 1))
    )
    assert more - many == pytest.approx((many - one) / (times - 1), rel=1e-6)


@given(files=st.sampled_from([10, 20, 50, 100]), size=st.integers(1_000, 4_000_000))
@settings(max_examples=25, deadline=None)
def test_batches_of_twice_the_files_are_half_the_executions(files, size):
    small, large = (
        estimate(
            Scenario(pipeline_of({"a": [], "b": ["a"]}, trigger=S3Batches("files", files=n))),
            Workload(100_000, size, "hour"),
            ASSUMED,
        ).quantities
        for n in (files, files * 2)
    )
    assert small["transition"] == pytest.approx(2 * large["transition"])
    assert small["catalog_request"] == pytest.approx(2 * large["catalog_request"])
    assert small["lambda_gb_second"] > large["lambda_gb_second"]
    assert small["queue_request"] == large["queue_request"]


@pytest.mark.parametrize("name", sorted(PRICES))
def test_every_price_is_used(name):
    used = {
        key
        for trigger in (S3Event("files"), BATCHES)
        for each in estimates(pipeline_of({"a": []}, trigger=trigger), HOURLY, ASSUMED)
        for key, quantity in each.quantities.items()
        if quantity
    }
    assert name in used


def test_alternatives_are_the_declared_one_and_the_others_once():
    declared = pipeline_of({"a": []}, auto=frozenset("a"), trigger=S3Batches("files", files=10))
    found = estimates(declared, HOURLY, ASSUMED)
    assert found[0].scenario.declared
    assert [each.scenario.label for each in found[1:]].count("auto, 10 files a batch") == 0
    assert {each.scenario.label for each in found} == {
        *(f"{kind}, {n} files a batch" for kind in ("auto", "Lambda", "Glue") for n in (10, 200)),
        *(f"{kind}, each file by itself" for kind in ("auto", "Lambda", "Glue")),
        "Glue x10, 10 files a batch",
    }
    assert len(found) == 10
    assert [each.cheapest for each in found].count(True) == 1
    totals = [each.total for each in found[1:]]
    assert totals == sorted(totals)
    assert min(each.total for each in found) == next(each.total for each in found if each.cheapest)


def test_what_small_manifests_cost_and_what_does_instead():
    """The pipelines that this answers cost 15,000 to 100,000 dollars a month (7,000 files of 3.5 MB an hour)."""
    declared = pipeline_of({"a": []}, auto=frozenset("a"), trigger=S3Batches("files", files=10))
    pipeline = replace(
        declared,
        assets=(replace(declared.assets[0], processor=Processor(kind="auto")),),
    )
    totals = {each.scenario.label: each.total for each in estimates(pipeline, HOURLY, Assumptions())}
    assert 7_500 < totals["Glue, 10 files a batch"] < 15_000
    assert 37_000 < totals["Glue x10, 10 files a batch"] < 100_000
    assert totals["auto, 10 files a batch"] < 500
    assert totals["Glue, 200 files a batch"] < totals["Glue, 10 files a batch"] / 3


@pytest.mark.parametrize(("size", "place"), [(100, "lambda"), (101, "glue_pyspark")])
def test_auto_runs_a_batch_where_all_its_bytes_say(size, place):
    # Ten files of 100 bytes are just at the threshold of 1,000.
    declared = pipeline_of({"a": []}, auto=frozenset("a"), trigger=S3Batches("files", files=10))
    found = estimate(Scenario(declared, declared=True), Workload(7000, size, "hour"), ASSUMED)
    assert found.month.places == {"a": place}


def test_what_cannot_run_is_never_the_cheapest():
    pipeline = pipeline_of({"a": []})
    found = estimates(pipeline, Workload(3, 30 * 10**9, "day"), ASSUMED)
    assert found[0].problem == "a function runs for 900 s at most, and needs 1,297"
    assert found[0].total == min(each.total for each in found)
    best = next(each for each in found if each.cheapest)
    assert set(best.month.places.values()) == {"glue_pyspark"}
    # 40 s + 4 s + 30,000 MB / 20 MB a second
    assert "timeout_seconds=1544" in {each.needs for each in found}


def test_what_a_function_would_need_is_said():
    pipeline = pipeline_of({"a": []})
    found = estimates(pipeline, Workload(3, 4 * 10**9, "day"), ASSUMED)
    # 4 GB fill 70 % of 5,450 MiB; 0.75 s + 4,000 MB at 20 x 2,048 / 1,769 MB a second.
    assert found[0].needs == "storage_mb=5450"
    assert not found[0].problem
    large = estimates(pipeline, Workload(3, 9 * 10**9, "day"), ASSUMED)
    assert large[0].problem == "a function holds 10,240 MB at most, and needs 12,262"


def test_a_format_that_no_engine_reads_there_is_a_problem(monkeypatch):
    monkeypatch.setattr("ingestion_assets.engines.known_engines", lambda: iter(()))
    pipeline = pipeline_of({"a": []})
    source = replace(pipeline.sources[0], format=Csv())
    found = estimates(replace(pipeline, sources=(source,)), HOURLY, ASSUMED)
    assert {each.problem for each in found} <= {
        "no engine reads csv in lambda",
        "no engine reads csv in glue",
    }
    assert not any(each.cheapest for each in found)


def test_an_engine_that_is_declared_is_not_asked_of_the_other_place():
    pipeline = pipeline_of({"a": []})
    asset = replace(pipeline.assets[0], processor=Processor(engine="duckdb"))
    found = {each.label: each.pipeline for each in scenarios(replace(pipeline, assets=(asset,)))}
    assert found["Lambda, 200 files a batch"].assets[0].processor.engine == "duckdb"
    assert found["Glue, 200 files a batch"].assets[0].processor.engine is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("3.5MB", 3_500_000),
        ("3.5 mb", 3_500_000),
        ("800KB", 800_000),
        ("2GiB", 2_147_483_648),
        ("1_000_000", 1_000_000),
        ("1,000 B", 1000),
        (".5 KB", 500),
        ("50TB", 50 * 10**12),
    ],
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MB", "3.5 apples", "-1MB", "1e3", "0", "0.4", "51TB", "3.5.1MB", "NaN"]
)
def test_what_is_no_size_is_refused_by_name(text):
    with pytest.raises(ValueError, match=r"write 3\.5MB|between 1 byte and 50 TB"):
        parse_size(text)


@given(st.integers(1, 50 * 10**12))
def test_a_spelled_size_is_a_size_within_its_digits(size):
    assert parse_size(spell_size(size).replace(",", "")) == pytest.approx(size, rel=0.06)


def test_assumptions_change_by_name():
    found = changed(["glue_files_at_once=1", " door_seconds = 0 "])
    assert (found.glue_files_at_once, found.door_seconds) == (1, 0)
    assert replace(found, glue_files_at_once=4, door_seconds=0.4) == Assumptions()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("speed=3", "no 'speed' to assume; there are curation_s3_reads_per_file"),
        ("door_seconds", "of at least zero, not ''"),
        ("door_seconds=-1", "of at least zero, not '-1'"),
        ("door_seconds=inf", "of at least zero, not 'inf'"),
        ("door_seconds=nan", "of at least zero, not 'nan'"),
        ("glue_mb_per_core_second=0", "above zero, not '0'"),
    ],
)
def test_what_is_no_assumption_is_refused(text, says):
    with pytest.raises(UnknownAssumptionError, match=says):
        changed([text])
