"""A run's configuration: the existing one is accepted as it is, and a mistake names its key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aws_runtime.curation.config import (
    ConfigError,
    DqRules,
    Expected,
    OutputFormat,
    ProcessorType,
    WriteMode,
    combinations,
    merged,
    parse,
)

FIXTURE = Path(__file__).parent / "fixtures" / "execution_input.json"
LEAST: dict[str, Any] = {"source_bucket": "landing", "target_bucket": "curated"}


def test_an_existing_configuration_is_accepted_verbatim() -> None:
    config = parse(json.loads(FIXTURE.read_text()))
    assert config.expected_schema == ("customer_id", "order_id", "amount", "dt")
    assert config.required_partitions == ("dt", "region")
    assert config.dq_rules == DqRules(
        min_rows=1000, max_null_pct=0.05, mandatory_columns=("customer_id", "amount")
    )
    assert config.processor_type is ProcessorType.GLUE_PYSPARK
    assert config.output_format is OutputFormat.PARQUET
    assert config.write_mode is WriteMode.APPEND


def test_layers_are_merged_key_by_key_the_strongest_last() -> None:
    declared = LEAST | {"processor_type": "lambda", "dq_rules": {"min_rows": 10, "max_null_pct": 0.5}}
    parameter = {"dq_rules": {"min_rows": 20, "mandatory_columns": ["a"]}}
    given = {"processor_type": "glue_sql", "dq_rules": {"mandatory_columns": ["b"]}}
    config = parse(declared, parameter, given)
    assert config.processor_type is ProcessorType.GLUE_SQL
    assert config.dq_rules == DqRules(min_rows=20, max_null_pct=0.5, mandatory_columns=("b",))


def test_merging_changes_no_layer() -> None:
    first, second = {"dq_rules": {"min_rows": 1}}, {"dq_rules": {"max_null_pct": 0.1}}
    merged(first, second)
    assert (first, second) == ({"dq_rules": {"min_rows": 1}}, {"dq_rules": {"max_null_pct": 0.1}})


def test_completeness_is_replaced_and_not_mixed() -> None:
    declared = LEAST | {
        "required_partitions": ["dt", "hour"],
        "dq_rules": {"completeness": {"hour": {"start": "0", "end": "23"}}},
    }
    config = parse(declared, {}, {"dq_rules": {"completeness": {"dt": {"values": ["2024-07-01"]}}}})
    assert set(config.dq_rules.completeness) == {"dt"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"min_row": 1}, "min_row: unknown key in the input; known: source_bucket"),
        (
            {"processor_typ": "lambda"},
            "processor_typ: unknown key in the input; did you mean 'processor_type'?",
        ),
        ({"dq_rules": {"min_row": 1}}, "dq_rules: unknown key 'min_row'; said by the input"),
        ({"dq_rules": {"min_rows": "1000"}}, "dq_rules.min_rows: expected int, got str; said by the input"),
        (
            {"processor_type": "emr"},
            "processor_type: 'emr' is none of lambda, glue_pyspark, glue_sql, auto; said by the input",
        ),
        ({"expected_schema": "a"}, "expected_schema: expected list, got str; said by the input"),
        ({"expected_schema": ["a", "a"]}, "expected_schema: 'a' is named twice"),
        ({"source_bucket": ""}, "source_bucket: must not be empty"),
        (
            {"dq_rules": {"max_null_pct": 5}},
            "dq_rules.max_null_pct: 5 is no share between 0 and 1; 5 % is 0.05",
        ),
        (
            {"expected_schema": ["a"], "dq_rules": {"mandatory_columns": ["b"]}},
            "dq_rules.mandatory_columns: 'b' is not in expected_schema; add it there",
        ),
        (
            {"dq_rules": {"completeness": {"dt": {"values": ["2024-07-01"]}}}},
            "dq_rules.completeness.dt: 'dt' is not in required_partitions",
        ),
        (
            {
                "required_partitions": ["dt"],
                "dq_rules": {"completeness": {"dt": {"start": "2024-07-02", "end": "2024-07-01"}}},
            },
            "dq_rules.completeness.dt: the range ends (2024-07-01) before it starts (2024-07-02)",
        ),
        (
            {"required_partitions": ["dt"], "dq_rules": {"completeness": {"dt": {}}}},
            "dq_rules.completeness.dt: say either values, or start and end",
        ),
        (
            {
                "required_partitions": ["dt"],
                "dq_rules": {"completeness": {"dt": {"start": "monday", "end": "x"}}},
            },
            "dq_rules.completeness.dt: 'monday' is neither a day (2024-07-01) nor a number",
        ),
        ({"write_mode": "merge"}, "keys: merge needs the columns that identify a row"),
        ({"keys": ["a"]}, "keys: append has no use for keys; choose write_mode merge or scd2"),
        (
            {"write_mode": "overwrite_partitions"},
            "write_mode: overwrite_partitions needs required_partitions",
        ),
        (
            {"write_mode": "scd2", "keys": ["a"], "output_format": "csv"},
            "output_format: scd2 reads its own table again, which must be parquet",
        ),
        (
            {"table_format": "delta", "output_format": "json"},
            "output_format: a Delta table's files are parquet",
        ),
        (
            {"steps": [{"drop": ["a"], "filter": "b > 1"}]},
            "steps[0]: says drop and filter; a step says exactly one of rename, drop, cast, derive, filter",
        ),
        ({"steps": [{"filter": "b > 1", "by": ["b"]}]}, "steps[0].by: belongs to deduplicate"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse(LEAST, {}, given)
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)


def test_a_mistake_says_which_layer_made_it() -> None:
    with pytest.raises(ConfigError, match="said by the parameter"):
        parse(LEAST, {"threshold_bytes": "1 GB"}, {})
    with pytest.raises(ConfigError, match="target_bucket"):
        parse({"source_bucket": "landing"}, {}, {})


def test_every_combination_is_expected() -> None:
    rules = DqRules(
        completeness={
            "dt": Expected(start="2024-02-28", end="2024-03-01"),
            "hour": Expected(start="0", end="23"),
        }
    )
    found = combinations(rules)
    assert len(found) == 3 * 24
    assert found[0] == {"dt": "2024-02-28", "hour": "00"}
    assert found[-1] == {"dt": "2024-03-01", "hour": "23"}


def test_too_many_combinations_are_refused() -> None:
    days = Expected(start="1900-01-01", end="2100-01-01")
    with pytest.raises(ConfigError, match="combinations; at most 100,000 can be expected"):
        parse(
            LEAST
            | {
                "required_partitions": ["dt", "hour"],
                "dq_rules": {
                    "completeness": {
                        "dt": {"start": days.start, "end": days.end},
                        "hour": {"start": "0", "end": "23"},
                    }
                },
            }
        )
