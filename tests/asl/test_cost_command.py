"""`asl cost` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from asl.cli import cli
from asl.cost.assumptions import Assumptions, stated
from asl.prices import PRICES

NDJSON = ("cost", "ndjson_to_parquet", "--files", "7000", "--size", "3.5MB")


def ask(*arguments):
    return CliRunner().invoke(cli, arguments, env={"COLUMNS": "80"})


@pytest.mark.parametrize("name", ["ndjson_to_parquet", "csv_to_parquet", "orders_etl"])
def test_the_page_fits_a_terminal_and_marks_what_is_declared_and_what_is_cheapest(name):
    answer = ask("cost", name, "--files", "7000", "--size", "3.5MB", "--per", "hour")
    assert answer.exit_code == 0, answer.output
    lines = answer.output.splitlines()
    assert lines[0].startswith(f"{name}: 7,000 files of 3.5 MB an hour; 5.11 M files, 17.9 TB a month")
    assert max(map(len, lines)) <= 80
    assert "…" not in answer.output
    table = [
        line for line in lines if line[:2].strip() in {"▶", "✔", "▶✔"} and line.split()[-1][-1].isdigit()
    ]
    assert 1 <= len(table) <= 2
    assert table[0].startswith("▶")


def test_json_adds_up_and_says_what_it_stands_on():
    document = json.loads(ask(*NDJSON, "--json").output)
    assert document["workload"]["files_per_month"] == 5_110_000
    assert {entry["page"][:23] for entry in document["prices"]["table"].values()} == {
        "https://aws.amazon.com/"
    }
    declared, *others = document["estimates"]
    assert declared["label"] == "auto, 10 files a batch"
    assert (declared["declared"], declared["runs_on"]) == (True, {"events": "lambda"})
    assert declared["executions_per_month"] == 511_000
    assert not any(other["declared"] for other in others)
    for each in document["estimates"]:
        assert sum(each["dollars_by_service"].values()) == pytest.approx(each["dollars_per_month"], abs=0.06)
        for name, used in each["usage"].items():
            price = PRICES[name]
            assert used["dollars"] == pytest.approx(used["quantity"] * price.dollars / price.per, abs=0.001)


def test_an_assumption_changes_the_bill():
    before, after = (
        json.loads(ask(*NDJSON, "--json", *more).output)["estimates"][0]["usage"]["lambda_gb_second"][
            "quantity"
        ]
        for more in ((), ("--assume", "lambda_mb_per_vcpu_second=7.5"))
    )
    # Half the speed: twice the time that 35 MB take, 511,000 times, on 2 GB that are 2,048 / 1,769 vCPUs.
    assert after - before == pytest.approx(511_000 * 2 * 35 / 15 * 1769 / 2048, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("cost", "ndjson_to_parquet", "--files", "7000", "--size", "3.5 apples"),
            "'3.5 apples' is no size; write 3.5MB",
        ),
        (("cost", "ndjson_to_parquet", "--files", "0", "--size", "1MB"), "0.0 is not in the range"),
        ((*NDJSON, "--per", "fortnight"), "'fortnight' is not one of"),
        (
            (*NDJSON, "--assume", "luck=1"),
            "there is no 'luck' to assume; there are curation_s3_reads_per_file",
        ),
        (("cost", "ndjson_to_parquet", "--files", "1"), "Missing option '--size'"),
    ],
)
def test_a_mistake_is_one_line(arguments, says):
    answer = ask(*arguments)
    assert answer.exit_code == 2
    assert says in answer.output.splitlines()[-1]


def test_the_documented_assumptions_are_the_assumed_ones():
    documented = (Path(__file__).parents[2] / "docs" / "costs.md").read_text()
    for each in stated(Assumptions()):
        assert f"| `{each['name']}` | {each['value']:g} {each['unit']} | {each['says']} |" in documented


def test_an_unknown_pipeline_is_named():
    answer = ask("cost", "ndjson", "--files", "1", "--size", "1MB")
    assert answer.exit_code == 1
    assert "there is no pipeline 'ndjson'" in str(answer.exception)
