"""Contracts survive JSON; what is not a contract is refused with the path at fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.contract import Column, Contract, DataType, Drift, Field, Rule, Severity, fingerprint

NAMES = st.text(min_size=1, max_size=8)
PLAIN = ["string", "boolean", "int8", "int64", "uint64", "float32", "float64", "date", "binary"]
LEAVES = (
    st.sampled_from(PLAIN).map(DataType)
    | st.builds(DataType, st.just("decimal"), precision=st.integers(1, 38), scale=st.integers(0, 38))
    | st.builds(DataType, st.just("timestamp"), timezone=st.none() | st.sampled_from(["UTC", "Asia/Tokyo"]))
)
TYPES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(DataType, st.just("list"), item=inner)
        | st.builds(
            DataType,
            st.just("struct"),
            fields=st.lists(st.builds(Field, NAMES, inner), min_size=1, max_size=3).map(tuple),
        )
    ),
    max_leaves=6,
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
RULES = st.builds(
    Rule,
    NAMES,
    NAMES,
    args=st.dictionaries(NAMES, JSON, max_size=3),
    severity=st.sampled_from(Severity),
    ignore_na=st.booleans(),
)
COLUMNS = st.builds(
    Column,
    NAMES,
    TYPES,
    nullable=st.booleans(),
    unique=st.booleans(),
    required=st.booleans(),
    coerce=st.booleans(),
    rules=st.lists(RULES, max_size=2).map(tuple),
    description=st.text(max_size=5),
    default=JSON,
)
CONTRACTS = st.builds(
    Contract,
    NAMES,
    st.lists(COLUMNS, max_size=3).map(tuple),
    unique=st.lists(st.lists(NAMES, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    drift=st.sampled_from(Drift),
    description=st.text(max_size=5),
)


@settings(max_examples=100, deadline=None)
@given(CONTRACTS)
def test_a_contract_survives_json(contract: Contract) -> None:
    said = json.loads(json.dumps(contract.to_json()))
    read = Contract.from_json(said)
    assert read == contract
    # 1 == True in Python, but not in JSON: the second writing must be the first.
    assert json.dumps(read.to_json()) == json.dumps(said)
    assert fingerprint(read) == fingerprint(contract)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"columns": []}, "Contract: missing key 'name'"),
        ({"name": "A", "columns": [], "colour": 1}, "Contract: unknown key 'colour'"),
        ({"name": "A", "columns": {}}, "columns: expected list, got dict"),
        ({"name": 1, "columns": []}, "name: expected str, got int"),
        (
            {"name": "A", "columns": [], "drift": "loose"},
            "drift: 'loose' is none of strict, reorder, evolve, permissive",
        ),
        ({"name": "A", "columns": [{"name": "x", "type": {}}]}, "columns[0].type: missing key 'name'"),
        (
            {"name": "A", "columns": [{"name": "x", "type": {"name": "int8"}, "nullable": 1}]},
            "columns[0].nullable: expected bool, got int",
        ),
        (
            {"name": "A", "columns": [{"name": "x", "type": {"name": "decimal", "precision": True}}]},
            "columns[0].type.precision: expected int, got bool",
        ),
        ([], "document: expected dict, got list"),
    ],
)
def test_what_is_no_contract_is_refused_with_its_path(data: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Contract.from_json(data)
    assert str(error.value) == message


def test_the_fingerprint_follows_rules_and_not_prose() -> None:
    def made(**change: Any) -> str:
        return fingerprint(Contract("A", (Column("x", DataType("int64"), **change),)))

    assert made() == made(description="Number of pieces")
    assert len({made(), made(nullable=True), made(default=0), made(rules=(Rule("x.r", "isin"),))}) == 4
