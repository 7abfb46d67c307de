"""Whatever three documents say, a run is told a configuration or one line with the key; nothing is touched."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import curation_world as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime import storage
from aws_runtime.curation.config import LAYERS, Config, ConfigError
from aws_runtime.curation.job import Job, open_job

KEYS = [field.name for field in fields(Config)]
COLUMNS = ["order_id", "amount", "dt", "region"]


def opened(declared: dict[str, Any], parameter: dict[str, Any] | None, given: Any, **told: Any) -> Job:
    document = {**world.DOCUMENT["defaults"], **declared}
    text = None if parameter is None else json.dumps(parameter)
    job, _ = open_job(
        world.event(given), world.told(defaults=document, **told), world.ENVIRONMENT, lambda _name: text
    )
    return job


NAMES = st.sampled_from([*COLUMNS, "x", "", "a/b", "Dt", "a\nb", "_", "..", "é"])
TEXTS = st.one_of(
    NAMES, st.text(max_size=8), st.sampled_from(["landing", "curated", "merge", "delta", "csv", "auto"])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
EXPECTED = st.fixed_dictionaries(
    {},
    optional={
        "values": st.lists(TEXTS, max_size=3),
        "start": st.sampled_from(["", "0", "7", "2024-07-01", "2024-13-45", "monday", "9" * 5000]),
        "end": st.sampled_from(["", "3", "99999999999", "2024-07-31", "1900-01-01"]),
        "width": st.sampled_from([-1, 0, 2, 10**9]),
    },
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "min_rows": st.one_of(st.integers(), VALUES),
        "max_null_pct": st.one_of(st.floats(), VALUES),
        "max_null_pct_by_column": st.one_of(st.dictionaries(NAMES, st.floats(), max_size=2), VALUES),
        "mandatory_columns": st.one_of(st.lists(NAMES, max_size=3), VALUES),
        "completeness": st.one_of(st.dictionaries(NAMES, EXPECTED, max_size=2), VALUES),
    },
)
SQL = st.sampled_from(
    ["amount > 1", "amount >", "(" * 200 + "1" + ")" * 200, "drop table x", "a.b.c", "", "1 +\n'x"]
)
STEP = st.fixed_dictionaries(
    {},
    optional={
        "filter": st.one_of(SQL, VALUES),
        "derive": st.one_of(st.dictionaries(NAMES, SQL, max_size=2), VALUES),
        "cast": st.one_of(
            st.dictionaries(NAMES, st.sampled_from(["int64", "decimal(12,2)", "x"]), max_size=2), VALUES
        ),
        "rename": st.dictionaries(NAMES, NAMES, max_size=2),
        "drop": st.lists(NAMES, max_size=2),
        "deduplicate": st.lists(NAMES, max_size=2),
        "by": st.lists(NAMES, max_size=2),
    },
)
LISTS = st.lists(NAMES, max_size=4)
LAYER: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "dq_rules": st.one_of(RULES, VALUES),
            "steps": st.one_of(st.lists(STEP, max_size=2), VALUES),
            **{key: st.one_of(LISTS, VALUES) for key in ("expected_schema", "required_partitions", "keys")},
            **{
                key: st.one_of(TEXTS, VALUES)
                for key in (
                    "dataset",
                    "drift",
                    "processor_type",
                    "output_format",
                    "table_format",
                    "write_mode",
                )
            },
            "threshold_bytes": VALUES,
        },
    ),
    st.dictionaries(st.one_of(st.sampled_from(KEYS), TEXTS), VALUES, max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(declared=LAYER, parameter=st.one_of(st.none(), LAYER), given_input=st.one_of(LAYER, VALUES))
def test_any_documents_make_a_configuration_or_one_line(
    declared: dict[str, Any], parameter: dict[str, Any] | None, given_input: Any
) -> None:
    storage.s3.cache_clear()  # nothing may call AWS: there is none here
    said = ""
    try:
        job = opened(declared, parameter, given_input)
    except ConfigError as error:
        said = str(error)
        assert said
        assert "\n" not in said
        assert len(said) <= 1_000
        assert ":" in said or said.startswith("the parameter")
    if not said:
        assert isinstance(job.config, Config)
        assert job.config.source_bucket == world.LANDING


def _said(given_input: dict[str, Any], **told: Any) -> str:
    with pytest.raises(ConfigError) as found:
        opened({}, None, given_input, **told)
    return str(found.value)


WRONG: dict[str, Any] = {
    "source_bucket": 1, "target_bucket": [], "dataset": {}, "expected_schema": "a", "required_partitions": {"dt": 1},
    "drift": "loose", "dq_rules": [], "processor_type": 3, "threshold_bytes": "1 GB", "steps": {}, "output_format": "xml",
    "table_format": "iceberg", "write_mode": "upsert", "keys": "id", "schema_evolution": "drop", "partition_projection": 1,
}  # fmt: skip


@pytest.mark.parametrize("layer", range(3), ids=LAYERS)
@pytest.mark.parametrize("key", KEYS)
def test_a_wrong_type_names_the_key_and_the_layer(key: str, layer: int) -> None:
    layers: list[dict[str, Any]] = [{}, {}, {}]
    layers[layer] = {key: WRONG[key]}
    with pytest.raises(ConfigError) as found:
        opened(layers[0], layers[1], layers[2])
    assert str(found.value).startswith(f"{key}: ")
    assert LAYERS[layer] in str(found.value)


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (
            ({"dq_rules": {"min_rows": -1}}, {"dq_rules": {"max_null_pct": 0.1}}, {}),
            "said by the declaration",
        ),
        (({"dq_rules": {"min_rows": -1}}, {"dq_rules": {"min_rows": -2}}, {}), "said by the parameter"),
        (({}, {"dq_rules": {"min_rows": 1}}, {"dq_rules": {"min_row": 1}}), "said by the input"),
        (({"dq_rules": {"min_row": 1}}, {"dq_rules": {"min_rows": 1}}, {}), "said by the parameter"),
        (({"keys": ["order_id"]}, {}, {}), "choose write_mode merge or scd2; said by the declaration"),
    ],
)
def test_the_strongest_layer_that_says_a_key_is_named(documents: tuple[Any, Any, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        opened(*documents)


@pytest.mark.parametrize(
    ("given_input", "said"),
    [
        (
            {"expected_schema": ["amount", "dt"]},
            "expected_schema: lacks order_id, without which Order has no rows; add it there",
        ),
        (
            {"expected_schema": ["order_id"], "required_partitions": ["dt"]},
            "expected_schema: lacks region, without which Order has no rows",
        ),
        ({"required_partitions": ["dt", "a/b"]}, "required_partitions: 'a/b' is no name of a partition column"),
        (
            {"dq_rules": {"mandatory_columns": ["oder_id"]}},
            "dq_rules.mandatory_columns: 'oder_id' is no column of the curated rows; there are amount, dt, order_id, region",
        ),
        (
            {"dq_rules": {"max_null_pct_by_column": {"x": 0.5}}},
            "dq_rules.max_null_pct_by_column: 'x' is no column of the curated rows",
        ),
        (
            {
                "required_partitions": ["dt", "region", "hour"],
                "dq_rules": {"completeness": {"hour": {"values": ["00"]}}},
            },
            "dq_rules.completeness.hour: the curated files are partitioned by dt, region",
        ),
        (
            {"dq_rules": {"completeness": {"dt": {"start": "0", "end": "3", "width": 10**9}}}},
            "dq_rules.completeness.dt: a width of 1000000000 digits; at most 20",
        ),
        ({"dataset": "_taken"}, "dataset: '_taken' is no name"),
        ({"dataset": ".."}, "dataset: '..' is no name"),
        ({"dataset": "a b"}, "dataset: 'a b' is no name"),
        ({"dataset": ""}, "dataset: '' is no name"),
        ({"dataset": "x" * 101}, "dataset: 'xxx"),
    ],
)  # fmt: skip
def test_what_cannot_come_true_is_refused(given_input: dict[str, Any], said: str) -> None:
    assert _said(given_input).startswith(said)


def test_a_destination_without_partitions_has_none_to_overwrite() -> None:
    said = _said({"write_mode": "overwrite_partitions", "required_partitions": ["dt"]}, partition_by=[])
    assert said.startswith("write_mode: overwrite_partitions needs a destination with partitions")


def test_a_parameter_keeps_to_its_dataset() -> None:
    with pytest.raises(ConfigError, match="dataset: the parameter of 'orders' cannot name another one"):
        opened({}, {"dataset": "returns"}, {})
    assert opened({}, {"dataset": "orders"}, {}).config.dataset == "orders"


def test_a_wrong_dataset_is_refused_before_its_parameter_is_asked_for() -> None:
    def asked(name: str) -> str:
        raise AssertionError(name)

    with pytest.raises(ConfigError, match="dataset: "):
        open_job(world.event({"dataset": "a b"}), world.told(), world.ENVIRONMENT, asked)


@pytest.mark.parametrize(
    "detail",
    [
        {"object": {"key": "orders/a"}},
        {"object": "a", "bucket": {"name": world.LANDING}},
        {"object": {"key": "orders/a"}, "bucket": world.LANDING},
        {"object": {}, "bucket": {"name": world.LANDING}},
        {"object": {"key": 3}, "bucket": {"name": world.LANDING}},
        {"object": {"key": "orders/a", "size": "3"}, "bucket": {"name": world.LANDING}},
    ],
)
def test_an_event_that_is_none_is_refused(detail: dict[str, Any]) -> None:
    assert _said({"detail": detail}).startswith("input: an event of S3")
