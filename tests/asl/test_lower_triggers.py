"""Machines of every trigger and of `auto`, run: the right processor, and bookkeeping that DynamoDB takes."""

from __future__ import annotations

from dataclasses import replace

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from asl.emit.state_machine import definition
from asl.emit.templates.tables import table as table_template
from asl.front_door import BATCH_KEY, FILE_KEY, STATUS_KEY
from asl.ir import Task
from asl.lower import lower_pipeline
from asl.resources import Table
from asl.states import walk
from aws_runtime.ingress.aws import put_new
from aws_runtime.ingress.notifications import Arrival
from ingestion_assets import S3Batches, S3Event, S3Queue
from tests.asl.generated import THRESHOLD, TRIGGERS, closure, dags, pipeline_of
from tests.asl.interpreter import StatesError, execute
from tests.asl.world import BATCH, EVENT, FILE_ID, KEY, MANIFEST, World, input_of, run

EXPECTED = {
    S3Event: ["started", "completed"],
    S3Queue: ["done"],
    S3Batches: ["processing", "completed"],
}
QUEUE, BATCHES = S3Queue("files"), S3Batches("files")


@given(
    dags(most=6),
    st.sampled_from(TRIGGERS),
    st.sets(st.integers(0, 5)),
    st.sampled_from((1, 1000, 1001, 10**12)),
)
@settings(max_examples=60, deadline=None)
def test_every_asset_runs_once_on_the_processor_that_its_files_size_chooses(dag, trigger, decided, size):
    auto = frozenset(asset for asset in dag if int(asset[1:]) in decided)
    execution, world = run(pipeline_of(dag, auto=auto, trigger=trigger), size=size)
    assert execution.status == "SUCCEEDED", execution.cause
    assert sorted(world.ran) == sorted(dag)
    position = {asset: index for index, asset in enumerate(world.ran)}
    assert all(position[earlier] < position[later] for earlier, later in closure(dag))
    assert world.tracked() == EXPECTED[type(trigger)]
    jobs = {world.jobs[call["JobName"]] for call in world.asked("glue:startJobRun.sync")}
    assert jobs == (auto if size > THRESHOLD else set())


@given(dags(most=6), st.sets(st.integers(0, 5)))
@settings(max_examples=30, deadline=None)
def test_definitions_of_every_trigger_pass_every_check(dag, decided):
    from asl.checks.machines import check_machine  # noqa: PLC0415 - slow to import

    auto = frozenset(asset for asset in dag if int(asset[1:]) in decided)
    for trigger in TRIGGERS:
        machine = definition(lower_pipeline(pipeline_of(dag, auto=auto, trigger=trigger)))
        assert list(check_machine("generated", machine.definition, machine.substitutions)) == []


def test_a_batch_is_handed_on_as_its_manifest_and_downstream_as_the_run():
    _, world = run(pipeline_of({"a": [], "b": ["a"]}, trigger=BATCHES))
    assert world.events["a"] == {
        "execution": "run-1",
        "event_time": "2025-01-17T10:15:02.123Z",
        "inputs": {"files": {"manifest": MANIFEST}},
    }
    assert world.events["b"]["inputs"] == {"a": {"record": "s3://lake/_runs/a/run-1.json"}}


def test_a_batch_with_rejected_files_completes_and_tells_the_topic():
    pipeline = pipeline_of({"a": [], "b": []}, trigger=BATCHES)
    world = World(pipeline)
    # Two assets read the same files; one file is too bad for either.
    world.lost = {"a": {"d1": "MalformedJson", "d2": "Empty"}, "b": {"d2": "Empty"}}
    execution = execute(definition(lower_pipeline(pipeline)).definition, BATCH, world)
    assert execution.status == "SUCCEEDED"
    assert execution.output["files_rejected"] == 2
    assert execution.output["files_superseded"] == 1
    assert set(execution.output["quarantined"]) == {"d1", "d2"}
    (told,) = world.asked("sns:publish")
    assert told["Subject"] == "generated: 2 files rejected"
    assert "2025-01-17/3" in told["Message"]
    assert "MalformedJson" in told["Message"]
    assert len(world.asked("events:putEvents")) == 1


