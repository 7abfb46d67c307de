"""Messages of a queue: what S3 and EventBridge write, and what nobody should."""

import json

import pytest
from door_world import arrivals, notification, queue_event
from hypothesis import given
from hypothesis import strategies as st

from aws_runtime.events import S3Object
from aws_runtime.identity import FileIdentity
from aws_runtime.ingress.notifications import (
    BadNotificationError,
    distinct,
    failures,
    matches,
    parse,
    read_deliveries,
)

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
S3_RECORD = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "eu-west-1",
    "eventTime": "2025-01-17T10:15:02.123Z",
    "eventName": "ObjectCreated:CompleteMultipartUpload",
    "s3": {
        "s3SchemaVersion": "1.0",
        "bucket": {"name": "input", "arn": "arn:aws:s3:::input"},
        "object": {
            "key": "pipeline/input/a+b%2Bc/%C3%BC%25.ndjson",
            "size": 12,
            "eTag": "d41d8cd98f00b204e9800998ecf8427e-2",
            "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
            "sequencer": "0055AED6DCD90281E5",
        },
    },
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
BUS_EVENT = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "time": "2025-01-17T10:15:02Z",
    "detail": {
        "version": "0",
        "bucket": {"name": "input"},
        "object": {
            "key": "pipeline/input/a+b%2Bc.ndjson",
            "size": 5,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            "sequencer": "617f08299329d189",
        },
        "reason": "PutObject",
    },
}


def body(*records):
    return json.dumps({"Records": list(records)})


def changed(**item):
    return S3_RECORD | {"s3": S3_RECORD["s3"] | {"object": S3_RECORD["s3"]["object"] | item}}


def test_a_notification_of_s3():
    (arrival,), ignored = parse(body(S3_RECORD))
    assert ignored == ()
    assert arrival.key == "pipeline/input/a b+c/ü%.ndjson"
    assert (arrival.bucket, arrival.size, arrival.event_time) == ("input", 12, "2025-01-17T10:15:02.123Z")
    assert arrival.identity.file_id == "input/pipeline/input/a b+c/ü%.ndjson#096fKKXTRTtl3on89fVO.nfljtsv6qko"


def test_an_event_of_the_bus_has_its_key_as_it_is():
    (arrival,), _ = parse(json.dumps(BUS_EVENT))
    assert arrival.key == "pipeline/input/a+b%2Bc.ndjson"
    assert arrival.version_id == "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"


@pytest.mark.parametrize("version", [None, "null", ""])
def test_without_versions_the_etag_identifies(version):
    (arrival,), _ = parse(body(changed(versionId=version)))
    assert arrival.version_id is None
    assert arrival.identity.version == "d41d8cd98f00b204e9800998ecf8427e-2"


@given(st.text(min_size=1), st.none() | st.sampled_from(["null", "v1"]), st.none() | st.just('"e1"'))
def test_an_identity_is_the_same_at_the_door_and_in_a_step(key, version, etag):
    item = S3Object("b", key, version, etag)
    assert FileIdentity.of("b", key, version, etag) == item.identity


@pytest.mark.parametrize(
    ("given", "ignored"),
    [
        (
            json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "input"}),
            "test event of S3",
        ),
        (body(S3_RECORD | {"eventName": "ObjectRemoved:Delete"}), "ObjectRemoved:Delete of"),
        (json.dumps(BUS_EVENT | {"detail-type": "Object Deleted"}), "Object Deleted of"),
        (body(changed(key="pipeline/input/folder/", size=0)), "folder pipeline/input/folder/"),
    ],
)
def test_what_tells_of_no_file_is_ignored_with_a_reason(given, ignored):
    found, reasons = parse(given)
    assert found == ()
    assert reasons[0].startswith(ignored)


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        "",
        "hello",
        "[]",
        "3",
        "null",
        "{}",
        json.dumps({"Records": []}),
        json.dumps({"Records": [{}]}),
        json.dumps({"Records": "no"}),
        body({**S3_RECORD, "eventTime": "yesterday"}),
        body({**S3_RECORD, "eventTime": "2025-01-17T10:15:02"}),
        body(changed(key="")),
        body(changed(key=7)),
        body(changed(size="much")),
        body(changed(size=-1)),
        body(changed(key="k" * 1025)),
        body(changed(eTag=None, versionId=None)),
        json.dumps(BUS_EVENT).replace("a+b%2Bc", "\\ud800"),
    ],
)
def test_garbage_is_one_bad_message(garbage):
    with pytest.raises(BadNotificationError, match=r"not a notification|not JSON|without records"):
        parse(garbage)


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_any_json_is_read_or_refused_by_name(value):
    with pytest.raises(BadNotificationError):
        parse(json.dumps(value))


def test_a_message_of_several_records_fails_with_any_of_them():
    one, two = arrivals(2)
    merged = json.loads(notification(one))["Records"] + json.loads(notification(two))["Records"]
    deliveries = read_deliveries(queue_event([json.dumps({"Records": merged}), notification(one), "garbage"]))
    assert [len(delivery.arrivals) for delivery in deliveries] == [2, 1, 0]
    assert list(distinct(deliveries)) == [one.identity.file_id, two.identity.file_id]
    failed = failures(deliveries, {two.identity.file_id: "why"})
    assert failed == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": [{"body": "x"}]}, {"detail": {}}])
def test_what_is_no_event_of_a_queue_is_an_error(event):
    with pytest.raises(ValueError, match="event of SQS"):
        read_deliveries(event)


def test_suffixes():
    assert matches("a.csv", ())
    assert matches("a.csv", (".csv", ".tsv"))
    assert not matches("a.CSV", (".csv",))
