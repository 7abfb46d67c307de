"""Portable patterns are found in the same texts as by Polars; others are refused."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.engines.duckdb_dialect import DUCKDB
from ingestion_assets.portable_regex import PortabilityError, portable

ATOMS = [
    r"\d",
    r"\D",
    r"\w",
    r"\W",
    r"\s",
    r"\S",
    ".",
    "a",
    "é",
    "[a-c]",
    "[^a-c]",
    r"[\s\d]",
    r"[^\d_]",
    r"[\d\S]",
    r"[^\W]",
    r"[a\D]",
    r"\.",
]
TEXTS = st.text(st.sampled_from("abc 1٣é_.\n\t\r\u2028\u00a0日x"), max_size=6)
PIECES = st.tuples(
    st.sampled_from(ATOMS), st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "+?"])
).map("".join)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    branches = draw(st.lists(st.lists(PIECES, min_size=1, max_size=4).map("".join), min_size=1, max_size=2))
    body = draw(st.sampled_from(["{}", "({})", "(?:{})", "(?P<n>{})+"])).format("|".join(branches))
    return draw(st.sampled_from(["", "^"])) + body + draw(st.sampled_from(["", "$"]))


@settings(max_examples=100, deadline=None)
@given(patterns(), st.lists(TEXTS, min_size=20, max_size=60))
def test_a_portable_pattern_is_found_where_polars_finds_it(pattern: str, texts: list[str]) -> None:
    expected = pl.Series(texts).str.contains(pattern).to_list()
    with duckdb.connect() as connection:
        sql = DUCKDB.matches("x", portable(pattern))
        found = connection.execute(
            f"SELECT {sql} FROM (SELECT unnest(?::VARCHAR[]) AS x)", [texts]
        ).fetchall()
    assert [hit for (hit,) in found] == expected


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("(?i)a", "flag"),
        ("(?i:a)b", "flag"),
        ("a(?=b)", "look-around"),
        (r"(a)\1", "backreferences"),
        (r"\bfoo", "word boundary"),
        ("[a&&b]", "set intersection"),
        ("[[a]b]", "nested set"),
        (r"[^\dx\S]", "negated class"),
        ("a{1001}", "repeat"),
        ("a(", "unterminated"),
        (r"\Z", "unrecognized escape"),
    ],
)
def test_what_engines_read_differently_is_refused(pattern: str, part: str) -> None:
    with pytest.raises(PortabilityError, match=part):
        portable(pattern)
