"""Ids and names: stable, within AWS's limits, different for different things."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from asl.names import function_id, logical_id, shortened, state_name

PLAIN = st.from_regex(r"[a-z]{1,8}(_[a-z0-9]{1,8}){0,3}", fullmatch=True)


def test_released_ids_never_change():
    assert logical_id("Function", "orders_etl", "order_lines") == "OrdersEtlOrderLinesFunction"
    assert function_id("orders_etl", "v_2") == "OrdersEtlV24f475317Function"
    assert state_name("x" * 90) == "x" * 71 + "-" + shortened("x" * 90, 80)[-8:]


@given(st.text(min_size=1, max_size=300))
def test_ids_are_what_cloudformation_takes(name):
    found = logical_id("Bucket", name)
    assert re.fullmatch(r"[A-Za-z0-9]{1,255}", found)
    assert found.endswith("Bucket")


@given(PLAIN, PLAIN)
def test_different_names_have_different_ids(one, other):
    assert (logical_id("Function", one) == logical_id("Function", other)) == (one == other)


@given(st.text(max_size=200), st.integers(20, 100))
def test_shortening_keeps_short_names_and_tells_long_ones_apart(name, limit):
    found = shortened(name, limit)
    assert len(found) <= limit
    assert (found == name) == (len(name) <= limit)
    assert shortened(name + "x" * limit, limit) != shortened(name + "y" * limit, limit)
