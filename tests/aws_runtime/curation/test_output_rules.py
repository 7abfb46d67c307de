"""Thresholds of a run, judged by footers: each broken one has its reason."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aws_runtime.curation.config import DqRules, Expected
from aws_runtime.curation.footer import read_footer
from aws_runtime.curation.output_rules import OutputFile, OutputReport, judge_output

PARTITIONS = ("dt", "hour")


def file(columns: Mapping[str, Any], dt: str = "2024-07-01", hour: str = "00", **options: Any) -> OutputFile:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, **options)
    data = buffer.getvalue()
    uri = f"s3://curated/dt={dt}/hour={hour}/part.parquet"
    footer = read_footer(lambda offset, length: data[offset : offset + length], len(data), uri)
    return OutputFile(uri, footer, {"dt": dt, "hour": hour})


def judged(*files: OutputFile, **rules: Any) -> OutputReport:
    return judge_output(files, DqRules(**rules), PARTITIONS)


def codes(report: OutputReport) -> list[str]:
    return [broken.code for broken in report.broken]


def test_a_run_within_its_thresholds_is_counted() -> None:
    report = judged(
        file({"id": [1, 2, 3], "note": ["a", None, "c"]}),
        file({"id": [4], "note": ["d"]}, hour="01"),
        min_rows=4,
        max_null_pct=0.25,
        mandatory_columns=("id", "dt"),
    )
    assert report == OutputReport(4, 2, {"id": 0.0, "note": 0.25}, (), ())


def test_too_few_rows() -> None:
    report = judged(file({"id": [1]}), min_rows=1000)
    assert codes(report) == ["TooFewRows"]
    assert report.broken[0].message == "1 rows; min_rows is 1,000"


def test_nothing_written_at_all() -> None:
    assert codes(judged(min_rows=1, mandatory_columns=("id",))) == ["TooFewRows"]
    assert codes(judged(mandatory_columns=("id",))) == []


def test_nulls_are_counted_over_all_files() -> None:
    files = [file({"id": [1] * 9, "x": [None] + [1] * 8}), file({"id": [None], "x": [1]}, hour="01")]
    report = judged(*files, max_null_pct=0.05)
    assert [broken.message for broken in report.broken] == [
        "id is null in 10.00% of the rows; at most 5.00%",
        "x is null in 10.00% of the rows; at most 5.00%",
    ]
    assert codes(judged(*files, max_null_pct=0.05, max_null_pct_by_column={"id": 0.1})) == ["TooManyNulls"]


def test_mandatory_columns_hold_no_null_and_are_there() -> None:
    report = judged(file({"id": [1, None]}), mandatory_columns=("id", "amount"))
    assert [broken.message for broken in report.broken] == [
        "id is mandatory and null in 1 of 2 rows",
        "amount is mandatory and is not in the output",
    ]


def test_a_column_that_one_file_lacks_is_null_there() -> None:
    report = judged(file({"id": [1], "x": [1]}), file({"id": [2]}, hour="01"), max_null_pct=0.4)
    assert report.null_pct == {"id": 0.0, "x": 0.5}
    assert codes(report) == ["TooManyNulls"]


def test_nulls_that_nobody_counted_are_not_taken_for_none() -> None:
    silent = file({"id": [1]}, write_statistics=False)
    assert codes(judged(silent)) == []
    assert codes(judged(silent, max_null_pct=0.5)) == ["UnknownNulls"]
    assert codes(judged(silent, mandatory_columns=("id",))) == ["UnknownNulls"]


def test_missing_partitions_are_listed() -> None:
    expected = {
        "dt": Expected(start="2024-07-01", end="2024-07-02"),
        "hour": Expected(start="0", end="1"),
    }
    empty = file({"id": pa.array([], pa.int64())}, "2024-07-02", "00")
    report = judged(file({"id": [1]}), file({"id": [1]}, hour="01"), empty, completeness=expected)
    assert report.missing == ({"dt": "2024-07-02", "hour": "00"}, {"dt": "2024-07-02", "hour": "01"})
    assert report.broken[0].message == (
        "2 expected partitions are missing: dt=2024-07-02/hour=00, dt=2024-07-02/hour=01"
    )


def test_expected_values_of_one_column_say_nothing_of_the_others() -> None:
    report = judged(file({"id": [1]}, hour="07"), completeness={"dt": Expected(values=("2024-07-01",))})
    assert report.missing == ()


def test_long_lists_are_cut_and_counted() -> None:
    days = {"dt": Expected(start="2024-01-01", end="2024-12-31")}
    report = judged(completeness=days)
    assert len(report.missing) == 366
    assert report.broken[0].message.endswith("and 346 more")


def test_files_that_are_no_parquet_or_lie_elsewhere() -> None:
    good = file({"id": [1]})
    report = judged(
        OutputFile("s3://curated/x.csv", None, {"dt": "2024-07-01", "hour": "00"}, "begins with b'id,a'"),
        OutputFile(good.uri, good.footer, {"dt": "2024-07-01"}),
    )
    assert codes(report) == ["OutputNotParquet", "OutputPartition"]
    assert "lies in dt=2024-07-01; expected dt, hour" in report.broken[1].message
