"""DynamoDB's batches leave things undone, conditions fail: both are answers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from door_world import front_door

from aws_runtime.ingress import aws
from aws_runtime.ingress.aws import Change, moment, read_items, update, write_items


class Leaving:
    """A DynamoDB that does two of whatever it is asked for, and leaves the rest."""

    def __init__(self, does=2):
        self.does, self.asked, self.written = does, [], []

    def batch_get_item(self, RequestItems):  # noqa: N803 - boto3's name
        ((table, given),) = RequestItems.items()
        self.asked.append(len(given["Keys"]))
        rest = given["Keys"][self.does :]
        left = {table: {**given, "Keys": rest}} if rest else {}
        return {"Responses": {table: given["Keys"][: self.does]}, "UnprocessedKeys": left}

    def batch_write_item(self, RequestItems):  # noqa: N803 - boto3's name
        ((table, given),) = RequestItems.items()
        self.asked.append(len(given))
        self.written += [request["PutRequest"]["Item"] for request in given[: self.does]]
        rest = given[self.does :]
        return {"UnprocessedItems": {table: rest} if rest else {}}


@pytest.fixture
def pauses(monkeypatch):
    made = []
    monkeypatch.setattr(aws.time, "sleep", made.append)
    monkeypatch.setattr(aws.random, "uniform", lambda _, most: most)
    return made


ITEMS = [{"file_id": {"S": str(n)}} for n in range(7)]


def test_what_is_left_unread_is_asked_for_again(pauses):
    dynamodb = Leaving()
    assert read_items(dynamodb, "t", ITEMS) == ITEMS
    assert dynamodb.asked == [7, 5, 3, 1]
    assert pauses == [0.05, 0.1, 0.2]


def test_what_is_left_unwritten_is_written_again(pauses):
    dynamodb = Leaving()
    write_items(dynamodb, "t", ITEMS)
    assert dynamodb.written == ITEMS
    assert dynamodb.asked == [7, 5, 3, 1]
    assert pauses == [0.05, 0.1, 0.2]


@pytest.mark.parametrize("call", [read_items, write_items])
def test_who_leaves_everything_for_ever_is_an_error(pauses, call):
    with pytest.raises(TimeoutError, match="t: DynamoDB left a part undone 8 times"):
        call(Leaving(does=0), "t", ITEMS)
    assert pauses == [0.05 * 2**n for n in range(7)]


def test_many_are_asked_for_in_the_largest_batches_that_dynamodb_takes(pauses):
    dynamodb = Leaving(does=1000)
    many = [{"file_id": {"S": str(n)}} for n in range(130)]
    assert len(read_items(dynamodb, "t", many)) == 130
    write_items(dynamodb, "t", many)
    assert dynamodb.asked == [100, 30, 25, 25, 25, 25, 25, 5]
    assert not pauses


def test_an_update_is_all_or_nothing(account):
    key = {"date": {"S": "d"}, "batch": {"N": "1"}}
    with front_door("batches") as door:

        def change(change):
            return update(door.clients.dynamodb, "batches", key, change)

        made = change(Change(sets={"status": {"S": "open"}, "files": {"M": {}}}, adds={"bytes": 3}))
        assert made == {**key, "status": {"S": "open"}, "files": {"M": {}}, "bytes": {"N": "3"}}
        grown = Change(
            sets={"files.0a": {"S": "x"}},
            adds={"bytes": 2},
            equal={"status": {"S": "open"}, "files.0a": None},
            below={"bytes": 4},
        )
        assert change(grown)["files"] == {"M": {"0a": {"S": "x"}}}
        assert change(grown) is None  # 0a is there
        more = Change(adds={"bytes": 2}, below={"bytes": 4})
        assert change(more) is None  # 5 are there
        assert change(Change(removes=("files",), equal={"status": {"S": "closed"}})) is None
        assert "files" not in change(Change(removes=("files",), equal={"status": {"S": "open"}}))


def test_times_as_text_are_ordered_as_times():
    noon = datetime(2025, 1, 17, 12, tzinfo=UTC)
    assert moment(noon) == "2025-01-17T12:00:00.000Z"
    assert moment(noon + timedelta(milliseconds=7, microseconds=9)) == "2025-01-17T12:00:00.007Z"
    assert moment(noon.astimezone(timezone(timedelta(hours=5)))) == "2025-01-17T12:00:00.000Z"