def test_a_batch_without_rejected_files_tells_nobody():
    execution, world = run(pipeline_of({"a": []}, trigger=BATCHES))
    assert execution.output["files_rejected"] == 0
    assert not world.asked("sns:publish")


def test_a_topic_that_cannot_be_reached_fails_no_batch():
    pipeline = pipeline_of({"a": []}, trigger=BATCHES)
    world = World(pipeline, failing={"Alert of rejected files"})
    world.lost = {"a": {"d1": "MalformedJson"}}
    execution = execute(definition(lower_pipeline(pipeline)).definition, BATCH, world)
    assert execution.status == "SUCCEEDED"
    assert world.tracked() == ["processing", "completed"]


NESTED = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
FAILURE_PATH = {"Track rejection", "Track failure", "Alert", "Alert of rejected files"}


def tasks(trigger):
    pipeline = pipeline_of(NESTED, auto=frozenset("ab"), trigger=trigger)
    return [
        visit.state.name for visit in walk(lower_pipeline(pipeline).states) if isinstance(visit.state, Task)
    ]


@pytest.mark.parametrize(
    ("trigger", "failing"),
    [(trigger, name) for trigger in (QUEUE, BATCHES) for name in tasks(trigger) if name not in FAILURE_PATH],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_whatever_fails_is_tracked_and_alerted(trigger, failing):
    on_glue = failing.endswith(" on Glue") or failing.startswith("Read the run")
    pipeline = pipeline_of(NESTED, auto=frozenset("ab"), trigger=trigger)
    execution, world = run(pipeline, size=THRESHOLD + on_glue, failing={failing})
    assert (execution.status, execution.error) == ("FAILED", "RunFailed")
    assert world.tracked()[-1] == "failed"
    assert len(world.asked("sns:publish")) == 1


#: What every item of a file says of it.
TOLD = {
    "pipeline": "generated",
    "bucket": "stack-landing-123456789012",
    "key": KEY,
    "etag": "e7a9",
    "size": "12",
    "event_time": "2025-01-17T10:15:02Z",
    "sequencer": "0066F7C1D2",
    "version": "v.1",
    "execution_arn": "arn:aws:states:eu-west-1:123456789012:execution:machine:run-1",
}


class Database:
    """One table of a pipeline's template, in moto; the machine's updates go there."""

    def __init__(self, world: World, keys, *, live: bool) -> None:
        self.client = boto3.client("dynamodb", region_name="eu-west-1")
        properties = table_template(Table("T", keys, "p", live=live))["T"]["Properties"]
        wanted = ("AttributeDefinitions", "BillingMode", "KeySchema", "GlobalSecondaryIndexes")
        self.client.create_table(
            TableName="T", **{name: properties[name] for name in wanted if name in properties}
        )
        world.on_dynamodb_updateitem = self.update

    def update(self, arguments):
        try:
            self.client.update_item(**{**arguments, "TableName": "T"})
        except self.client.exceptions.ConditionalCheckFailedException as error:
            raise StatesError("DynamoDB.ConditionalCheckFailedException", str(error)) from error
        return {}

    def item(self) -> dict:
        (item,) = self.client.scan(TableName="T")["Items"]
        return {name: next(iter(value.values())) for name, value in item.items()}

    def live(self) -> list[str]:
        items = self.client.scan(TableName="T", IndexName="live")["Items"]
        return [item["live"]["S"] for item in items]


@pytest.fixture
def moto(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def played(trigger, keys, prepare=lambda database: None, **how):
    """Run a machine whose updates go to a real table, after `prepare` has filled that."""
    pipeline = pipeline_of({"a": []}, trigger=trigger)
    world = World(pipeline, **how)
    database = Database(world, keys, live=True)
    prepare(database)
    execution = execute(definition(lower_pipeline(pipeline)).definition, input_of(pipeline), world)
    return execution, database, world


@pytest.mark.usefixtures("moto")
class TestFiles:
    """`S3Event` and `S3Queue`: a file's item."""

    def test_an_event_machine_tracks_a_file_that_nobody_tracked(self):
        _, database, _ = played(S3Event("files"), FILE_KEY)
        item = database.item()
        assert item["file_id"] == FILE_ID
        assert item["status"] == "completed"
        assert {name: item[name] for name in TOLD} == TOLD
        assert database.live() == []

    def test_an_event_machine_that_dies_leaves_its_file_live(self):
        _, database, _ = played(S3Event("files"), FILE_KEY, failing={"Materialize a", "Track failure"})
        assert (database.item()["status"], database.live()) == ("started", ["open"])

    @pytest.mark.parametrize(("trigger", "keys"), [(S3Event("files"), FILE_KEY), (QUEUE, STATUS_KEY)])
    def test_a_failed_file_is_live_as_failed_and_a_rejected_one_is_not(self, trigger, keys):
        _, database, _ = played(trigger, keys, failing={"Materialize a"})
        assert (database.item()["status"], database.live()) == ("failed", ["failed"])
        assert database.item()["reason"]["code"] == {"S": "Service.Broken"}
        database.client.delete_table(TableName="T")
        _, database, _ = played(trigger, keys, rejecting="a")
        assert (database.item()["status"], database.live()) == ("rejected", [])
        assert database.item()["reason"]["code"] == {"S": "MalformedJson"}

    def test_the_orchestrators_start_is_kept(self):
        def started(database):
            row = {
                "file_id": {"S": KEY},
                "version": {"S": "v.1"},
                "status": {"S": "started"},
                "start_time": {"S": "2025-01-17T10:15:01.000Z"},
                "live": {"S": "open"},
                "live_since": {"S": "2025-01-17T10:15:01.000Z"},
            }
            assert put_new(database.client, "T", row, "file_id")

        _, database, _ = played(QUEUE, STATUS_KEY, started)
        item = database.item()
        assert item["status"] == "done"
        assert item["start_time"] == "2025-01-17T10:15:01.000Z"
        assert item["finish_time"] > item["start_time"]
        assert database.live() == []

    def test_a_machine_that_is_quicker_than_the_orchestrator_writes_the_whole_row(self):
        _, database, _ = played(QUEUE, STATUS_KEY)
        item = database.item()
        assert item["file_id"] == KEY
        assert {name: item[name] for name in TOLD} == TOLD
        assert item["start_time"] == "2025-01-17T10:15:03.000Z"
        late = {"file_id": {"S": KEY}, "version": {"S": "v.1"}, "status": {"S": "started"}}
        assert not put_new(database.client, "T", late, "file_id")

    def test_the_key_is_the_identity_that_the_orchestrator_knows(self):
        arrival = Arrival("b", "k", "2025-01-17T10:15:02Z", 1, "e7a9", None, "")
        event = {
            "time": arrival.event_time,
            "detail": {"bucket": {"name": "b"}, "object": {"key": "k", "size": 1}},
        }
        event["detail"]["object"] |= {"etag": "e7a9", "version-id": "null"}
        pipeline = pipeline_of({"a": []}, trigger=QUEUE)
        world = World(pipeline)
        database = Database(world, STATUS_KEY, live=True)
        execute(definition(lower_pipeline(pipeline)).definition, event, world)
        item = database.item()
        assert (item["file_id"], item["version"]) == (arrival.key, arrival.identity.version)
        assert item["sequencer"] == ""

    def test_a_failure_after_another_run_is_done_changes_nothing(self):
        def done(database):
            row = {"file_id": {"S": KEY}, "version": {"S": "v.1"}, "status": {"S": "done"}}
            assert put_new(database.client, "T", row, "file_id")

        execution, database, world = played(QUEUE, STATUS_KEY, done, failing={"Materialize a"})
        assert execution.status == "FAILED"
        assert database.item()["status"] == "done"
        assert not world.asked("sns:publish")


def batch(status, **more):
    """Prepare a batch's item."""

    def prepare(database):
        item = {
            "date": {"S": "2025-01-17"},
            "batch": {"N": "3"},
            "status": {"S": status},
            "files": {"M": {"d1": {"M": {"k": {"S": "files/a"}}}}},
            "live": {"S": "open"},
            "live_since": {"S": "2025-01-17T10:00:00.000Z"},
            **more,
        }
        database.client.put_item(TableName="T", Item=item)

    return prepare


@pytest.mark.usefixtures("moto")
class TestBatches:
    """`S3Batches`: a batch's item."""

    def test_a_manifested_batch_completes(self):
        execution, database, world = played(BATCHES, BATCH_KEY, batch("manifested"))
        assert execution.status == "SUCCEEDED", execution.cause
        item = database.item()
        assert item["status"] == "completed"
        assert "files" not in item
        assert (item["rows_in"], item["rows_out"], item["rows_quarantined"]) == ("5", "3", "2")
        assert item["quarantined"] == {}
        assert item["records"] == [{"S": "s3://lake/_runs/a/run-1.json"}]
        assert database.live() == []
        assert world.ran == ["a"]

    def test_the_reasons_of_rejected_files_are_in_the_item(self):
        def prepare(database):
            batch("manifested")(database)
            world.lost = {"a": {"0123456789abcdef": "MalformedJson"}}

        pipeline = pipeline_of({"a": []}, trigger=BATCHES)
        world = World(pipeline)
        database = Database(world, BATCH_KEY, live=True)
        prepare(database)
        execute(definition(lower_pipeline(pipeline)).definition, BATCH, world)
        assert database.item()["quarantined"] == {
            "0123456789abcdef": {"M": {"code": {"S": "MalformedJson"}, "message": {"S": "line 3"}}}
        }
        assert database.item()["files_rejected"] == "1"

    @pytest.mark.parametrize("status", ["open", "processing", "completed", "failed"])
    def test_a_batch_that_is_not_this_executions_is_left_alone(self, status):
        other = {"execution_arn": {"S": "arn:aws:states:eu-west-1:123456789012:execution:machine:other"}}
        execution, database, world = played(BATCHES, BATCH_KEY, batch(status, **other))
        assert execution.output == {"manifest": MANIFEST, "status": "duplicate"}
        assert database.item()["status"] == status
        assert world.ran == []

    def test_a_retry_of_the_first_state_finds_its_own_work(self):
        own = {"execution_arn": {"S": "arn:aws:states:eu-west-1:123456789012:execution:machine:run-1"}}
        execution, database, _ = played(BATCHES, BATCH_KEY, batch("processing", **own))
        assert execution.status == "SUCCEEDED"
        assert database.item()["status"] == "completed"

    def test_a_failed_batch_is_live_as_failed(self):
        execution, database, world = played(
            BATCHES, BATCH_KEY, batch("manifested"), failing={"Materialize a"}
        )
        assert execution.error == "RunFailed"
        assert (database.item()["status"], database.live()) == ("failed", ["failed"])
        assert len(world.asked("sns:publish")) == 1

    def test_a_failure_after_another_execution_completed_it_changes_nothing(self):
        pipeline = pipeline_of({"a": []}, trigger=BATCHES)
        world = World(pipeline)
        database = Database(world, BATCH_KEY, live=True)
        batch("manifested")(database)

        def invoked(_):
            batch("completed")(database)
            raise StatesError("Service.Broken", "no luck")

        world.on_lambda_invoke = invoked
        execution = execute(definition(lower_pipeline(pipeline)).definition, BATCH, world)
        assert execution.status == "FAILED"
        assert database.item()["status"] == "completed"
        assert not world.asked("sns:publish")


def test_the_choice_is_made_by_the_declared_threshold():
    pipeline = pipeline_of({"a": []}, auto=frozenset("a"))
    (asset,) = pipeline.assets
    larger = replace(asset, processor=replace(asset.processor, threshold_bytes=5))
    _, world = run(replace(pipeline, assets=(larger,)), size=6)
    assert world.asked("glue:startJobRun.sync")


def test_the_event_of_a_machine_is_the_same_for_both_ways_in():
    _, by_event = run(pipeline_of({"a": []}))
    _, by_queue = run(pipeline_of({"a": []}, trigger=QUEUE))
    assert by_event.events == by_queue.events
    assert by_event.events["a"]["event_time"] == EVENT["time"]
