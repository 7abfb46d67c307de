"""One file, one name, whatever its key and however often its event comes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_runtime.events import S3Object
from aws_runtime.identity import (
    FileIdentity,
    combined_digest,
    decode_notification_key,
    parse_event_time,
    source_digest,
    stem,
)


def test_stem_of_a_known_file():
    # printf 'landing/orders/a.json#v1' | sha256sum
    identity = FileIdentity("landing", "orders/a.json", "v1")
    assert identity.file_id == "landing/orders/a.json#v1"
    assert (
        stem(parse_event_time("2025-01-17T10:15:02Z"), identity.digest) == "20250117T101502Z-83d3c489d68fefa7"
    )


def test_the_source_of_a_known_file_has_no_version():
    # printf 'landing/orders/a.json' | sha256sum
    assert source_digest("landing", "orders/a.json") == "bd0a7f1d6230db66"


def test_the_same_instant_in_any_zone_is_one_name():
    utc = datetime(2025, 1, 17, 23, 30, tzinfo=UTC)
    assert stem(utc, "x") == stem(utc.astimezone(timezone(timedelta(hours=9))), "x") == "20250117T233000Z-x"


def test_a_time_without_zone_names_nothing():
    with pytest.raises(ValueError, match="zone"):
        parse_event_time("2025-01-17T10:15:02")
    with pytest.raises(ValueError, match="zone"):
        stem(datetime(2025, 1, 17), "x")  # noqa: DTZ001 - the fault under test


parts = st.text(st.characters(), min_size=1, max_size=12)
identities = st.builds(
    FileIdentity,
    st.from_regex(r"[a-z0-9.-]{3,8}", fullmatch=True),
    parts,
    st.from_regex(r"[\w.]{0,6}", fullmatch=True),
)


@given(identities, identities)
def test_different_files_have_different_ids(one, other):
    assert (one == other) == (one.file_id == other.file_id) == (one.digest == other.digest)


@given(st.lists(identities, min_size=1, max_size=5), st.randoms())
def test_a_set_of_files_has_one_digest_in_any_order(files, random):
    digests = [file.digest for file in files]
    shuffled = [*digests, digests[0]]
    random.shuffle(shuffled)
    assert combined_digest(digests) == combined_digest(shuffled)
    if len(set(digests)) == 1:
        assert combined_digest(digests) == digests[0]


def test_no_file_has_no_name():
    with pytest.raises(ValueError, match="identity"):
        combined_digest([])


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("orders/a+b.json", "orders/a b.json"),
        ("orders/a%2Bb.json", "orders/a+b.json"),
        ("dt%3D2025-01-17/%C3%BC.json", "dt=2025-01-17/ü.json"),
        ("a%252Fb", "a%2Fb"),
    ],
)
def test_notification_keys_are_decoded_once(encoded, key):
    assert decode_notification_key(encoded) == key


@pytest.mark.parametrize(
    ("named", "version"),
    [
        ({"version_id": "v1", "etag": "e"}, "v1"),
        ({"version_id": "null", "etag": "e"}, "e"),
        ({"version_id": "", "etag": '"e"'}, "e"),
        ({"etag": "e"}, "e"),
        ({}, ""),
    ],
)
def test_the_version_or_else_the_etag_identifies(named, version):
    assert S3Object("b", "k", **named).identity == FileIdentity("b", "k", version)
